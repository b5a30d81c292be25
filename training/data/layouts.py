"""What a picture shows, without its pixels: enough to ask, to answer, and to simulate tools.

A layout comes from a scene of the world, or is drawn here directly, a thousand times faster and
with the same rules: the count of one category first and evenly, company of the same theme, a third
of the things tinted, and no composition that is held out. Boxes: pixels, x1 y1 x2 y2, right and
bottom exclusive, origin at the top left.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import permutations
from random import Random
from typing import Self

from nuthatch.tools.vocabulary import CATEGORIES, THEMES, TINTS
from nuthatch.training.world.company import Company
from nuthatch.training.world.scenes import RELATION_MARGIN, Box4, RelationName, Scene
from nuthatch.training.world.splits import held_out_pair, held_out_tint

MOST_COUNTED = 5
MOST_THINGS = 8
TINTED = 0.35
OFF_CENTRE = 0.1
"""Share of the side; a centre nearer to the middle is neither left nor right, top nor bottom."""
SIZES = ((128, 128), (640, 480), (480, 640), (800, 600), (512, 512), (1024, 768), (224, 224))


@dataclass(frozen=True, slots=True)
class Thing:
    """One object; `tint` is None where it keeps its own colours."""

    category: str
    tint: str | None
    box: Box4

    @property
    def centre(self) -> tuple[float, float]:
        x1, y1, x2, y2 = self.box
        return (x1 + x2) / 2, (y1 + y2) / 2


@dataclass(frozen=True, slots=True)
class Layout:
    """The things of a picture of `width` x `height` pixels, and the category counted first."""

    things: tuple[Thing, ...]
    focus: str
    theme: str
    width: int = 128
    height: int = 128
    words: tuple[str, ...] = ()

    @classmethod
    def of(cls, scene: Scene) -> Self:
        """What a scene of the world shows."""
        things = tuple(Thing(each.category, each.tint, each.box) for each in scene.objects)
        words = tuple(word.text for word in scene.words)
        return cls(things, scene.focus, scene.theme, scene.size, scene.size, words)

    def counts(self) -> dict[str, int]:
        """Category -> number of things, present categories only, in the order of the picture."""
        return dict(Counter(each.category for each in self.things))

    def absent(self) -> list[str]:
        """Categories that are not there."""
        present = {each.category for each in self.things}
        return [name for name in CATEGORIES if name not in present]

    def singles(self) -> list[Thing]:
        """Things that are the only one of their category."""
        counts = self.counts()
        return [each for each in self.things if counts[each.category] == 1]

    def relation(self, first: Thing, second: Thing) -> tuple[RelationName, ...]:
        """What is clearly true of the first thing seen from the second: none, one or two names."""
        (x1, y1), (x2, y2) = first.centre, second.centre
        names: list[RelationName] = []
        if abs(x1 - x2) > RELATION_MARGIN * self.width:
            names.append("left of" if x1 < x2 else "right of")
        if abs(y1 - y2) > RELATION_MARGIN * self.height:
            names.append("above" if y1 < y2 else "below")
        return tuple(names)

    def relations(self) -> Iterator[tuple[Thing, RelationName, Thing]]:
        """All clear relations between things that are single in their category."""
        for first, second in permutations(self.singles(), 2):
            for name in self.relation(first, second):
                yield first, name, second

    def place(self, thing: Thing) -> str:
        """`at the top left`, `on the right`, `in the middle`."""
        dx, dy = thing.centre[0] / self.width - 0.5, thing.centre[1] / self.height - 0.5
        side = "" if abs(dx) <= OFF_CENTRE else "left" if dx < 0 else "right"
        level = "" if abs(dy) <= OFF_CENTRE else "top" if dy < 0 else "bottom"
        if level:
            return f"at the {level} {side}".rstrip()
        return f"on the {side}" if side else "in the middle"

    def resized(self, width: int, height: int) -> "Layout":
        """The same picture at another size."""
        wide, high = width / self.width, height / self.height
        things = tuple(
            replace(
                each,
                box=(
                    each.box[0] * wide,
                    each.box[1] * high,
                    each.box[2] * wide,
                    each.box[3] * high,
                ),
            )
            for each in self.things
        )
        return replace(self, things=things, width=width, height=height)


def draw_layout(draw: Random) -> Layout:
    """A picture of 128 x 128 pixels: 0 to 5 of the focus, and some company."""
    theme = draw.choice(list(THEMES))
    focus = draw.choice(THEMES[theme])
    names = [focus] * draw.randint(0, MOST_COUNTED)
    total = draw.randint(max(len(names), 1), MOST_THINGS)
    while len(names) < total:
        name = draw.choice(THEMES[theme] if draw.random() < 0.85 else CATEGORIES)
        if name == focus or any(held_out_pair(name, other) for other in names):
            continue
        again = 1 if draw.random() < 0.75 else 2
        names += [name] * min(again, total - len(names))
    draw.shuffle(names)
    shared: dict[str, str | None] = {}
    things: list[Thing] = []
    for name in names:
        tint = _tint(draw, name)
        agreed = shared.setdefault(name, tint)
        things.append(Thing(name, agreed if draw.random() < 0.5 else tint, _box(draw, things)))
    return Layout(tuple(things), focus, theme)


def _tint(draw: Random, name: str) -> str | None:
    if draw.random() >= TINTED:
        return None
    return draw.choice([tint for tint in TINTS if tint != held_out_tint(name)])


def _box(draw: Random, others: list[Thing]) -> Box4:
    """A place of its own where there is one."""
    box = (0.0, 0.0, 0.0, 0.0)
    for _ in range(12):
        wide, high = draw.uniform(20, 52), draw.uniform(20, 52)
        x, y = draw.uniform(0, 128 - wide), draw.uniform(0, 128 - high)
        box = (x, y, x + wide, y + high)
        near = (wide + high) / 3
        centre = (x + wide / 2, y + high / 2)
        if all(
            abs(each.centre[0] - centre[0]) > near or abs(each.centre[1] - centre[1]) > near
            for each in others
        ):
            break
    return box


@cache
def usual_company(scenes: int = 2000) -> Company:
    """How often categories are drawn, and together: what negatives are matched to."""
    return Company.of(draw_layout(Random(f"company/{i}")).counts() for i in range(scenes))


def negative(draw: Random, layout: Layout, beside: str) -> str:
    """An absent category, as frequent among negatives as among positives.

    A third each: random by frequency alone, by frequency squared (the popular ones), and by company
    with `beside` (adversarial). No answer can be told from the category alone.
    """
    company = usual_company()
    absent = layout.absent()
    frequency = [company.frequency.get(name, 0) for name in absent]
    way = draw.random()
    if way < 0.5:
        weights = frequency
    else:
        together = company.together.get(beside, {})
        weights = [together.get(name, 0) for name in absent]
        if not any(weights):
            weights = frequency
    return draw.choices(absent, [weight + 0.01 for weight in weights])[0]
