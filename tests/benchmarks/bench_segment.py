"""A second look at a picture beside the first: what `segment` spares by keeping the embedding.

Both are whole calls through the executor, with other boxes and without a result cache; each
picture is new, so that its first call has to embed it. The cost is that of the sizes alone, so the
weights of the released sizes are random; the miniature has its own. Of all repetitions the least
time counts. Reports, never asserts: `make bench`.

    python tests/benchmarks/bench_segment.py [--sizes embedded vit_b] [--boxes 4] [--json]
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from nuthatch.tools.base import ToolCall
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.media.store import MediaStore
from nuthatch.tools.segmentation.segment import Segment
from nuthatch.tools.segmentation.segmenters import Segmenter, build_sam, load
from nuthatch.tools.weights.store import EMBEDDED, Weights

SIDE = {"embedded": 128, "vit_b": 1024, "vit_l": 1024, "vit_h": 1024}


def took(executor: ToolExecutor, image: str, boxes: np.ndarray) -> float:
    """Seconds of one call."""
    call = ToolCall(f"call_{time.perf_counter_ns()}", "segment", {"image": image})
    call.arguments["boxes"] = boxes.tolist()
    start = time.perf_counter()
    result = executor.execute(call)
    assert result.fault is None, result.fault
    return time.perf_counter() - start


def both(segmenter: Segmenter, side: int, boxes: int, repeats: int) -> tuple[float, float]:
    """Least seconds of a first and of a second call on a picture of `side` pixels."""
    weights = Weights()
    weights.put("segment", segmenter)
    rng = np.random.default_rng(0)
    first, second = [], []
    with tempfile.TemporaryDirectory() as folder:
        media = MediaStore(Path(folder))
        executor = ToolExecutor(ToolSet([Segment()]), media, weights)
        for _ in range(1 + repeats):
            pixels = rng.integers(0, 256, (side * 2 // 3, side, 3), dtype=np.uint8)
            image = media.add_image(pixels).handle
            first.append(took(executor, image, _boxes(rng, boxes, side)))
            second.append(took(executor, image, _boxes(rng, boxes, side)))
    return min(first[1:]), min(second[1:])  # the very first call also warms up


def _boxes(rng: np.random.Generator, boxes: int, side: int) -> np.ndarray:
    """(n, 4) inside a picture of two thirds of `side`."""
    corners = rng.integers(0, side // 3, (boxes, 2))
    return np.concatenate([corners, corners + rng.integers(8, side // 3, (boxes, 2))], axis=1)


def main() -> None:
    """Time both for every size and print what they took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=SIDE, default=["embedded", "vit_b"])
    parser.add_argument("--boxes", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    figures: dict[str, float] = {}
    for size in args.sizes:
        embedded = size == "embedded"
        segmenter = load(EMBEDDED / "segment") if embedded else Segmenter(build_sam(size))
        first, second = both(segmenter, SIDE[size], args.boxes, args.repeats)
        figures[f"segment_{size}_first_ms"] = 1000 * first
        figures[f"segment_{size}_second_ms"] = 1000 * second
        figures[f"segment_{size}_ratio"] = first / second
    if args.json:
        print(json.dumps({"figures": figures}))
        return
    for size in args.sizes:
        print(
            f"{size:8} {args.boxes} boxes, {args.threads} thread(s): first call "
            f"{figures[f'segment_{size}_first_ms']:.0f} ms, second "
            f"{figures[f'segment_{size}_second_ms']:.0f} ms, "
            f"ratio {figures[f'segment_{size}_ratio']:.1f}"
        )


if __name__ == "__main__":
    main()
