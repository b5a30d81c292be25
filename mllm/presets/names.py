"""From released names to ours: which tensors become which parameter, and which are left out why.

A `Part` renames all names that begin alike. A file is described by its parts; a name that no part
knows is an error, so nothing of a file is lost by accident.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

QUERY_BIAS, VALUE_BIAS = ".q_bias", ".v_bias"


@dataclass(frozen=True)
class Names:
    """How a kind of module is named in released files."""

    renamed: tuple[tuple[str, str], ...] = ()
    """Replacements, in their order: theirs, ours."""
    dropped: Mapping[str, str] = field(default_factory=dict)
    """Regular expressions of names to leave out, and why."""


PLAIN = Names()
"""Named as ours."""


class Part(NamedTuple):
    """Names that begin alike and the module of ours that they belong to."""

    names: Names
    theirs: str
    """What their names begin with."""
    ours: str
    """What stands in its place; may be empty."""


class Dropped(NamedTuple):
    """A part that we have no use for."""

    theirs: str
    why: str


class Plan(NamedTuple):
    """What becomes of a file."""

    sources: dict[str, tuple[str, ...]]
    """Of each of our names the names it is made of: one, or a bias of queries and one of values."""
    dropped: dict[str, str]
    """Names that are left out, and why."""


def plan(names: Iterable[str], parts: Sequence[Part | Dropped]) -> Plan:
    """What becomes of these names.

    Of several parts that fit a name the longest beginning counts.

    Raises:
        ValueError: names that no part knows, or two names that become the same one.
    """
    sources: dict[str, tuple[str, ...]] = {}
    dropped: dict[str, str] = {}
    unknown: list[str] = []
    for name in names:
        fitting = [part for part in parts if name.startswith(part.theirs)]
        if not fitting:
            unknown.append(name)
            continue
        part = max(fitting, key=lambda one: len(one.theirs))
        if isinstance(part, Dropped):
            dropped[name] = part.why
            continue
        rest = name.removeprefix(part.theirs)
        why = [why for pattern, why in part.names.dropped.items() if re.fullmatch(pattern, rest)]
        if why:
            dropped[name] = why[0]
            continue
        for theirs, ours in part.names.renamed:
            rest = rest.replace(theirs, ours)
        ours = part.ours + rest
        if ours in sources and not _halves(sources[ours][0], name):
            raise ValueError(f"{sources[ours][0]} and {name} both become {ours}")
        sources[ours] = (*sources.get(ours, ()), name)
    if unknown:
        raise ValueError(
            f"{len(unknown)} tensors are not known here, such as {', '.join(unknown[:5])}; "
            "is this the file that the command asks for?"
        )
    return Plan({ours: tuple(sorted(given)) for ours, given in sources.items()}, dropped)


def by_reason(dropped: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Of each reason its names, out of names and why they are left out."""
    reasons: dict[str, list[str]] = {}
    for name, why in dropped:
        reasons.setdefault(why, []).append(name)
    return reasons


def made(sources: tuple[str, ...], read: Callable[[str], Tensor]) -> Tensor:
    """One of our tensors, out of those that `Plan.sources` names.

    Raises:
        ValueError: a bias of queries without one of values, or the other way round.
    """
    if len(sources) == 2:
        query, value = map(read, sources)
        return torch.cat([query, torch.zeros_like(query), value])
    (name,) = sources
    if name.endswith((QUERY_BIAS, VALUE_BIAS)):
        raise ValueError(f"the file has {name}, but not the bias that belongs to it")
    return read(name)


def renamed(state: Mapping[str, Tensor], parts: Sequence[Part | Dropped]) -> dict[str, Tensor]:
    """A state dict of ours out of one that is in memory."""
    return {
        ours: made(sources, state.__getitem__)
        for ours, sources in plan(state, parts).sources.items()
    }


def _halves(one: str, other: str) -> bool:
    """Whether these are the biases of queries and values of one attention."""
    return {one.removesuffix(QUERY_BIAS), one.removesuffix(VALUE_BIAS)} & {
        other.removesuffix(QUERY_BIAS),
        other.removesuffix(VALUE_BIAS),
    } != set() and one != other
