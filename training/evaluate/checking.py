"""Verification on trial: POPE answers and descriptions with known errors, corrected in one run.

Three answer each POPE question: a writer who is wrong in a fifth of the answers, the detector alone
at its own threshold, and the writer again after verification. What the verifier does with longer
texts is told fact by fact.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nuthatch.tools.detection.detectors import Detector
from nuthatch.tools.verification.correction import Item
from nuthatch.tools.verification.types import Correction, Verdict
from nuthatch.tools.verifier import Verifier
from nuthatch.training.evaluate.pope import (
    SETTINGS,
    Blind,
    Question,
    accuracy,
    ask,
    asked_for,
    confusion,
    f1,
    official,
    strict,
    yes_ratio,
)
from nuthatch.training.evaluate.records import Row
from nuthatch.training.evaluate.repairs import fates
from nuthatch.training.evaluate.statistics import (
    Interval,
    bootstrap,
    clustered_proportion,
    difference,
)
from nuthatch.training.evaluate.writer import ERROR_RATE, FactKind, Phrase, Truth, write
from nuthatch.training.world.company import Company
from nuthatch.training.world.scenes import Scene
from nuthatch.training.world.sounds import Clip

FACT_KINDS: tuple[FactKind, ...] = ("existence", "count", "tint", "relation", "absence", "sound")
ANSWERERS = ("writer", "detector", "verified")
_CLAIM_OF = {"existence": "existence", "absence": "existence", "tint": "attribute"}


def check(
    scenes: Sequence[Scene],
    clips: Sequence[Clip | None],
    verifier: Verifier,
    detector: Detector,
    company: Company,
) -> list[Row]:
    """One row a scene: its POPE questions with all answers, and what became of a text about it."""
    polled = [polls(scene, company, scene.seed) for scene in scenes]
    guessed = [
        guesses(questions, scene.seed) for questions, scene in zip(polled, scenes, strict=True)
    ]
    truths = [
        Truth.of(scene, clip.events if clip else ())
        for scene, clip in zip(scenes, clips, strict=True)
    ]
    texts = [write(truth, company, [each.seed]) for truth, each in zip(truths, scenes, strict=True)]
    items: list[Item] = []
    for scene, clip, guess, text in zip(scenes, clips, guessed, texts, strict=True):
        for name, yes in guess.items():
            items.append(Item("Yes." if yes else "No.", asked_for(name), scene.image))
        items.append(Item(text.text, None, scene.image, clip.samples if clip else None))
    corrections = iter(verifier.correct_many(items))
    detected = detector_says(detector, scenes, polled)
    rows = []
    for questions, guess, seen, text, truth in zip(
        polled, guessed, detected, texts, truths, strict=True
    ):
        verified = {name: next(corrections) for name in guess}
        rows.append(
            {
                "pope": poll_rows(questions, guess, seen, verified),
                "written": text_row(text, next(corrections), truth),
            }
        )
    return rows


# -- POPE -----------------------------------------------------------------------------------------


def polls(scene: Scene, company: Company, seed: int) -> list[Question]:
    """The POPE questions of all settings about a scene."""
    present = list(scene.counts())
    return [each for setting in SETTINGS for each in ask(present, company, setting, [seed])]


def guesses(questions: Sequence[Question], seed: int) -> dict[str, bool]:
    """The writer's answer about each category, wrong in a fifth of the cases."""
    rng = np.random.default_rng([seed, len(questions)])
    labels = {each.category: each.label for each in questions}
    return {name: labels[name] != bool(rng.random() < ERROR_RATE) for name in sorted(labels)}


def detector_says(
    detector: Detector, scenes: Sequence[Scene], polled: Sequence[Sequence[Question]]
) -> list[dict[str, bool]]:
    """For each scene and category asked for: does the detector find one at its own threshold?"""
    labels = [sorted({each.category for each in questions}) for questions in polled]
    images = [scene.image for scene in scenes]
    found = detector.find(images, labels, threshold=detector.threshold)
    return [
        {name: any(each.label == name for each in there) for name in names}
        for names, there in zip(labels, found, strict=True)
    ]


def poll_rows(
    questions: Sequence[Question],
    by_writer: Mapping[str, bool],
    by_detector: Mapping[str, bool],
    verified: Mapping[str, Correction],
) -> list[Row]:
    """One record a question, raw answers included, so that another reading can score them."""
    return [
        {
            "setting": each.setting,
            "category": each.category,
            "label": each.label,
            "positive_of": each.positive_of,
            "writer": by_writer[each.category],
            "detector": by_detector[each.category],
            "verified": official(verified[each.category].final),
            "text": verified[each.category].final,
            "rules": [verdict.rule for verdict in verified[each.category].verdicts],
        }
        for each in questions
    ]


# -- the writer's texts ---------------------------------------------------------------------------


def text_row(written: Phrase, correction: Correction, truth: Truth) -> Row:
    """What became of a text: fact by fact, verdict by verdict."""
    fate = fates(written, correction.edits, truth)
    return {
        "draft": written.text,
        "final": correction.final,
        "choice": correction.choice,
        "facts": [
            {"kind": fact.kind, "right": fact.right, "fate": end}
            for fact, end in zip(written.facts, fate, strict=True)
        ],
        "verdicts": [
            {
                "kind": verdict.claim.kind,
                "verdict": verdict.verdict,
                "rule": verdict.rule,
                "probability": verdict.probability,
                "true": _is_true(verdict, written),
            }
            for verdict in correction.verdicts
        ],
    }


