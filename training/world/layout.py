"""What a scene will show, decided before a pixel is drawn: counts first, then company, then places.

All lengths are pixels of a 128-pixel reference picture; ``scenes.draw`` scales them, so one plan
gives the same picture at every size.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, cos, floor, radians, sin
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from nuthatch.tools.vocabulary import CATEGORIES, GLYPHS, THEMES, TINTS
from nuthatch.training.world import atlas
from nuthatch.training.world.splits import (
    SPLITS,
    Split,
    held_out_pair,
    held_out_tint,
    layout_split,
)

Appearance = Literal["seen", "variant", "openmoji"]
BackgroundKind = Literal["plain", "gradient", "noise", "checker", "stripes"]
Colour = tuple[int, int, int]

REFERENCE = 128
"""Side of the reference picture in pixels."""
SMALLEST, LARGEST = 20.0, 56.0
"""Long side of an object, reference pixels."""
OCCLUSION = 0.28
"""Largest hidden share of an object at the reference size; 0.30 holds at every larger size."""
MOST_COUNTED = 6
LETTER_GAP = 0.125
"""Between two letters of a rendered word, as a share of their height."""

_WORDS = tuple(
    """
    OPEN EXIT SALE CAFE TAXI ZOO HOTEL BAKERY MARKET PARK GATE FRESH MENU HELLO WELCOME NORTH SOUTH
    LUNCH MUSIC TICKETS PLATFORM ROOM LEVEL STAGE FARM HOME TEA SHOP QUIET SUMMER WINTER MONDAY
    SUNDAY TODAY LEFT RIGHT
    """.split()  # noqa: SIM905
)
_SIGN_COLOURS: tuple[tuple[Colour, Colour], ...] = (  # ink, paper
    ((28, 32, 44), (250, 248, 240)),
    ((250, 250, 250), (36, 72, 120)),
    ((250, 250, 246), (34, 96, 62)),
    ((40, 30, 20), (250, 220, 120)),
    ((250, 250, 250), (50, 52, 60)),
)
_SIGN = 255  # marks reserved pixels among object numbers
_KINDS: tuple[BackgroundKind, ...] = ("plain", "gradient", "noise", "checker", "stripes")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Placement:
    """One object as it will be drawn; ``x``, ``y`` its centre, ``side`` its long side unrotated."""

    category: str
    x: float
    y: float
    side: float
    tint: str | None = None
    style: str = "noto"
    variant: int = 0
    angle: float = 0.0
    """Degrees, clockwise."""
    flip: bool = False
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Mild colour jitter: factors on red, green, blue."""


