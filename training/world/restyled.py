"""Scenes in a drawing style of their own: objects in few flat colours, with dark contours.

The world has two styles; what is to hold for others learns from this third one, drawn by rules.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from nuthatch.training.world.scenes import Scene

Pixels = NDArray[np.uint8]


def restyled(scene: Scene, rng: np.random.Generator) -> Pixels:
    """The picture of a scene, (H / 2, W / 2, 3) uint8 RGB, its objects drawn anew."""
    image = Image.fromarray(scene.image)
    soft = image.filter(ImageFilter.MedianFilter(5))
    few = soft.quantize(int(rng.integers(8, 33)), dither=Image.Dither.NONE).convert("RGB")
    objects = scene.instances > 0
    flat = np.where(objects[..., None], np.asarray(few), scene.image)
    contours = _edges(scene.instances.astype(np.float64), 0.5)
    if rng.random() < 0.7:
        light = np.asarray(few.convert("L"), np.float64)
        contours |= _edges(light, rng.uniform(15, 60)) & objects
    width = 1 + 2 * round(rng.uniform(0.006, 0.016) * scene.size / 2)
    lines = Image.fromarray(255 * contours.astype(np.uint8)).filter(ImageFilter.MaxFilter(width))
    ink = Image.new("RGB", image.size, tuple(rng.integers(0, 50, 3).tolist()))
    drawn = Image.fromarray(flat)
    if rng.random() < 0.85:
        drawn.paste(ink, (0, 0), lines)
    return np.asarray(drawn.resize((scene.size // 2,) * 2, Image.Resampling.BOX))


def _edges(values: NDArray[np.float64], least: float) -> NDArray[np.bool_]:
    """Where a value (H, W) differs by `least` or more from the one above or before."""
    edges = np.zeros(values.shape, bool)
    edges[1:] |= np.abs(np.diff(values, axis=0)) >= least
    edges[:, 1:] |= np.abs(np.diff(values, axis=1)) >= least
    return edges
