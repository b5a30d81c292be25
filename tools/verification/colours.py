"""The second judge of tints: what the pixels of a box say by themselves, without any model.

An object of the miniature world that carries a tint runs from a deep to a pale shade of it, so its
pixels lie near one line through the reference colour. Objects in their own colours, and
backgrounds, fool this judge: it never decides alone.
"""

import numpy as np

from nuthatch.tools.geometry import Box
from nuthatch.tools.ingest import Pixels
from nuthatch.tools.vocabulary import TINTS

DEEP, PALE = 0.5, 0.45
"""How far the shades of a tint run towards black and towards white."""
NEAR = 45.0
"""Largest distance of a pixel from the shades of its tint, in RGB levels."""
STEPS = 9
YES, NO = 0.3, 0.12
"""Shares that speak for a tint and against it. On 400 scenes of the split "calibrate" 98 % of the
objects of a tint lie above the first; of other tints' objects, 5 % at most (gray: 9 %)."""
GRAY_YES, GRAY_NO = 0.6, 0.35  # many backgrounds are grayish


def _shades() -> np.ndarray[tuple[int, int, int], np.dtype[np.float32]]:
    """(tints, STEPS, 3): each tint from deep over itself to pale."""
    lines = []
    for reference in TINTS.values():
        colour = np.array(reference, np.float32)
        deep, pale = colour * (1 - DEEP), colour + (255 - colour) * PALE
        down, up = (
            np.linspace(deep, colour, STEPS // 2 + 1),
            np.linspace(colour, pale, STEPS // 2 + 1),
        )
        lines.append(np.concatenate([down, up[1:]]))
    return np.stack(lines).astype(np.float32)


_SHADES = _shades()


def tint_shares(picture: Pixels, box: Box) -> dict[str, float]:
    """Tint -> share of the pixels in the box's inner ellipse that are shades of it, 0 to 1."""
    height, width = picture.shape[:2]
    x1, y1, x2, y2 = box.clip(width, height).xyxy
    rows = slice(int(y1), max(int(np.ceil(y2)), int(y1) + 1))
    columns = slice(int(x1), max(int(np.ceil(x2)), int(x1) + 1))
    crop = picture[rows, columns].astype(np.float32)
    down = (np.arange(crop.shape[0]) + 0.5) / crop.shape[0] * 2 - 1
    across = (np.arange(crop.shape[1]) + 0.5) / crop.shape[1] * 2 - 1
    inside = down[:, None] ** 2 + across[None, :] ** 2 <= 0.8
    pixels = crop[inside]
    distances = np.linalg.norm(pixels[:, None, None, :] - _SHADES, axis=3).min(axis=2)
    nearest = distances.argmin(axis=1)
    near = distances.min(axis=1) <= NEAR
    counts = np.bincount(nearest[near], minlength=len(TINTS))
    return dict(zip(TINTS, (counts / len(pixels)).tolist(), strict=True))


def opinion(tint: str, share: float) -> float:
    """How likely the tint is, given its share; never beyond 0.1 and 0.9."""
    no, yes = (GRAY_NO, GRAY_YES) if tint == "gray" else (NO, YES)
    return 0.1 + 0.8 * min(1.0, max(0.0, (share - no) / (yes - no)))
