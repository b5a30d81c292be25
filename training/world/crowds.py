"""Crowds: pictures full of objects, each of another category.

A scene repeats one category up to six times; a crowd repeats none, so it teaches more names with
as many pixels.
"""

import numpy as np

from nuthatch.tools.vocabulary import CATEGORIES, TINTS
from nuthatch.training.world.atlas import SHIPPED_STYLES
from nuthatch.training.world.layout import REFERENCE, SMALLEST, Background, Placement, Plan
from nuthatch.training.world.scenes import Scene, draw
from nuthatch.training.world.splits import held_out_pair, held_out_tint


def crowd(rng: np.random.Generator, rows: int = 3, size: int = REFERENCE) -> Scene:
    """Objects of as many categories, close together: 2 x 2, 3 x 3, ... up to `rows` x `rows`.

    `size` is the side of the picture in pixels.
    No pair of categories and no tint is one that is held out.
    """
    across = int(rng.integers(2, rows + 1))
    cell = REFERENCE / across
    categories: list[str] = []
    for name in rng.permutation(CATEGORIES).tolist():
        if not any(held_out_pair(name, other) for other in categories):
            categories.append(name)
        if len(categories) == across * across:
            break
    placements = []
    for place, name in enumerate(categories):
        x, y = (np.array([place % across, place // across]) + 0.5) * cell
        side = rng.uniform(SMALLEST, 1.1 * cell)
        x, y = np.clip([x, y] + rng.uniform(-0.1, 0.1, 2) * cell, side * 0.7, 128 - side * 0.7)
        tint = str(rng.choice(list(TINTS))) if rng.random() < 0.35 else None
        placements.append(
            Placement(
                category=name,
                x=float(x),
                y=float(y),
                side=float(side),
                tint=None if tint == held_out_tint(name) else tint,
                style=str(rng.choice(SHIPPED_STYLES)),
                angle=float(rng.uniform(-25, 25)),
                flip=bool(rng.random() < 0.5),
                gains=tuple(rng.uniform(0.94, 1.06, 3).tolist()),
            )
        )
    return draw(Plan("crowd", categories[0], tuple(placements), _background(rng)), size)


def _background(rng: np.random.Generator) -> Background:
    """Two pale or dark colours near each other, in any pattern."""
    first = rng.integers(60, 250, 3)
    second = np.clip(first + rng.integers(-40, 40, 3), 0, 255)
    return Background(
        kind=("plain", "gradient", "noise", "checker", "stripes")[int(rng.integers(5))],
        first=tuple(first.tolist()),
        second=tuple(second.tolist()),
        angle=float(rng.uniform(0, 360)),
        period=float(rng.uniform(10, 26)),
        seed=int(rng.integers(2**31)),
    )
