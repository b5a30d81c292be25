"""16 labels on one picture, merged and one by one, cost and quality in one run: `make bench`.

Three ways to look for the same labels: a call for each, one after the other; the same calls in one
turn, which the executor merges; one call with all labels. Scenes of the miniature world, split
test, and the shipped detector; nothing is remembered between calls. The ways take turns, and of
each picture the least time of all repetitions counts, since everything else that runs on a machine
only adds. Reports, never asserts.

    python tests/benchmarks/bench_detect.py [--scenes 100] [--threshold 0.02] [--json]
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from nuthatch.tools.base import ToolCall
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.detection.detect import Detect
from nuthatch.tools.detection.detectors import Found
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.media.store import MediaStore
from nuthatch.tools.vocabulary import CATEGORIES
from nuthatch.tools.weights.store import Weights
from nuthatch.training.evaluate.detection import Real, average_precision
from nuthatch.training.world.scenes import Scene, make_scene

Way = Callable[[ToolExecutor, list[str], float], list[Found]]


def one_by_one(executor: ToolExecutor, labels: list[str], threshold: float) -> list[Found]:
    """A turn for each label."""
    return [each for label in labels for each in _turn(executor, [[label]], threshold)]


def merged_calls(executor: ToolExecutor, labels: list[str], threshold: float) -> list[Found]:
    """A call for each label, all in one turn."""
    return _turn(executor, [[label] for label in labels], threshold)


def one_call(executor: ToolExecutor, labels: list[str], threshold: float) -> list[Found]:
    """All labels in one call."""
    return _turn(executor, [labels], threshold)


WAYS: tuple[Way, ...] = (one_by_one, merged_calls, one_call)


def _turn(executor: ToolExecutor, calls: list[list[str]], threshold: float) -> list[Found]:
    results = executor.run(
        [
            ToolCall(
                f"call_{number}",
                "detect",
                {"image": "image_1", "labels": labels, "threshold": threshold},
            )
            for number, labels in enumerate(calls, start=1)
        ]
    )
    found = []
    for result in results:
        assert result.fault is None, result.fault
        found += [Found(d.label, d.score, d.box.xyxy) for d in result.value.detections]  # type: ignore[union-attr]
    return found


def main() -> None:
    """Time the ways, measure what they find, and print both."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--labels", type=int, default=16)
    parser.add_argument("--threshold", type=float, default=0.02)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    scenes = [make_scene(seed, "test") for seed in range(args.scenes)]
    tools, weights = ToolSet([Detect(most=900)]), Weights()
    weights.get("detect")
    seconds = {way.__name__: 0.0 for way in WAYS}
    found: dict[str, list[list[Found]]] = {way.__name__: [] for way in WAYS}
    asked = [_labels(scene, args.labels) for scene in scenes]
    for scene, labels in zip(scenes, asked, strict=True):
        with tempfile.TemporaryDirectory() as folder:
            media = MediaStore(Path(folder))
            media.add_image(scene.image)
            executor = ToolExecutor(tools, media, weights)
            for way in WAYS:
                took = []
                for _ in range(args.repeats):
                    start = time.perf_counter()
                    hits = way(executor, labels, args.threshold)
                    took.append(time.perf_counter() - start)
                seconds[way.__name__] += min(took)
                found[way.__name__].append(hits)
    real = [
        [Real(each.category, each.box) for each in scene.objects if each.category in labels]
        for scene, labels in zip(scenes, asked, strict=True)
    ]
    figures: dict[str, float] = {}
    for name, hits_of in found.items():
        figures[f"detect_{name}_ms"] = 1000 * seconds[name] / len(scenes)
        figures[f"detect_{name}_ratio"] = seconds["one_by_one"] / seconds[name]
        figures[f"detect_{name}_ap50"] = average_precision(hits_of, real, 0.5, resamples=2).value
    if args.json:
        print(json.dumps({"figures": figures}))
        return
    print(f"{args.labels} labels, {len(scenes)} scenes, {args.threads} thread(s):")
    for name in found:
        print(
            f"  {name:13} {figures[f'detect_{name}_ms']:7.1f} ms a picture, "
            f"{figures[f'detect_{name}_ratio']:5.1f} x, AP50 {figures[f'detect_{name}_ap50']:.4f}"
        )


def _labels(scene: Scene, number: int) -> list[str]:
    """The categories of a scene and, to this number, others."""
    shown = list(scene.counts())
    others = [name for name in CATEGORIES if name not in shown]
    return [*shown, *random.Random(len(others)).sample(others, number)][:number]


if __name__ == "__main__":
    main()
