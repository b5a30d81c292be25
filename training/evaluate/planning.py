"""First turns of planners, side by side: `nuthatch evaluate planning`.

The core, the rules planner and the first-span baseline plan the same requests: some written by
hand, the others drawn from held-out sets. Rows are kept on disk, so that a run that stops goes on.
"""

import os
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from rich.console import Console

import nuthatch
from nuthatch.agent.planner import Planner
from nuthatch.agent.rules import RulesPlanner
from nuthatch.training.evaluate import cores, planning_report, report
from nuthatch.training.evaluate.first_span import FirstSpanPlanner
from nuthatch.training.evaluate.first_turns import DRAWN, drawn, of_request, planned
from nuthatch.training.evaluate.records import Part, Row, fingerprint, measure
from nuthatch.training.evaluate.requests import Request, read_requests
from nuthatch.training.evaluate.statistics import (
    Interval,
    difference,
    median,
    proportion,
    ratio,
)

REQUESTS = Path(nuthatch.__file__).parents[1] / "tests" / "data" / "requests.jsonl"
"""160 requests written by hand: never trained on."""
NONE = "none"
"""In the place of weights: the baselines alone."""
SETS = (*DRAWN, "requests")
SUFFIXES = {"core": "", "rules": "_rules", "first_span": "_first_span"}
"""What the figures of a planner end in."""
Rows = Mapping[tuple[str, str], Sequence[Row]]
"""(planner, set) -> rows; the set "forced" holds calls drawn at random."""


def evaluate(
    *,
    requests: Path | None = None,
    n: int = 300,
    seed: int = 0,
    weights: str = "",
    out: Path = Path("runs/evaluate/planning"),
    quiet: bool = False,
) -> dict[str, dict[str, float]]:
    """Measure first turns; write `report.json` and `plot.png` into `out`.

    Args:
        requests: file of requests written by hand (see `requests`); by default those of the clone.
        n: cases of each held-out set.
        seed: which cases; the same seed gives the same ones at every n.
        weights: folder of a core; by default the one that ships; "random" for weights that nobody
            trained; "none" for the baselines alone.
        out: folder of the report and of the rows, from which a stopped run goes on.
        quiet: print nothing; progress still goes to the error stream.

    Returns:
        Name -> value, low, high (95 % interval), n.

    Raises:
        ValueError: n below 1, a negative seed, or a line of the file that is no request.
        OSError: the file of requests cannot be read.
        ToolUnavailable: there is no core; the message names the ways to have one.
    """
    if n < 1 or seed < 0:
        raise ValueError(f"given n={n}, seed={seed}; expected n of at least 1, seed of at least 0")
    path = requests or REQUESTS
    asked = len(read_requests(path))
    if weights != NONE:
        cores.load(weights)
    planners = [name for name in SUFFIXES if name != "core" or weights != NONE]
    parts = _parts(planners, str(path), asked, n, seed, weights)
    mark = fingerprint(
        *("tools", "agent", "mllm", "training/data", "training/evaluate", "training/world"),
        also=[path, *cores.files(weights)],
    )
    # One process: seconds are told, and processes side by side would share the cores.
    measured = measure(parts, out / f"rows_{mark}_{seed}{weights and '_' + _short(weights)}")
    rows = {tuple(name.split("-")): found for name, found in measured.items()}
    sections = _figures(rows, planners)  # type: ignore[arg-type]
    details = _details(rows, planners)  # type: ignore[arg-type]
    settings = {
        **{"cases": n, "seed": seed, "requests": str(path), "weights": weights or "embedded"},
        **{"nuthatch": nuthatch.__version__, "torch": torch.__version__, "code": mark},
        "cores": os.cpu_count(),
    }
    shown = [name for name in SETS if name != "no_tool"]
    report.save(out, sections, details, settings, planning_report.plot(sections, shown))
    if not quiet:
        planning_report.show(report.flat(sections), details, shown, Console())
    figures: dict[str, dict[str, float]] = report.as_json(report.flat(sections))
    return figures


# -- what is measured -----------------------------------------------------------------------------