@dataclass(frozen=True, slots=True)
class Background:
    kind: BackgroundKind = "plain"
    first: Colour = (236, 232, 224)
    second: Colour = (214, 208, 198)
    angle: float = 0.0
    period: float = 16.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Sign:
    """A word on a plain sign: ``x``, ``y`` the sign's top left corner, ``height`` of a letter."""

    text: str
    x: float
    y: float
    height: float
    ink: Colour = (28, 32, 44)
    paper: Colour = (250, 248, 240)

    @property
    def extent(self) -> tuple[float, float]:
        """Width and height of the sign."""
        width, margin = text_width(self.text, self.height), self.height * 0.4
        return width + 2 * margin, self.height + 2 * margin


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a picture needs; ``draw(plan, size)`` makes it."""

    theme: str
    focus: str
    placements: tuple[Placement, ...]
    background: Background
    signs: tuple[Sign, ...] = ()
    seed: int = 0
    split: str = "composed"


@dataclass(frozen=True, slots=True)
class Patch:
    """A drawn object: top left corner in the picture, premultiplied RGBA, and where it is solid."""

    x: int
    y: int
    pixels: npt.NDArray[np.uint8]
    solid: npt.NDArray[np.bool_]


def text_width(text: str, height: float) -> float:
    """Width of a rendered word whose letters are ``height`` tall."""
    letters = atlas.load("letters")
    widths = [size[0] / size[1] for size in map(letters.extent, text)]
    return height * (sum(widths) + LETTER_GAP * (len(text) - 1))


def render(placement: Placement, scale: float) -> Patch:
    """Draw one object alone, scaled, flipped and rotated in a single resampling."""
    key = f"{placement.category}/{placement.variant}"
    side = placement.side * scale
    sprite = atlas.load(placement.style).level(key, placement.tint, side)
    width, height = sprite.size
    # The transparent border of a level (one pixel a side) softens edges that are cut straight.
    zoom = side / (max(width, height) - 2)
    cosine, sine = cos(radians(placement.angle)), sin(radians(placement.angle))
    half_x = (abs(cosine) * width + abs(sine) * height) * zoom / 2
    half_y = (abs(sine) * width + abs(cosine) * height) * zoom / 2
    centre_x, centre_y = placement.x * scale, placement.y * scale
    left, top = floor(centre_x - half_x), floor(centre_y - half_y)
    out = (ceil(centre_x + half_x) - left, ceil(centre_y + half_y) - top)
    # Pillow wants the map from the picture back to the sprite.
    mirror = -1.0 if placement.flip else 1.0
    a, b = mirror * cosine / zoom, mirror * sine / zoom
    d, e = -sine / zoom, cosine / zoom
    dx, dy = centre_x - left, centre_y - top
    matrix = (a, b, width / 2 - a * dx - b * dy, d, e, height / 2 - d * dx - e * dy)
    drawn = sprite.transform(
        out, Image.Transform.AFFINE, matrix, resample=Image.Resampling.BILINEAR
    )
    pixels: npt.NDArray[np.uint8] = np.asarray(drawn)
    alpha = pixels[..., 3]
    if placement.gains != (1.0, 1.0, 1.0):
        gained = pixels[..., :3] * np.array(placement.gains, np.float32)
        pixels = pixels.copy()
        pixels[..., :3] = np.minimum(gained, alpha[..., None])
    return Patch(left, top, pixels, alpha >= 128)


class _Unfit(Exception):
    """The objects did not fit: draw new sizes and places."""


class _Arranger:
    """Puts objects on the reference picture, one after another, within the occlusion bound."""

    def __init__(self) -> None:
        self.owner: npt.NDArray[np.uint8] = np.zeros((REFERENCE, REFERENCE), np.uint8)
        self.areas: list[int] = []
        self.visible: list[int] = []

    def reserve(self, sign: Sign) -> None:
        """Keep every object off a sign."""
        width, height = sign.extent
        rows = slice(floor(sign.y), ceil(sign.y + height))
        self.owner[rows, floor(sign.x) : ceil(sign.x + width)] = _SIGN

    def fits(self, patch: Patch, limit: float) -> bool:
        """Place the patch if no object loses more than ``limit`` of itself; say whether it did."""
        height, width = patch.solid.shape
        window = self.owner[patch.y : patch.y + height, patch.x : patch.x + width]
        below = window[patch.solid]
        hits: npt.NDArray[Any] = np.bincount(below)
        if len(hits) > _SIGN:
            return False
        losses = list(enumerate(hits[1:].tolist()))
        if any(
            lost and self.visible[index] - lost < (1 - limit) * self.areas[index]
            for index, lost in losses
        ):
            return False
        for index, lost in losses:
            self.visible[index] -= lost
        self.areas.append(below.size)
        self.visible.append(below.size)
        window[patch.solid] = len(self.areas)
        return True


def plan_scene(
    seed: int, split: Split, appearance: Appearance = "seen"
) -> tuple[Plan, tuple[Patch, ...]]:
    """Plan a scene; also gives the objects as drawn at the reference size.

    The count of one category, the focus, is drawn first and evenly from 0 to 6; other objects,
    mostly of the same theme, fill the picture.
    """
    rng = np.random.default_rng((0x4E57, SPLITS.index(split), seed))
    held_out_allowed = split == "test"
    themes = {
        name: [each for each in members if appearance != "variant" or len(GLYPHS[each]) > 1]
        for name, members in THEMES.items()
    }
    theme = _pick(rng, [name for name, members in themes.items() if members])
    focus = _pick(rng, themes[theme])
    count = _below(rng, MOST_COUNTED + 1)
    categories = _company(rng, theme, focus, count, held_out_allowed)
    tints = _tints(rng, categories, held_out_allowed)
    background = _background(rng)
    word = _word(rng) if rng.random() < 0.1 and len(categories) <= 6 else None
    looks = [_look(rng, category, appearance) for category in categories]
    crowd = max(len(categories), 6 if count >= 4 else 0)
    largest = LARGEST if crowd <= 5 else 48.0 if crowd <= 7 else 36.0
    while True:
        sides = [SMALLEST + (largest - SMALLEST) * rng.random() for _ in categories]
        drafts = [
            replace(look, side=side, tint=tint)
            for look, side, tint in zip(looks, sides, tints, strict=True)
        ]
        drafts.sort(key=lambda draft: -draft.side)  # small things stand in front of large ones
        arranger = _Arranger()
        signs = (_place_sign(rng, word),) if word else ()
        for sign in signs:
            arranger.reserve(sign)
        try:
            placed = _arrange(rng, drafts, split, arranger)
        except _Unfit:
            largest = max(SMALLEST + 4, largest * 0.9)
            continue
        placements = tuple(placement for placement, _ in placed)
        plan = Plan(theme, focus, placements, background, signs, seed, split)
        return plan, tuple(patch for _, patch in placed)


def _arrange(
    rng: np.random.Generator, drafts: list[Placement], split: Split, arranger: _Arranger
) -> list[tuple[Placement, Patch]]:
    placed: list[tuple[Placement, Patch]] = []
    for number, draft in enumerate(drafts, start=1):
        alone = render(replace(draft, x=64.0, y=64.0), 1.0)
        height, width = alone.solid.shape
        apart = rng.random() < 0.6
        for attempt in range(48):
            left, top = _below(rng, REFERENCE - width + 1), _below(rng, REFERENCE - height + 1)
            candidate = replace(draft, x=left - alone.x + 64.0, y=top - alone.y + 64.0)
            if number == len(drafts) and split != layout_split(
                (each.category, each.x, each.y)
                for each in (*(placement for placement, _ in placed), candidate)
            ):
                continue
            patch = Patch(left, top, alone.pixels, alone.solid)
            if arranger.fits(patch, 0.03 if apart and attempt < 16 else OCCLUSION):
                placed.append((candidate, patch))
                break
        else:
            raise _Unfit
    return placed


def _company(
    rng: np.random.Generator, theme: str, focus: str, count: int, held_out_allowed: bool
) -> list[str]:
    """``count`` of the focus and others around it; a focus of 0 is absent though it belongs."""
    room = 10 if count == MOST_COUNTED else 7
    least = max(count, 1)
    total = least + _below(rng, room - least + 1)
    categories = [focus] * count
    while len(categories) < total:
        name = _pick(rng, THEMES[theme] if rng.random() < 0.85 else CATEGORIES)
        if name == focus or (
            not held_out_allowed and any(held_out_pair(name, other) for other in categories)
        ):
            continue
        again = 1 if rng.random() < 0.75 else 2
        categories += [name] * min(again, total - len(categories))
    return categories


def _tints(
    rng: np.random.Generator, categories: list[str], held_out_allowed: bool
) -> list[str | None]:
    """About a third of the objects are tinted; half of all categories agree on one tint."""
    names = tuple(TINTS)
    shared: dict[str, tuple[bool, str | None]] = {}
    tints: list[str | None] = []
    for category in categories:
        tint = _pick(rng, names) if rng.random() < 0.35 else None
        while not held_out_allowed and tint == held_out_tint(category):
            tint = _pick(rng, names)
        agree, first = shared.setdefault(category, (rng.random() < 0.5, tint))
        tints.append(first if agree else tint)
    return tints


def _look(rng: np.random.Generator, category: str, appearance: Appearance) -> Placement:
    style: str = _pick(rng, atlas.SHIPPED_STYLES)
    red, green, blue = (0.94 + 0.12 * rng.random() for _ in range(3))
    return Placement(
        category=category,
        x=0.0,
        y=0.0,
        side=0.0,
        style="openmoji" if appearance == "openmoji" else style,
        variant=len(GLYPHS[category]) - 1 if appearance == "variant" else 0,
        angle=-25 + 50 * rng.random(),
        flip=rng.random() < 0.5,
        gains=(red, green, blue),
    )


def _background(rng: np.random.Generator) -> Background:
    hue, shift = rng.random(), 0.16 * (rng.random() - 0.5)
    saturation = 0.06 + 0.3 * rng.random()
    value = 0.76 + 0.22 * rng.random() if rng.random() < 0.85 else 0.3 + 0.25 * rng.random()
    step = (0.05 + 0.09 * rng.random()) * (1 if value < 0.85 else -1)
    return Background(
        kind=_pick(rng, _KINDS),
        first=_hsv(hue, saturation, value),
        second=_hsv(hue + shift, saturation, value + step),
        angle=360 * rng.random(),
        period=10 + 16 * rng.random(),
        seed=_below(rng, 2**31),
    )


def _word(rng: np.random.Generator) -> str:
    if rng.random() < 0.8:
        return _pick(rng, _WORDS)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    return "".join(_pick(rng, letters) for _ in range(2 + _below(rng, 4)))


def _place_sign(rng: np.random.Generator, word: str) -> Sign:
    ink, paper = _pick(rng, _SIGN_COLOURS)
    height = min(9 + 4 * rng.random(), 84 / text_width(word, 1.0))
    sign = Sign(word, 0.0, 0.0, height, ink, paper)
    width, tall = sign.extent
    x, y = 2 + (REFERENCE - 4 - width) * rng.random(), 2 + (REFERENCE - 4 - tall) * rng.random()
    return replace(sign, x=x, y=y)


def _hsv(hue: float, saturation: float, value: float) -> Colour:
    parts = (hue % 1 * 6 + np.array([5.0, 3.0, 1.0])) % 6
    shade = value - value * saturation * np.clip(np.minimum(parts, 4 - parts), 0, 1)
    red, green, blue = (int(part) for part in np.clip(shade * 255, 0, 255))
    return red, green, blue


def _below(rng: np.random.Generator, bound: int) -> int:
    return int(rng.random() * bound)


def _pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    # Generator.choice builds an array each time and is ten times slower.
    return options[_below(rng, len(options))]
