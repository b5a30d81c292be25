"""A colour claim about half of a picture of twelve megapixels, against decoding it: `make bench`.

`Verifier.correct` with a detector that was told a box of half the frame and the shipped tagger, on
the same content at 12 and at 0.75 megapixels; beside it the decoding of the 12-megapixel JPEG, and
the shares of tints alone. Contents: a drawn scene enlarged, and noise, where no two pixels are
alike. CPU time, the least of all repetitions, which take turns; memory is the process's peak above
what it held with the picture decoded. Reports, never asserts.

    python tests/benchmarks/bench_large_picture.py [--repetitions 5] [--json]
"""

import argparse
import io
import json
import resource
import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from nuthatch.tools.media.geometry import Box
from nuthatch.tools.verification.correction import Item
from nuthatch.tools.verification.evidence.colours import tint_shares
from nuthatch.tools.verifier import Verifier
from nuthatch.tools.weights.store import Weights
from nuthatch.training.world.scenes import make_scene
from tests.fakes import FakeDetector

LARGE, SMALL = (4000, 3000), (1000, 750)
Picture = NDArray[np.uint8]


def contents() -> dict[str, Picture]:
    scene = Image.fromarray(make_scene(1, "test", size=512).image)
    noise = np.random.default_rng(0).integers(0, 256, (LARGE[1], LARGE[0], 3), np.uint8)
    return {
        "scene": np.asarray(scene.resize(LARGE, Image.Resampling.BICUBIC)),
        "noise": noise,
    }


def correct(picture: Picture) -> None:
    height, width = picture.shape[:2]
    judges = Weights()
    judges.put("detect", FakeDetector([("cup", (0, 0, width / 2, height))]))
    Verifier(weights=judges).correct_many([Item("The cup is red.", None, picture)])


def least(ways: dict[str, Callable[[], object]], repetitions: int) -> dict[str, float]:
    """Seconds of CPU of each way."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repetitions):
        for name, way in ways.items():
            start = time.process_time()
            way()
            times[name].append(time.process_time() - start)
    return {name: min(each) for name, each in times.items()}


def measure(picture: Picture, repetitions: int) -> dict[str, float]:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=90)
    small = np.asarray(Image.fromarray(picture).resize(SMALL))
    box = Box.of((0, 0, LARGE[0] / 2, LARGE[1]))
    return least(
        {
            "decode": lambda: Image.open(io.BytesIO(file.getvalue())).load(),
            "correct 12 MP": lambda: correct(picture),
            "correct 0.75 MP": lambda: correct(small),
            "tint shares": lambda: tint_shares(picture, box),
        },
        repetitions,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    pictures = contents()
    correct(np.zeros((64, 64, 3), np.uint8))  # loads the weights
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for picture in pictures.values():
        correct(picture)
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    found = {name: measure(picture, given.repetitions) for name, picture in pictures.items()}
    if given.json:
        print(json.dumps({"seconds": found, "memory_mb": memory}))
        return
    for name, seconds in found.items():
        told = ", ".join(f"{way} {value:.3f} s" for way, value in seconds.items())
        ratio = seconds["correct 12 MP"] / seconds["correct 0.75 MP"]
        print(f"{name}: {told}; 12 MP against 0.75 MP: {ratio:.1f} times")
    print(f"peak above what was held with both pictures decoded: {memory:.0f} MB")


if __name__ == "__main__":
    main()
