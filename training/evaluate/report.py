"""What an evaluation says: a table for people, `report.json` for machines, a plot."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from nuthatch.training.evaluate.pope import SETTINGS
from nuthatch.training.evaluate.statistics import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POPE = "POPE"
Sections = Mapping[str, Mapping[str, Interval]]
"""Title -> figure name -> figure."""

INK, QUIET, LINE = "#22313f", "#8795a1", "#dfe5ea"
COLOURS = {
    "blind": "#b8c2cc",
    "writer": "#c9803a",
    "detector": "#4a90a4",
    "verified": "#1f6f4a",
}


def flat(sections: Sections) -> dict[str, Interval]:
    """All figures by name."""
    return {name: figure for section in sections.values() for name, figure in section.items()}


def as_json(value: Any) -> Any:
    """Intervals, wherever they are, as `{"value", "low", "high", "n"}`; without cases n is 0."""
    if isinstance(value, Interval):
        return value._asdict()
    if isinstance(value, Mapping):
        return {key: as_json(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(inner) for inner in value]
    return value


def save(
    folder: Path,
    sections: Sections,
    details: Mapping[str, Any],
    settings: Mapping[str, Any],
    figure: "Figure | None" = None,
) -> None:
    """Write `report.json` and, where there is a figure, `plot.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    report = {
        "settings": settings,
        "figures": as_json(flat(sections)),
        "details": as_json(details),
    }
    (folder / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if figure is not None:
        figure.savefig(folder / "plot.png", dpi=150)


def show(sections: Sections, notes: Sequence[str], console: Console) -> None:
    """The figures as a table, then the notes."""
    table = Table("held out", box=None, header_style="dim")
    for heading in ("value", "95 %", "interval", "n"):
        table.add_column(heading, justify="right")
    for title, figures in sections.items():
        if title != POPE:
            table.add_row(f"[bold]{title}[/]")
            for name, figure in figures.items():
                ends = [f"[dim]{end:.3f}[/]" for end in (figure.low, figure.high)]
                table.add_row(f"  {name}", f"{figure.value:.3f}", *ends, f"[dim]{figure.n:,}[/]")
            table.add_row()
    console.print(table)
    if POPE in sections:
        console.print(_pope_table(sections[POPE]))
    for note in notes:
        console.print(f"[dim]{note}[/]", soft_wrap=True)


def _pope_table(figures: Mapping[str, Interval]) -> Table:
    """Settings and measures down, answerers across; intervals for F1."""
    table = Table("POPE", "", *COLOURS, "gain", box=None, header_style="dim")
    table.columns[0].no_wrap = True
    for setting in SETTINGS:
        for measure in ("f1", "accuracy", "yes_ratio"):
            shown = [figures[f"pope_{setting}_{measure}_{who}"] for who in COLOURS]
            if measure == "f1":
                cells = [_with_interval(figure) for figure in shown]
                gain = _with_interval(figures[f"pope_{setting}_f1_gain_over_detector"])
                table.add_row(f"[bold]{setting}[/]", measure, *cells, gain)
            else:
                table.add_row("", measure, *(f"{figure.value:.3f}" for figure in shown))
    table.caption = "gain: F1 of verified minus that of the detector alone, paired by scene"
    table.caption_justify = "left"
    return table


def _with_interval(figure: Interval) -> str:
    ends = " ".join(f"{end:.2f}".replace("0.", ".") for end in (figure.low, figure.high))
    return f"{figure.value:.3f}\n[dim]{ends}[/]"


def sheet(width: float, height: float) -> "Figure":
    """An empty figure, inches."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    spaces = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.15, wspace=0.05, hspace=0.05)
    return Figure(figsize=(width, height), layout=spaces, facecolor="white")


def plot(sections: Sections, details: Mapping[str, Any]) -> "Figure":
    """Four panels: models, POPE by setting, the corrected writer by kind of fact, counting."""
    models = {**sections["sight"], **sections["hearing"]}
    figure = sheet(13, 9)
    panels = figure.subplots(2, 2)
    _plot_models(panels[0, 0], models)
    _plot_pope(panels[0, 1], sections[POPE])
    _plot_repairs(panels[1, 0], details["facts"])
    _plot_counts(panels[1, 1], details["counts"])
    return figure


def _plot_models(axes: "Axes", figures: Mapping[str, Interval]) -> None:
    frame(axes, "What the models see and hear")
    names = list(figures)[::-1]
    for row, name in enumerate(names):
        unseen = name.endswith(("_unseen_style", "_variant", "_held_out"))
        colour = COLOURS["detector" if unseen else "verified"]
        mark(axes, figures[name], row, colour, across=True)
        axes.annotate(
            f"{figures[name].value:.3f}", (1.015, row), xycoords=("axes fraction", "data"),
            va="center", fontsize=8, color=INK,
        )  # fmt: skip
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.set_xlim(min([0.5, *(f.low for f in figures.values())]), 1.005)
    axes.grid(axis="x", color=LINE)


def _plot_pope(axes: "Axes", figures: Mapping[str, Interval]) -> None:
    frame(axes, "POPE: F1 of “Is there a ... in the image?”")
    for series, (who, colour) in enumerate(COLOURS.items()):
        for place, setting in enumerate(SETTINGS):
            figure = figures[f"pope_{setting}_f1_{who}"]
            at = place + (series - 1.5) * 0.23
            mark(axes, figure, at, colour, label=who if place == 0 else None)
            axes.annotate(
                f"{figure.value:.3f}", (at, figure.high), xytext=(0, 5),
                textcoords="offset points", ha="center", fontsize=7.5, color=colour,
            )  # fmt: skip
    axes.set_xticks(range(len(SETTINGS)), SETTINGS)
    axes.set_xlim(-0.5, 2.5)
    lowest = min(figures[f"pope_{setting}_f1_{who}"].low for setting in SETTINGS for who in COLOURS)
    axes.set_ylim(max(0.0, lowest - 0.03), 1.03)
    axes.grid(axis="y", color=LINE)
    legend(axes)


def _plot_repairs(axes: "Axes", facts: Mapping[str, Mapping[str, Interval]]) -> None:
    frame(axes, "A writer with 20 % errors, corrected")
    for place, figures in enumerate(facts.values()):
        for name, colour, side in (("removed", "verified", -0.12), ("harmed", "writer", 0.12)):
            figure = figures[name]
            label = f"{'wrong' if name == 'removed' else 'right'} facts {name}"
            mark(axes, figure, place + side, COLOURS[colour], label=None if place else label)
            axes.annotate(
                f"{figure.value:.1%}", (place + side, figure.high), xytext=(0, 4),
                textcoords="offset points", ha="center", fontsize=7.5, color=COLOURS[colour],
            )  # fmt: skip
    axes.set_xticks(range(len(facts)), list(facts))
    axes.set_ylim(-0.03, 1.08)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    axes.grid(axis="y", color=LINE)
    legend(axes)


def _plot_counts(axes: "Axes", counts: Mapping[str, Interval]) -> None:
    frame(axes, "Counting through tools, by the true count")
    for place, figure in enumerate(counts.values()):
        mark(axes, figure, place, COLOURS["verified"])
        axes.annotate(
            f"{figure.value:.2f}", (place, figure.high), xytext=(0, 4),
            textcoords="offset points", ha="center", fontsize=8, color=INK,
        )  # fmt: skip
    axes.set_xticks(range(len(counts)), list(counts))
    axes.set_ylim(0, 1.08)
    axes.set_ylabel("share answered right", color=QUIET, fontsize=8)
    axes.grid(axis="y", color=LINE)


def legend(axes: "Axes") -> None:
    """Below the panel, where it hides nothing."""
    axes.legend(
        frameon=False, fontsize=8.5, labelcolor=INK, ncols=4, handletextpad=0.1,
        loc="upper left", bbox_to_anchor=(0.0, -0.07),
    )  # fmt: skip


def frame(axes: "Axes", title: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, color=INK, fontweight="bold", pad=10)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=8.5, labelcolor=INK)
    for side in axes.spines.values():
        side.set_visible(False)


def mark(
    axes: "Axes",
    figure: Interval,
    at: float,
    colour: str,
    *,
    across: bool = False,
    label: str | None = None,
) -> None:
    """A dot at the value and a bar over the interval; nothing where nothing was measured."""
    if not figure.n:
        return
    ends, places = (figure.low, figure.high), (at, at)
    x, y = (ends, places) if across else (places, ends)
    axes.plot(x, y, color=colour, linewidth=2.2, alpha=0.45, solid_capstyle="round")
    point = (figure.value, at) if across else (at, figure.value)
    axes.plot(*point, "o", color=colour, markersize=6, label=label)