def _parts(
    planners: Sequence[str], path: str, asked: int, n: int, seed: int, weights: str
) -> list[Part]:
    parts = [
        Part(
            f"{planner}-{kind}",
            asked if kind == "requests" else n,
            partial(_plan, planner, kind, path, seed, weights),
        )
        for planner in planners
        for kind in SETS
    ]
    if "core" in planners:
        work = partial(_plan, "caller", "forced", path, seed, weights)
        parts.append(Part("core-forced", max(1, n // 4), work))
    return parts


def _plan(
    planner: str, kind: str, path: str, seed: int, weights: str, indices: Sequence[int]
) -> list[Row]:
    rows = []
    with TemporaryDirectory() as home:
        for index in indices:
            if kind == "requests":
                case = of_request(_requests(path)[index])
            elif kind == "forced":  # in turn of every set in which a tool can be called
                sets = [each for each in DRAWN if each != "no_tool"]
                case = drawn(sets[index % len(sets)], seed, index)
            else:
                case = drawn(kind, seed, index)
            row = planned(_planner(planner, weights), case, Path(home), index)
            rows.append({"index": index, **row})
    return rows


@cache
def _requests(path: str) -> list[Request]:
    return read_requests(Path(path))


@cache
def _planner(name: str, weights: str) -> Planner:
    if name == "rules":
        return RulesPlanner()
    if name == "first_span":
        return FirstSpanPlanner()
    return cores.planner(cores.load(weights), always_call=name == "caller")


def _short(weights: str) -> str:
    return Path(weights).name


# -- what comes of it -----------------------------------------------------------------------------


def _figures(rows: Rows, planners: Sequence[str]) -> dict[str, dict[str, Interval]]:
    sections: dict[str, dict[str, Interval]] = {"first turns": {}, "parts": {}, "calls": {}}
    for planner in planners:
        suffix = SUFFIXES[planner]
        for kind in SETS:
            found = rows[planner, kind]
            sections["first turns"][f"first_turn_{kind}{suffix}"] = _share(found, "right")
            for measure_ in ("exact", "tools_right"):
                sections["parts"][f"{measure_}_{kind}{suffix}"] = _share(found, measure_)
            known = [row for row in found if row["tools_right"] and row["calls"]]
            sections["parts"][f"arguments_right_{kind}{suffix}"] = _share(known, "right")
        everything = [row for (who, _), found in rows.items() if who == planner for row in found]
        plain = [row for kind in SETS for row in rows[planner, kind]]
        sections["calls"] |= {
            f"{name}{suffix}": figure for name, figure in _calls(everything, plain).items()
        }
    if "core" in planners:
        right = [
            [[row["right"], 1] for row in rows[planner, "requests"]]
            for planner in ("core", "rules")
        ]
        gain = difference(right[0], right[1], ratio)
        sections["first turns"]["first_turn_requests_gain_over_rules"] = gain
    return sections


def _calls(everything: Sequence[Row], plain: Sequence[Row]) -> dict[str, Interval]:
    """Of all calls, those that a tool would take and the handles that name nothing; of turns that
    need none, those with a call; seconds; talks for which there was no room."""
    calls = sum(row["calls"] for row in everything)
    needless = [row for row in plain if all(not turn for turn in row["expect"])]
    return {
        "valid_calls": proportion(sum(row["valid"] for row in everything), calls),
        "dangling_handles": proportion(sum(row["dead"] > 0 for row in everything), len(everything)),
        "unnecessary_calls": proportion(sum(row["calls"] > 0 for row in needless), len(needless)),
        "refused_turns": proportion(
            sum(row["refused"] is not None for row in everything), len(everything)
        ),
        "seconds_per_turn": median([row["seconds"] for row in plain]),
    }


def _details(rows: Rows, planners: Sequence[str]) -> dict[str, Any]:
    """Right first turns by the tool wanted first (held-out sets), and by kind of request."""
    drawn_sets = [kind for kind in DRAWN if kind not in ("unseen_tools", "no_tool")]
    by_tool: dict[str, dict[str, Interval]] = {}
    by_kind: dict[str, dict[str, Interval]] = {}
    for planner in planners:
        found = [row for kind in drawn_sets for row in rows[planner, kind]]
        for tool, group in _grouped(found, lambda row: row["expect"][0][0][0]).items():
            by_tool.setdefault(tool, {})[planner] = _share(group, "right")
        asked = rows[planner, "requests"]
        for kind, group in _grouped(asked, lambda row: row["kind"]).items():
            by_kind.setdefault(kind, {})[planner] = _share(group, "right")
    return {"tools": by_tool, "requests": by_kind}


def _grouped(rows: Sequence[Row], key: Any) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return dict(sorted(groups.items()))


def _share(rows: Sequence[Row], name: str) -> Interval:
    return proportion(sum(row[name] for row in rows), len(rows))
