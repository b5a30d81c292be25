"""Figures of the core by itself, its baselines beside it, and of what became of its words.

Names end in what was taken from the core: `_blind` and `_shuffled` (no picture, that of another),
`_deaf` and `_other_sound` (the same of sounds). An answer that cannot be read is wrong.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from nuthatch.training.evaluate.core_alone import BOTH, FORMS, SIGHT
from nuthatch.training.evaluate.pope import SETTINGS, accuracy, confusion, f1, yes_ratio
from nuthatch.training.evaluate.records import Row
from nuthatch.training.evaluate.statistics import (
    Interval,
    Numbers,
    bootstrap,
    clustered_proportion,
    divide,
    proportion,
)

Figures = dict[str, Interval]
MOST_COUNTED = 4
DEAF = ("", "deaf", "other_sound")


def sight(rows: Sequence[Row], suffix: str = "") -> Figures:
    """Of the rows of `core_alone.look`; names end in `suffix` before what was taken away."""
    figures: Figures = {}
    for taken in SIGHT:
        end = f"{suffix}{taken and '_' + taken}"
        figures |= _pope(rows, taken, end)
        figures[f"core_count_macro{end}"] = _count_macro(rows, taken)
        figures |= _caption(
            [_asked(row, "caption") for row in rows], lambda each, t=taken: each["read"][t], end
        )
        for kind in FORMS:
            figures[f"core_form_{kind}{end}"] = _right(rows, f"form {kind}", taken)
    return figures


def hearing(rows: Sequence[Row], suffix: str = "") -> Figures:
    """Of the rows of `core_alone.listen`: all events of a clip, and no other."""
    return {
        f"core_sound_pair{suffix}{taken and '_' + taken}": _right(rows, "sound", taken)
        for taken in DEAF
    }


def senses(rows: Sequence[Row]) -> Figures:
    """Of the rows of `core_alone.relate`. Sound to object: one event, its maker in sight. Two
    senses: all clips; those whose makers are out of sight have none."""
    plain = [row for row in rows if len(row["events"]) == 1 and _asked(row, "source")[0]["truth"]]
    figures: Figures = {}
    for taken in BOTH:
        end = taken and f"_{taken}"
        figures[f"core_sound_to_object{end}"] = _right(plain, "source", taken)
        figures[f"core_two_senses{end}"] = _right(rows, "source", taken)
    return figures


def checked(rows: Sequence[Row]) -> Figures:
    """Of the rows of `core_checked.check`: the core alone, and after the verifier."""
    figures: Figures = {}
    for who, end in (("core", "_unverified"), ("verified", "_verified")):
        for setting in SETTINGS:
            groups = [[e for e in row["pope"] if e["setting"] == setting] for row in rows]
            figures |= _polled(groups, lambda each, w=who: each[w], f"core_pope_{setting}", end)
        key = "caption" if who == "core" else "caption_verified"
        asked = [[{"truth": row["counts"], "read": {"": row[key]}}] for row in rows]
        figures |= _caption(asked, lambda each: each["read"][""], end)
    return figures


def verdicts(rows: Sequence[Row]) -> list[Row]:
    """The rows of `core_checked.check` as `checking.deciders` takes them, POPE answers included.

    The claim of a yes is that the thing is there, that of a no that it is not.
    """
    told = []
    for row in rows:
        polled = [
            {"rule": rule, "verdict": verdict, "true": each["label"] == each["core"]}
            for each in row["pope"]
            if each["core"] is not None
            for rule, verdict in each["verdicts"]
        ]
        told.append({"written": {"verdicts": [*row["written"]["verdicts"], *polled]}})
    return told


def by_count(rows: Sequence[Row]) -> dict[str, Interval]:
    """Share of counting questions answered right, by the true number."""
    asked = [each for row in rows for each in _asked(row, "count")]
    groups = {str(n): [e for e in asked if e["truth"] == n] for n in range(7)}
    return {
        number: proportion(sum(e["read"][""] == e["truth"] for e in group), len(group))
        for number, group in groups.items()
    }


# -- one kind at a time ---------------------------------------------------------------------------


def _asked(row: Row, kind: str) -> list[Row]:
    return [each for each in row["asked"] if each["kind"] == kind]


def _right(rows: Sequence[Row], kind: str, taken: str) -> Interval:
    asked = [_asked(row, kind) for row in rows]
    return clustered_proportion(
        [sum(each["read"][taken] == each["truth"] for each in group) for group in asked],
        [len(group) for group in asked],
    )


def _pope(rows: Sequence[Row], taken: str, end: str) -> Figures:
    figures: Figures = {}
    for setting in SETTINGS:
        groups = []
        for row in rows:
            names = {name.split(" ", 1)[1] for name in row["settings"] if _of(name, setting)}
            groups.append(
                [
                    {"label": each["truth"], "said": each["read"][taken]}
                    for each in _asked(row, "pope")
                    if each["category"] in names
                ]
            )
        figures |= _polled(groups, lambda each: each["said"], f"core_pope_{setting}", end)
    return figures


def _of(name: str, setting: str) -> bool:
    return name.startswith(f"{setting} ")


def _polled(groups: Sequence[Sequence[Row]], said: Any, name: str, end: str) -> Figures:
    """Accuracy, F1 and the share of yes; what cannot be read is wrong, and is no yes."""
    tables: dict[str, list[list[int]]] = {"right": [], "yes": []}
    for group in groups:
        labels = [each["label"] for each in group]
        answers = [said(each) for each in group]
        wrong_if_none = [
            not label if answer is None else answer
            for label, answer in zip(labels, answers, strict=True)
        ]
        tables["right"].append(confusion(labels, wrong_if_none))
        tables["yes"].append(confusion(labels, [answer is True for answer in answers]))
    n = sum(len(group) for group in groups)
    return {
        f"{name}_accuracy{end}": bootstrap(tables["right"], accuracy, n=n),
        f"{name}_f1{end}": bootstrap(tables["right"], f1, n=n),
        f"{name}_yes_ratio{end}": bootstrap(tables["yes"], yes_ratio, n=n),
    }


def _count_macro(rows: Sequence[Row], taken: str) -> Interval:
    """The mean over true numbers 0 to 4 of the share answered right."""
    table = np.zeros((len(rows), 2, MOST_COUNTED + 1))
    for index, row in enumerate(rows):
        for each in _asked(row, "count"):
            if each["truth"] <= MOST_COUNTED:
                table[index, 0, each["truth"]] += each["read"][taken] == each["truth"]
                table[index, 1, each["truth"]] += 1
    flat = table.reshape(len(rows), -1)
    return bootstrap(flat, _macro, n=int(table[:, 1].sum()))


def _macro(sums: Numbers) -> Numbers:
    """Of (..., right by number then asked by number); numbers never asked are left out."""
    right, asked = np.split(sums, 2, axis=-1)
    shares = divide(right, asked)
    there = ~np.isnan(shares)
    return divide(np.where(there, shares, 0).sum(axis=-1), there.sum(axis=-1).astype(float))


def _caption(asked: Iterable[Sequence[Row]], read: Any, end: str) -> Figures:
    """Of the categories named, those that are there; of those that are there, the ones named."""
    hits, said, there = [], [], []
    for group in asked:
        pairs: list[tuple[set[str], Mapping[str, int]]] = [
            (set(read(each)), each["truth"]) for each in group
        ]
        hits.append(sum(len(named & set(counts)) for named, counts in pairs))
        said.append(sum(len(named) for named, _ in pairs))
        there.append(sum(len(counts) for _, counts in pairs))
    return {
        f"core_caption_precision{end}": clustered_proportion(hits, said),
        f"core_caption_recall{end}": clustered_proportion(hits, there),
    }
