"""What it costs to take in a large photograph: against decoding it alone, and in bytes on disk.

`python tests/benchmarks/bench_store.py`; floors: 1.5 times and 1.02 times (aims 1.2 and 1.0).
"""

import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from nuthatch.tools.media.store import MediaStore

WIDTH, HEIGHT, ROUNDS = 4000, 3000, 9


def photograph() -> bytes:
    """12 megapixels that compress like a camera's: smooth with fine grain."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 255, (60, 80, 3), np.uint8))
    smooth = np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), np.int16)
    grain = rng.integers(-9, 10, (HEIGHT, WIDTH, 3), np.int16)
    file = io.BytesIO()
    pixels = np.clip(smooth + grain, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", quality=85)
    return file.getvalue()


def cpu(job: Callable[[], object]) -> float:
    began = time.process_time()
    job()
    return time.process_time() - began


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photograph.jpg"
        path.write_bytes(photograph())

        def decode() -> object:
            with Image.open(path) as picture:
                return np.asarray(picture.convert("RGB"))

        homes = [Path(folder) / str(number) for number in range(ROUNDS)]
        alone, stored = [], []
        for home in homes:
            alone.append(cpu(decode))
            stored.append(cpu(lambda home=home: MediaStore(home).add_image(path)))
        size = sum(file.stat().st_size for file in (homes[0] / "blobs").iterdir())
        ratio = median(stored) / median(alone)
        print(f"12-megapixel JPEG, n {ROUNDS} in turns, CPU seconds, median:")
        print(f"decoding alone {median(alone):.3f}, into the store {median(stored):.3f}")
        print(f"ratio {ratio:.2f} (floor 1.5, aim 1.2)")
        print(f"bytes stored / bytes of the file {size / path.stat().st_size:.3f} (floor 1.02)")


if __name__ == "__main__":
    main()
