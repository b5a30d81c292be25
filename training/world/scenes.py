"""Pictures of the miniature world with all that is true of them: boxes, masks, counts, relations.

``make_scene(seed, split)`` is a pure function of its arguments. Frame: x to the right, y down,
origin in the top left corner; boxes are ``x1 y1 x2 y2``, float pixels, right and bottom exclusive,
around the visible pixels of an object.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from math import ceil, cos, floor, radians, sin
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from nuthatch.training.world import atlas
from nuthatch.training.world.layout import (
    LETTER_GAP,
    REFERENCE,
    Appearance,
    Background,
    Patch,
    Placement,
    Plan,
    Sign,
    plan_scene,
    render,
)
from nuthatch.training.world.splits import SPLITS, Split, held_out_pair, held_out_tint

Box4 = tuple[float, float, float, float]
SizeBin = Literal["small", "medium", "large"]
RelationName = Literal["left of", "right of", "above", "below"]

RELATION_MARGIN = 0.05
"""Share of the picture's side by which two centres must differ before a relation is clear."""
SMALLEST_SIZE = 64
"""Pixels a side: below it the smallest objects have no shape left."""
SMALL_BELOW, LARGE_FROM = 0.22, 0.32
"""Size bins by the box's long side as a share of the picture's side."""


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One object. ``tint`` is None where the sprite keeps its own colours: ask no colour of it."""

    category: str
    tint: str | None
    style: str
    variant: int
    box: Box4
    size_bin: SizeBin

    @property
    def centre(self) -> tuple[float, float]:
        x1, y1, x2, y2 = self.box
        return (x1 + x2) / 2, (y1 + y2) / 2


@dataclass(frozen=True, slots=True)
class Word:
    """A rendered word and the box around its letters."""

    text: str
    box: Box4


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A picture and all that is true of it.

    ``image`` is (H, W, 3) uint8 RGB; ``instances`` (H, W) uint8: 0 background, i + 1 the visible
    pixels of ``objects[i]``. Later objects stand in front of earlier ones.
    """

    seed: int
    split: str
    theme: str
    focus: str
    """The category whose count was drawn first; it may be 0: expected here, but absent."""
    image: npt.NDArray[np.uint8]
    instances: npt.NDArray[np.uint8]
    objects: tuple[SceneObject, ...]
    words: tuple[Word, ...]
    held_out_composition: bool
    """Whether it shows a tint or a pair of categories that training never shows."""

    @property
    def size(self) -> int:
        """Side of the (square) picture in pixels."""
        return len(self.image)

    def counts(self) -> dict[str, int]:
        """Category -> number of objects, present categories only."""
        return dict(Counter(each.category for each in self.objects))

    def mask(self, index: int) -> npt.NDArray[np.bool_]:
        """Visible pixels of ``objects[index]``, (H, W)."""
        visible: npt.NDArray[np.bool_] = self.instances == index + 1
        return visible

    def relation(self, first: int, second: int) -> tuple[RelationName, ...]:
        """What is clearly true of the first object seen from the second: none, one or two names."""
        (x1, y1), (x2, y2) = self.objects[first].centre, self.objects[second].centre
        margin = RELATION_MARGIN * self.size
        names: list[RelationName] = []
        if abs(x1 - x2) > margin:
            names.append("left of" if x1 < x2 else "right of")
        if abs(y1 - y2) > margin:
            names.append("above" if y1 < y2 else "below")
        return tuple(names)

    def relations(self) -> Iterator[tuple[int, RelationName, int]]:
        """All clear relations (i, name, j): ``objects[i]`` is ``name`` ``objects[j]``."""
        for first, second in permutations(range(len(self.objects)), 2):
            for name in self.relation(first, second):
                yield first, name, second


def make_scene(
    seed: int, split: Split = "train", *, appearance: Appearance = "seen", size: int = 128
) -> Scene:
    """One scene, the same for the same arguments.

    Args:
        seed: any integer from 0.
        split: splits share neither layouts nor, for ``test``, all compositions (``splits``).
        appearance: ``seen`` (main glyphs of both shipped styles), ``variant`` (the glyphs held out
            of training, for categories that have one), ``openmoji`` (the held-out style).
        size: side of the picture in pixels; one seed gives the same layout at every size.

    Raises:
        AtlasMissing: ``openmoji`` before its atlas was built.
        ValueError: a negative seed, an unknown split or appearance, a size below 64.
    """
    if seed < 0:
        raise ValueError(f"a scene's seed must be 0 or more, got {seed}")
    if split not in SPLITS:
        raise ValueError(f"no split {split!r}: the splits are {', '.join(SPLITS)}")
    if appearance not in get_args(Appearance):
        known = ", ".join(get_args(Appearance))
        raise ValueError(f"no appearance {appearance!r}: the appearances are {known}")
    if size < SMALLEST_SIZE:
        raise ValueError(f"a scene needs {SMALLEST_SIZE} pixels a side or more, got {size}")
    plan, patches = plan_scene(seed, split, appearance)
    return _draw(plan, size, patches if size == REFERENCE else None)


def draw(plan: Plan, size: int = REFERENCE) -> Scene:
    """Draw a plan made by hand or by ``layout.plan_scene``."""
    return _draw(plan, size, None)


