"""`progress.png`: the losses and the figures of a run over its steps."""

import json
from pathlib import Path

NO_LOSS = {"step", "norm", "lr", "seconds", "cpu_seconds"}


def draw_progress(out: Path) -> None:
    """Draw what `metrics.jsonl` in the run folder says, losses above, figures (0 to 1) below."""
    from matplotlib.figure import Figure

    path = out / "metrics.jsonl"
    if not path.is_file():
        return
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if not lines:
        return
    names = list(dict.fromkeys(name for line in lines for name in line if name not in NO_LOSS))
    # A loss stands in every line, a figure only where something was measured.
    figures = [name for name in names if any(name not in line for line in lines)]
    figure = Figure(figsize=(8, 8), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    for name in names:
        axes = below if name in figures else above
        points = [(line["step"], line[name]) for line in lines if name in line]
        axes.plot(*zip(*points, strict=True), label=name, marker="." if name in figures else None)
    above.set(ylabel="loss", yscale="log", title=out.name)
    below.set(xlabel="step", ylabel="figure", ylim=(0, 1))
    for axes in (above, below):
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize="small", ncols=2)
    figure.savefig(out / "progress.png", dpi=100)