def _is_true(verdict: Verdict, written: Phrase) -> bool | None:
    """Whether the claim is true, by the writer's own record; None for claims not on record."""
    start, end = verdict.claim.span
    for fact in written.facts:
        kind = _CLAIM_OF.get(fact.kind, fact.kind)
        if kind == verdict.claim.kind and fact.span[0] < end and start < fact.span[1]:
            return fact.right
    return None


# -- figures --------------------------------------------------------------------------------------


def pope_figures(rows: Sequence[Row], blind: Mapping[str, Blind]) -> dict[str, Interval]:
    """F1, accuracy and share of yes by setting and answerer; gains of verification, paired.

    Answers are read as POPE's released code does; `pope_answers_unread` is the share of verified
    ones that are plainly neither yes nor no.
    """
    figures: dict[str, Interval] = {}
    for setting in SETTINGS:
        groups = [[each for each in row["pope"] if each["setting"] == setting] for row in rows]
        answered: dict[str, list[list[bool]]] = {
            "blind": [[blind[setting].answer(e["category"]) for e in group] for group in groups],
            **{who: [[e[who] for e in group] for group in groups] for who in ANSWERERS},
        }
        counts = {
            who: [
                confusion([each["label"] for each in group], said)
                for group, said in zip(groups, by_scene, strict=True)
            ]
            for who, by_scene in answered.items()
        }
        n = sum(len(group) for group in groups)
        for measure, statistic in (
            ("f1", f1),
            ("accuracy", accuracy),
            ("yes_ratio", yes_ratio),
        ):
            for who, table in counts.items():
                figures[f"pope_{setting}_{measure}_{who}"] = bootstrap(table, statistic, n=n)
        gain = difference(counts["verified"], counts["detector"], f1)
        figures[f"pope_{setting}_f1_gain_over_detector"] = gain._replace(n=n)
    figures["pope_answers_unread"] = clustered_proportion(
        [sum(strict(each["text"]) is None for each in row["pope"]) for row in rows],
        [len(row["pope"]) for row in rows],
    )
    return figures


def repair_figures(rows: Sequence[Row]) -> dict[str, Interval]:
    """What verification did to a writer's texts."""
    texts = [row["written"] for row in rows]
    figures = _repaired([text["facts"] for text in texts])
    verdicts = [text["verdicts"] for text in texts]
    decided = [[v for v in each if v["verdict"] != "not_enough_evidence"] for each in verdicts]
    figures["claims_undecided"] = clustered_proportion(
        [len(each) - len(sure) for each, sure in zip(verdicts, decided, strict=True)],
        [len(each) for each in verdicts],
    )
    known = [[v for v in each if v["true"] is not None] for each in decided]
    figures["verdicts_right"] = clustered_proportion(
        [sum((v["verdict"] == "supported") == v["true"] for v in each) for each in known],
        [len(each) for each in known],
    )
    return {
        "errors_removed": figures["removed"],
        "harm": figures["harmed"],
        "errors_hedged": figures["wrong_hedged"],
        "right_hedged": figures["right_hedged"],
        "claims_undecided": figures["claims_undecided"],
        "verdicts_right": figures["verdicts_right"],
    }


def by_fact_kind(rows: Sequence[Row]) -> dict[str, dict[str, Interval]]:
    """Removed, harmed and hedged for each kind of fact."""
    return {
        kind: _repaired([[f for f in row["written"]["facts"] if f["kind"] == kind] for row in rows])
        for kind in FACT_KINDS
    }


def deciders(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """For each rule: how often it decided, and how often it was right where that is known."""
    verdicts = [v for row in rows for v in row["written"]["verdicts"]]
    table = {}
    for rule, count in Counter(verdict["rule"] for verdict in verdicts).most_common():
        group = [v for v in verdicts if v["rule"] == rule]
        decided = [v for v in group if v["verdict"] != "not_enough_evidence"]
        known = [v for v in decided if v["true"] is not None]
        right = sum((v["verdict"] == "supported") == v["true"] for v in known)
        table[rule] = {"verdicts": count, "known": len(known), "right": right}
    return table


def reliability(rows: Sequence[Row]) -> list[dict[str, float]]:
    """In ten steps of the verdicts' probability: its mean, the share that was true, how many."""
    known = [v for row in rows for v in row["written"]["verdicts"] if v["true"] is not None]
    table = []
    for step in range(10):
        group = [v for v in known if min(9, int(v["probability"] * 10)) == step]
        if group:
            table.append(
                {
                    "probability": float(np.mean([v["probability"] for v in group])),
                    "true": float(np.mean([v["true"] for v in group])),
                    "n": len(group),
                }
            )
    return table


def _repaired(facts: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, Interval]:
    wrong = [[fact["fate"] for fact in each if not fact["right"]] for each in facts]
    right = [[fact["fate"] for fact in each if fact["right"]] for each in facts]

    def share(groups: list[list[str]], *wanted: str) -> Interval:
        return clustered_proportion(
            [sum(fate in wanted for fate in group) for group in groups],
            [len(group) for group in groups],
        )

    return {
        "removed": share(wrong, "right", "gone"),
        "harmed": share(right, "wrong", "gone"),
        "wrong_hedged": share(wrong, "hedged"),
        "right_hedged": share(right, "hedged"),
    }
