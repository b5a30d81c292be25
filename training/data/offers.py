"""Which tools a dialogue offers: a few or all, in any order, sometimes without the right one."""

from collections.abc import Collection

from nuthatch.training.data.sample import Draw
from nuthatch.training.data.tool_schemas import BESIDE, Schema, schemas

USUAL = tuple(name for name in schemas() if name not in BESIDE)
ALL = 0.06
USUAL_SHARE = 0.16


def offer(
    draw: Draw, needed: Collection[str] = (), *, without: Collection[str] = ()
) -> dict[str, Schema]:
    """Schemas of a set of tools that holds what is needed and none of what must be missing."""
    known = schemas()
    way = draw.random()
    if way < ALL:
        names = [name for name in known if name not in without]
    elif way < ALL + USUAL_SHARE:
        names = [name for name in USUAL if name not in without]
    else:
        rest = [name for name in known if name not in needed and name not in without]
        number = draw.choices(range(7), (14, 18, 20, 18, 14, 10, 6))[0]
        names = draw.sample(rest, number)
    names += [name for name in needed if name not in names]
    if way >= ALL + USUAL_SHARE or draw.chance(0.3):
        draw.shuffle(names)
    return {name: known[name] for name in names}
