"""Make the example pictures kitchen.png and street.png, and the truth of each as JSON beside it.

python scripts/build_examples.py
"""

import argparse
import json
from pathlib import Path
from typing import Any

from PIL import Image

from nuthatch.training.world.layout import Background, Placement, Plan, Sign
from nuthatch.training.world.scenes import Scene, draw

FOLDER = Path(__file__).resolve().parent.parent / "examples"
SIZE = 512  # pixels

# All lengths below are pixels of the 128-pixel reference picture.
KITCHEN = Plan(
    theme="kitchen",
    focus="cup",
    background=Background("checker", (243, 235, 220), (232, 221, 203), period=16.0),
    placements=(
        Placement("clock", 103, 27, 36, style="noto", angle=4),
        Placement("bottle", 26, 36, 48, style="noto", angle=-6),
        Placement("wine glass", 64, 31, 42, style="twemoji"),
        Placement("cup", 27, 82, 38, style="twemoji"),
        Placement("cup", 67, 76, 32, tint="red", style="noto", flip=True),
        Placement("cup", 104, 70, 30, tint="blue", style="twemoji"),
        Placement("knife", 53, 109, 32, style="noto", angle=-8),
        Placement("apple", 84, 107, 26, style="noto", angle=-8),
        Placement("orange", 112, 104, 25, style="twemoji", angle=10),
    ),
)
STREET = Plan(
    theme="street",
    focus="car",
    background=Background("gradient", (168, 208, 238), (238, 232, 216), angle=90.0),
    placements=(
        Placement("bus", 37, 48, 56, style="twemoji"),
        Placement("traffic light", 104, 38, 48, style="noto"),
        Placement("bicycle", 69, 70, 36, style="noto", flip=True),
        Placement("car", 28, 90, 44, style="noto", flip=True),
        Placement("car", 99, 92, 48, tint="yellow", style="twemoji"),
        Placement("person", 62, 104, 40, style="twemoji"),
        Placement("dog", 84, 117, 19, style="noto"),
    ),
    signs=(Sign("MARKET", 12, 7, 9, ink=(250, 250, 246), paper=(34, 96, 62)),),
)
SOUNDS = {"kitchen": "clock"}


def truth(name: str, scene: Scene) -> dict[str, Any]:
    """What is true of the picture, and of the sound that goes with it."""
    record: dict[str, Any] = {
        "image": f"{name}.png",
        "width": scene.size,
        "height": scene.size,
        "counts": scene.counts(),
        "objects": [
            {
                "category": each.category,
                "tint": each.tint,
                "size": each.size_bin,
                "box": [round(value, 1) for value in each.box],
            }
            for each in scene.objects
        ],
        "words": [{"text": word.text, "box": list(word.box)} for word in scene.words],
    }
    if name in SOUNDS:
        record["audio"] = {"file": f"{name}.wav", "events": [SOUNDS[name]]}
    return record


def readable(record: dict[str, Any]) -> str:
    """JSON with one line an object."""
    lines = []
    for key, value in record.items():
        text = json.dumps(value)
        if isinstance(value, list) and value:
            text = "[\n    " + ",\n    ".join(json.dumps(each) for each in value) + "\n  ]"
        lines.append(f"  {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=FOLDER)
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for name, plan in (("kitchen", KITCHEN), ("street", STREET)):
        scene = draw(plan, SIZE)
        if scene.held_out_composition:
            raise SystemExit(
                f"{name} shows a composition held out of training: change a tint or object"
            )
        Image.fromarray(scene.image).save(out / f"{name}.png", optimize=True)
        (out / f"{name}.json").write_text(readable(truth(name, scene)), "utf-8")
        print(out / f"{name}.png", scene.counts())


if __name__ == "__main__":
    main()