def _draw(plan: Plan, size: int, patches: Sequence[Patch] | None) -> Scene:
    scale = size / REFERENCE
    image = _paint_background(plan.background, size)
    words = tuple(_paint_sign(image, sign, scale) for sign in plan.signs)
    instances: npt.NDArray[np.uint8] = np.zeros((size, size), np.uint8)
    if patches is None:
        patches = [_inside(render(placement, scale), size) for placement in plan.placements]
    for number, patch in enumerate(patches, start=1):
        _paint(image, patch)
        window = instances[_rows(patch), _columns(patch)]
        window[patch.solid] = number
    objects = tuple(
        _describe(placement, instances, patch, number, size)
        for number, (placement, patch) in enumerate(
            zip(plan.placements, patches, strict=True), start=1
        )
    )
    return Scene(
        seed=plan.seed,
        split=plan.split,
        theme=plan.theme,
        focus=plan.focus,
        image=image,
        instances=instances,
        objects=objects,
        words=words,
        held_out_composition=_is_held_out(plan.placements),
    )


def _is_held_out(placements: Sequence[Placement]) -> bool:
    if any(each.tint == held_out_tint(each.category) for each in placements):
        return True
    present = {each.category for each in placements}
    return any(held_out_pair(a, b) for a, b in combinations(present, 2))


def _rows(patch: Patch) -> slice:
    return slice(patch.y, patch.y + patch.solid.shape[0])


def _columns(patch: Patch) -> slice:
    return slice(patch.x, patch.x + patch.solid.shape[1])


def _inside(patch: Patch, size: int) -> Patch:
    """Cut to the picture what rounding (or a plan made by hand) pushed over its edge."""
    left, top = max(patch.x, 0), max(patch.y, 0)
    rows = slice(top - patch.y, max(size - patch.y, 0))
    columns = slice(left - patch.x, max(size - patch.x, 0))
    return Patch(left, top, patch.pixels[rows, columns], patch.solid[rows, columns])


def _paint(image: npt.NDArray[np.uint8], patch: Patch) -> None:
    window = image[_rows(patch), _columns(patch)]
    clear = 255 - patch.pixels[..., 3:].astype(np.uint16)
    window[:] = patch.pixels[..., :3] + (window * clear // 255).astype(np.uint8)


def _describe(
    placement: Placement,
    instances: npt.NDArray[np.uint8],
    patch: Patch,
    number: int,
    size: int,
) -> SceneObject:
    visible = instances[_rows(patch), _columns(patch)] == number
    rows, columns = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
    if not len(rows):
        raise ValueError(f"the {placement.category} at {placement.x:g}, {placement.y:g} is hidden")
    box = (
        float(patch.x + columns[0]),
        float(patch.y + rows[0]),
        float(patch.x + columns[-1] + 1),
        float(patch.y + rows[-1] + 1),
    )
    share = max(box[2] - box[0], box[3] - box[1]) / size
    size_bin: SizeBin = (
        "small" if share < SMALL_BELOW else "large" if share >= LARGE_FROM else "medium"
    )
    return SceneObject(
        placement.category, placement.tint, placement.style, placement.variant, box, size_bin
    )


def _paint_background(background: Background, size: int) -> npt.NDArray[np.uint8]:
    share = np.linspace(0, 1, 256)[:, None]
    ramp = np.array(background.first) * (1 - share) + np.array(background.second) * share + 0.5
    painted: npt.NDArray[np.uint8] = ramp.astype(np.uint8)[_pattern(background, size)]
    return painted


def _pattern(background: Background, size: int) -> npt.NDArray[np.uint8]:
    """(size, size): how far each pixel is from the first colour (0) to the second (255)."""
    if background.kind == "plain":
        return np.zeros((size, size), np.uint8)
    if background.kind == "noise":
        rng = np.random.default_rng(background.seed)
        grains = rng.integers(0, 256, (REFERENCE // 2, REFERENCE // 2), np.uint8)
        return np.asarray(Image.fromarray(grains).resize((size, size), Image.Resampling.BILINEAR))
    # Reference coordinates of the pixel centres, so that every size shows the same pattern.
    axis = (np.arange(size, dtype=np.float32) + 0.5) * (REFERENCE / size)
    across, down = axis[None, :], axis[:, None]
    turn = radians(background.angle)
    along = across * np.float32(cos(turn)) + down * np.float32(sin(turn))
    if background.kind == "gradient":
        along -= along.min()
        pattern = along * (255 / along.max())
    elif background.kind == "stripes":
        pattern = along // background.period % 2 * 255
    else:
        pattern = (across // background.period + down // background.period) % 2 * 255
    painted: npt.NDArray[np.uint8] = pattern.astype(np.uint8)
    return painted


def _paint_sign(image: npt.NDArray[np.uint8], sign: Sign, scale: float) -> Word:
    """Paint the sign and its letters; the word's box is around the letters."""
    width, height = (side * scale for side in sign.extent)
    x, y = sign.x * scale, sign.y * scale
    image[round(y) : round(y + height), round(x) : round(x + width)] = sign.paper
    letters = atlas.load("letters")
    tall = max(1, round(sign.height * scale))
    pen = x + sign.height * 0.4 * scale
    top = round(y + sign.height * 0.4 * scale)
    left = right = floor(pen)
    ink = np.array(sign.ink, np.float32)
    for letter in sign.text:
        source = letters.straight(letter).getchannel("A")
        wide = max(1, round(source.width * tall / source.height))
        cover = np.asarray(source.resize((wide, tall), Image.Resampling.BOX), np.float32) / 255
        column = round(pen)
        window = image[top : top + tall, column : column + wide]
        window[:] = window + (ink - window) * cover[..., None]
        right = max(right, column + wide)
        pen += wide + LETTER_GAP * tall
    return Word(sign.text, (float(left), float(top), float(ceil(right)), float(top + tall)))
