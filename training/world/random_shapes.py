"""Random sizes, noise and outlines, for pictures that are drawn by rules."""

import math

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Field = NDArray[np.float64]


def sides(rng: np.random.Generator, low: int = 200, high: int = 900) -> tuple[int, int]:
    """Width and height in pixels, seldom further apart than 2 to 1."""
    width = int(rng.integers(low, high))
    return width, int(np.clip(width * math.exp(rng.normal(0, 0.35)), low, high))


def fractal(rng: np.random.Generator, height: int, width: int, falloff: float) -> Field:
    """Noise whose spectrum falls with this power of the frequency; mean 0, deviation 1."""
    across, down = np.meshgrid(np.fft.fftfreq(width), np.fft.fftfreq(height))
    frequency = np.hypot(across, down)
    frequency[0, 0] = 1
    spectrum = np.fft.fft2(rng.normal(size=(height, width))) / frequency**falloff
    raw = np.fft.ifft2(spectrum).real
    field: Field = (raw - raw.mean()) / raw.std()
    return field


def around(
    rng: np.random.Generator, x: float, y: float, radius: float
) -> list[tuple[float, float]]:
    """Corners of a polygon around a point."""
    turns = np.sort(rng.uniform(0, 2 * math.pi, int(rng.integers(3, 9))))
    far = radius * rng.uniform(0.5, 1.2, len(turns))
    corners = np.stack([x + far * np.cos(turns), y + far * np.sin(turns)], axis=1)
    return [(float(a), float(b)) for a, b in corners]


def pixels(values: NDArray[np.float64]) -> Pixels:
    clipped: Pixels = np.clip(values, 0, 255).astype(np.uint8)
    return clipped
