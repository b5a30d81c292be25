"""What the evaluation of planning shows: planners side by side, by set, by tool, by kind."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from nuthatch.training.evaluate.report import (
    LINE,
    Sections,
    flat,
    frame,
    legend,
    mark,
    sheet,
)
from nuthatch.training.evaluate.statistics import Interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {"first_span": "#b8c2cc", "rules": "#c9803a", "core": "#1f6f4a"}
_NAMES = {"first_span": "first span", "rules": "rules", "core": "core"}
_CALLS = ("valid_calls", "dangling_handles", "unnecessary_calls", "refused_turns")
_PARTS = ("tools_right", "arguments_right", "exact")


def name_of(figure: str, planner: str) -> str:
    """`first_turn_seen` of the rules planner is `first_turn_seen_rules`; of the core itself."""
    return figure if planner == "core" else f"{figure}_{planner}"


def show(
    figures: Mapping[str, Interval],
    details: Mapping[str, Any],
    sets: Sequence[str],
    console: Console,
) -> None:
    """Four tables."""
    planners = [each for each in COLOURS if name_of("first_turn_requests", each) in figures]
    turns = _table("right first turn", planners)
    for kind in sets:
        shown = [figures[name_of(f"first_turn_{kind}", each)] for each in planners]
        turns.add_row(kind.replace("_", " "), str(shown[0].n), *map(_cell, shown))
    console.print(turns)
    best = planners[-1]
    parts = Table(f"{_NAMES[best]}: share of turns", *_PARTS, box=None, header_style="dim")
    for kind in sets:
        shown = [figures[name_of(f"{part}_{kind}", best)] for part in _PARTS]
        parts.add_row(kind.replace("_", " "), *map(_cell, shown))
    console.print(parts)
    calls = _table("calls", planners)
    for name in _CALLS:
        shown = [figures[name_of(name, each)] for each in planners]
        calls.add_row(name.replace("_", " "), str(shown[-1].n), *map(_cell, shown))
    seconds = [figures[name_of("seconds_per_turn", each)] for each in planners]
    calls.add_row("seconds per turn", str(seconds[-1].n), *(f"{s.value:.4f}" for s in seconds))
    console.print(calls)
    for title, table in (("held-out sets, by tool", "tools"), ("requests, by kind", "requests")):
        rows = _table(title, planners)
        for name, shown_by in details[table].items():
            shown = [shown_by[each] for each in planners]
            rows.add_row(name, str(shown[0].n), *map(_cell, shown))
        console.print(rows)


def _table(title: str, planners: Sequence[str]) -> Table:
    table = Table(title, box=None, header_style="dim")
    for heading in ("n", *(_NAMES[each] for each in planners)):
        table.add_column(heading, justify="right")
    return table


def _cell(figure: Interval) -> str:
    if not figure.n:
        return "[dim]-[/]"
    return f"{figure.value:.3f} [dim]{figure.low:.2f}-{figure.high:.2f}[/]"


def plot(sections: Sections, sets: Sequence[str]) -> "Figure":
    """One panel: right first turns by set and planner."""
    figures = flat(sections)
    figure = sheet(11, 4.8)
    axes = figure.subplots()
    frame(axes, "Right first turns, by what is held out")
    planners = [each for each in COLOURS if name_of("first_turn_requests", each) in figures]
    for series, planner in enumerate(planners):
        for place, kind in enumerate(sets):
            shown = figures[name_of(f"first_turn_{kind}", planner)]
            at = place + (series - (len(planners) - 1) / 2) * 0.24
            label = None if place else _NAMES[planner]
            mark(axes, shown, at, COLOURS[planner], label=label)
            axes.annotate(
                f"{shown.value:.2f}", (at, shown.high), xytext=(0, 4), textcoords="offset points",
                ha="center", fontsize=7.5, color=COLOURS[planner],
            )  # fmt: skip
    axes.set_xticks(range(len(sets)), [kind.replace("_", " ") for kind in sets])
    axes.set_ylim(-0.02, 1.08)
    axes.grid(axis="y", color=LINE)
    legend(axes)
    return figure
