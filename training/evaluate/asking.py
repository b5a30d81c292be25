"""Questions to the whole agent, from planner to gate: right or wrong, and how long it took."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from nuthatch.agent.agent import Agent, PlannerFailed
from nuthatch.tools.vocabulary import SOUNDS, TINTS, plural, with_article
from nuthatch.training.evaluate.pope import ask, strict
from nuthatch.training.evaluate.records import Row
from nuthatch.training.evaluate.statistics import Interval, median, proportion
from nuthatch.training.evaluate.writer import MIRRORED, NUMBER_WORDS, Truth
from nuthatch.training.world.company import Company
from nuthatch.training.world.scenes import Scene
from nuthatch.training.world.sounds import Clip

KINDS = ("count", "existence", "tint", "relation", "sound", "source")
Question = tuple[str, Any]
"""What is asked, and the right answer as `read` gives it."""


def question(kind: str, scene: Scene, clip: Clip, company: Company, seed: int) -> Question | None:
    """A question of this kind about the scene; None where it has nothing to ask about."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    truth = Truth.of(scene)
    if kind == "count":
        return (
            f"How many {plural(scene.focus)} are there?",
            truth.counts.get(scene.focus, 0),
        )
    if kind == "existence":
        asked = ask(list(truth.counts), company, "adversarial", [seed])
        chosen = asked[int(rng.integers(len(asked)))]
        return f"Is there {with_article(chosen.category)} in the picture?", chosen.label
    if kind == "tint":
        tinted = [n for n, c in truth.counts.items() if c == 1 and None not in truth.tints[n]]
        if not tinted:
            return None
        name = tinted[int(rng.integers(len(tinted)))]
        (tint,) = truth.tints[name]
        return f"What colour is the {name}?", tint
    if kind == "relation":
        known = sorted(truth.relations)
        if not known:
            return None
        first, name, second = known[int(rng.integers(len(known)))]
        true = bool(rng.random() < 0.5)
        return f"Is the {first} {name if true else MIRRORED[name]} the {second}?", true
    if kind == "sound":
        return "What can you hear?", sorted(clip.events)
    makers = {SOUNDS[event].object for event in clip.events}
    return "Which object makes this sound?", sorted(makers & set(truth.counts))


def read(kind: str, text: str) -> Any:
    """What an answer says, by plain words; None if it says nothing of the kind."""
    words = re.findall(r"[\w']+", text.lower())
    if kind == "count":
        for word in words:
            if word in NUMBER_WORDS:
                return NUMBER_WORDS.index(word)
            if word.isdecimal():
                return int(word)
        return None
    if kind in ("existence", "relation"):
        return strict(text)
    if kind == "tint":
        return next((word for word in words if word in TINTS), None)
    if kind == "sound":
        return sorted(event for event in SOUNDS if event in words)
    named = []
    for name in sorted({sound.object for sound in SOUNDS.values()}):
        found = re.findall(rf"\b(no )?(?:{name}|{plural(name)})\b", text.lower())
        if found and "no " not in found:
            named.append(name)
    return named


def interview(
    agent: Agent,
    scene: Scene,
    clip: Clip,
    kinds: Sequence[str],
    company: Company,
    seed: int,
) -> list[Row]:
    """Ask what can be asked of these kinds; one record a question."""
    asked: list[Row] = []
    for kind in kinds:
        given = question(kind, scene, clip, company, seed)
        if given is None:
            continue
        text, truth = given
        audio = clip.samples if kind in ("sound", "source") else None
        try:
            answer = agent.ask(text, image=scene.image, audio=audio)
        except PlannerFailed as error:  # no room for the talk; no answer is no right one
            asked.append({"kind": kind, "question": text, "truth": truth, **_failed(error)})
            continue
        asked.append(
            {
                "kind": kind,
                "question": text,
                "truth": truth,
                "draft": answer.draft,
                "answer": answer.text,
                "right_before": read(kind, answer.draft) == truth,
                "right": answer.finished and read(kind, answer.text) == truth,
                "seconds": round(answer.timing.total, 4),
                "verdicts": [[each.rule, each.verdict] for each in answer.verdicts],
            }
        )
    return asked


def _failed(error: PlannerFailed) -> Row:
    return {
        **{"draft": "", "answer": str(error), "right_before": False, "right": False},
        **{"seconds": None, "verdicts": []},
    }


def answers(rows: Sequence[Row]) -> dict[str, Interval]:
    """Accuracy by kind, after the gate and before it, and seconds for an answer."""
    asked = [each for row in rows for each in row["asked"]]
    figures: dict[str, Interval] = {}
    for kind in KINDS:
        group = [each for each in asked if each["kind"] == kind]
        figures[f"{kind}_accuracy"] = proportion(sum(e["right"] for e in group), len(group))
        figures[f"{kind}_accuracy_draft"] = proportion(
            sum(each["right_before"] for each in group), len(group)
        )
    figures["seconds_per_answer"] = median(
        [each["seconds"] for each in asked if each["seconds"] is not None]
    )
    return figures


def deciders(rows: Sequence[Row]) -> dict[str, dict[str, int]]:
    """For each rule of the gate: its verdicts, and how many of the answers it had a part in were
    right before and after."""
    table: dict[str, dict[str, int]] = {}
    for each in (each for row in rows for each in row["asked"]):
        for rule, _ in each["verdicts"]:
            counts = table.setdefault(rule, {"verdicts": 0, "right_before": 0, "right": 0})
            counts["verdicts"] += 1
            counts["right_before"] += each["right_before"]
            counts["right"] += each["right"]
    return dict(sorted(table.items(), key=lambda pair: -pair[1]["verdicts"]))


def by_count(rows: Sequence[Row]) -> dict[str, Interval]:
    """Share of counting questions answered right, by the true count."""
    asked = [each for row in rows for each in row["asked"] if each["kind"] == "count"]
    table = {}
    for number in range(7):
        group = [each["right"] for each in asked if each["truth"] == number]
        table[str(number)] = proportion(sum(group), len(group))
    return table
