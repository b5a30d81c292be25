"""What marks are worth: `nuthatch evaluate marks`.

Both planners are asked about held-out scenes, two questions a scene. An answer carries a mark where
something in it could not be decided, or could not be put right. Told are the share of entirely
right answers that are printed without any mark, and the share of the answers without a mark that
state something false.

On the split "calibrate" the rules planner alone is asked, who says what its tools find and nothing
else: so it is measured how often claims that quote one tool are right where no other judge can tell
(`tools.verification.single_source`), for the tables that lie beside the weights. Numbers are wrong
most often, so they are measured on further scenes: all objects are counted there.
"""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache, partial
from math import floor
from multiprocessing import parent_process
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from rich.console import Console

import nuthatch
from nuthatch.agent import gate
from nuthatch.agent.agent import Agent, PlannerFailed
from nuthatch.agent.answer import Answer
from nuthatch.agent.planner import Planner
from nuthatch.agent.rules import RulesPlanner
from nuthatch.tools.verification.evidence.judges import allows
from nuthatch.tools.verification.evidence.single_source import (
    COUNTS,
    FILE,
    WEIGHTS_OF,
    Rate,
    Share,
    Sources,
    Table,
    kind_of,
    number_of,
    sureness,
)
from nuthatch.tools.verification.rules import POLICIES, decide
from nuthatch.tools.verification.types import Claim
from nuthatch.tools.verifier import Verifier
from nuthatch.tools.vocabulary import plural
from nuthatch.tools.weights.store import Weights
from nuthatch.training.evaluate import asking, cores, report, stated
from nuthatch.training.evaluate.miniature import (
    ALONE_BELOW,
    clip_for,
    training_company,
)
from nuthatch.training.evaluate.records import Part, Row, fingerprint, measure
from nuthatch.training.evaluate.statistics import Interval, clustered_proportion
from nuthatch.training.evaluate.writer import Truth
from nuthatch.training.world.scenes import Scene, make_scene
from nuthatch.training.world.sounds import Clip
from nuthatch.training.world.splits import Split

PLANNERS = ("rules", "core")
SEEDS_APART = 1_000_000
"""Scenes of one evaluation seed; the next one starts behind them."""
BOTH = "both"
"""A question in two parts, about the picture and the sound, as in the README."""
ALL = (*asking.KINDS, BOTH)
NUMBERS = "numbers"
FURTHER, TIMES = 4 * SEEDS_APART, 3
"""Scenes in which only numbers are measured begin so far behind, and are so many times as many."""
_COUNTING = Sources(frozenset({"detector", "tagger"}))
RELIABLE = 0.975
"""Share of quotations that must have been right, for a threshold to be set."""
FEWEST, NEAR = 20, 0.9
"""Quotations that a table rests on, at least; and of so many just above a threshold the share that
must have been right."""
LEAST = 0.8
"""What is less sure is a guess, and sets no threshold."""


def evaluate(
    *,
    n: int = 300,
    seed: int = 0,
    split: Split = "test",
    out: Path = Path("runs/evaluate/marks"),
    quiet: bool = False,
    workers: int | None = None,
) -> dict[str, dict[str, float]]:
    """Measure marks; write `report.json` into `out`, and for the split "calibrate" a folder with
    `single_source.json` for each judge.

    Args:
        n: scenes; every planner is asked two of seven kinds of questions about each, in turn; on
            the split "calibrate" all that ask one thing.
        seed: which scenes; the same seed gives the same scenes at every n.
        split: `test` reports, `calibrate` measures the tables.
        out: folder of the report and of the rows, from which a stopped run goes on.
        quiet: print nothing; progress still goes to the error stream.
        workers: processes; by default two, or one where there are few scenes or one core.

    Returns:
        Name -> value, low, high (95 % interval), n.

    Raises:
        ValueError: n below 1, or a negative seed.
        ToolUnavailable: weights are missing; the message names the command that trains them.
    """
    if n < 1 or seed < 0:
        raise ValueError(f"given n={n}, seed={seed}; expected n of at least 1, seed of at least 0")
    code = fingerprint("tools", "agent", "mllm", "training/world", "training/evaluate")
    planners = PLANNERS[:1] if split == "calibrate" else PLANNERS
    first = seed * SEEDS_APART
    parts = [Part(who, n, partial(_ask, who, split, first), 4) for who in planners]
    if split == "calibrate":
        parts.append(Part(NUMBERS, TIMES * n, partial(_count, split, first + FURTHER), 4))
    if workers is None:
        workers = 1 if n < ALONE_BELOW else min(2, os.cpu_count() or 1)
    rows = measure(parts, out / f"rows_{code}_{split}_{seed}", workers=workers)
    figures = {f"marks, {who} planner": marks(rows[who], who) for who in planners}
    settings = {
        **{"scenes": n, "seed": seed, "split": split, "code_and_weights": code},
        **{"nuthatch": nuthatch.__version__, "torch": torch.__version__, "cores": os.cpu_count()},
    }
    details = {f"decided_by_{who}": asking.deciders(rows[who]) for who in planners}
    report.save(out, figures, details, settings)
    if split == "calibrate":
        tables = calibrate(rows["rules"], rows[NUMBERS], n, seed)
        for judge, table in tables.items():
            folder = out / WEIGHTS_OF[judge]
            folder.mkdir(parents=True, exist_ok=True)
            text = table.model_dump_json(indent=1) + "\n"
            (folder / FILE).write_text(text, encoding="utf-8")
    if not quiet:
        report.show(figures, [f"who decided: {out / 'report.json'}"], Console())
    said: dict[str, dict[str, float]] = report.as_json(report.flat(figures))
    return said


# -- what is measured -----------------------------------------------------------------------------


def _ask(who: str, split: Split, first: int, indices: Sequence[int]) -> list[Row]:
    rows = []
    with TemporaryDirectory() as home:
        agent = Agent.load("embedded", planner=_planner(who), weights=_weights(), home=home)
        for index in indices:
            scene = make_scene(first + index, split)
            kinds: Collection[str] = asking.KINDS
            if split == "test":
                kinds = {ALL[(2 * index + step) % len(ALL)] for step in (0, 1)}
            asked = interview(agent, scene, clip_for(scene, split), kinds)
            rows.append({"index": index, "asked": asked})
    return rows


def interview(agent: Agent, scene: Scene, clip: Clip, kinds: Collection[str]) -> list[Row]:
    """One record for each question of these kinds that can be asked about a scene and its clip."""
    asked: list[Row] = []
    for kind, text, truth in _questions(scene, clip):
        if kind not in kinds:
            continue
        audio = clip.samples if kind in ("sound", "source", BOTH) else None
        try:
            answer = agent.ask(text, image=scene.image, audio=audio)
        except PlannerFailed:  # no room for the talk
            continue
        asked.append({"kind": kind, "question": text, **record(answer, kind, truth, scene, clip)})
    return asked


def _questions(scene: Scene, clip: Clip) -> Iterable[tuple[str, str, Any]]:
    found = {}
    for kind in asking.KINDS:
        given = asking.question(kind, scene, clip, training_company(), scene.seed)
        if given is not None:
            found[kind] = given
            yield kind, *given
    (count, number), (source, makers) = found["count"], found["source"]  # always to be asked
    yield BOTH, f"{count[:-1]}, and {source[0].lower()}{source[1:]}", [number, makers]


def record(answer: Answer, kind: str, truth: Any, scene: Scene, clip: Clip) -> Row:
    """What is told of one answer: is it printed with a mark, is it right, what does it quote."""
    facts = Truth.of(scene, clip.events)
    if kind == BOTH:
        answered = [asking.read(each, answer.text) for each in ("count", "source")] == truth
    else:
        answered = asking.read(kind, answer.text) == truth
    states = stated.outcome(answer.text, facts) if answer.finished else "unread"
    if kind in ("existence", "relation") and asking.read(kind, answer.text) not in (None, truth):
        states = "wrong"
    return {
        "answer": answer.text,
        "printed": str(answer),
        "marked": not answer.finished or answer.withheld or str(answer) != answer.text,
        "states": states,
        "right": states == "right" and answered,
        "right_before": stated.outcome(answer.draft, facts) == "right",
        "verdicts": [[each.rule, each.verdict] for each in answer.verdicts],
        "quotes": list(_quotes(answer, facts)),
    }


def _quotes(answer: Answer, facts: Truth) -> Iterable[Row]:
    """Claims that rest on a tool that the planner called, and that no other judge can decide."""
    planners = [call for call in answer.calls if call.call.tool != gate.CHECK]
    sources = Sources(frozenset(gate.sources_among(planners)))
    for verdict in answer.verdicts:
        again = decide(verdict.claim, verdict.evidence, POLICIES["conservative"], sources=sources)
        true = is_true(verdict.claim, facts)
        if again.rule == "judges.source" and true is not None:
            claim = again.claim
            yield {
                "judges": sorted(sources.of(again.evidence)),
                "kind": kind_of(claim),
                "number": number_of(claim),
                "holds": again.probability >= 0.5,
                "sure": round(sureness(claim, again.evidence, again.probability), 6),
                "right": true,
                "text": claim.text,
            }


def _count(split: Split, first: int, indices: Sequence[int]) -> list[Row]:
    verifier = Verifier(weights=_weights())
    rows = []
    for index in indices:
        scene = make_scene(first + index, split)
        rows.append({"index": index, "quotes": list(numbers(scene, verifier))})
    return rows


def numbers(scene: Scene, verifier: Verifier) -> Iterable[Row]:
    """For each category in a scene how sure the number of it is that the detector tells."""
    facts = Truth.of(scene)
    # Which number is said does not matter: the one that was seen is put in its place.
    said = " ".join(f"There are two {plural(name)}." for name in facts.counts)
    for verdict in verifier.verify(said, image=scene.image).verdicts:
        seen = next((e.value for e in verdict.evidence if e.judge == "geometry"), None) or ""
        if verdict.claim.kind != "count" or not seen.isdigit() or seen == "0":
            continue
        claim = verdict.claim.model_copy(update={"value": seen})
        again = decide(claim, verdict.evidence, POLICIES["conservative"], sources=_COUNTING)
        if again.rule == "judges.source":
            yield {
                "judges": sorted(_COUNTING.names),
                "kind": kind_of(claim),
                "number": number_of(claim),
                "holds": True,
                "sure": round(sureness(claim, verdict.evidence, 0.5), 6),
                "right": is_true(claim, facts),
                "text": f"{seen} {claim.subject}",
            }


def is_true(claim: Claim, facts: Truth) -> bool | None:
    """Whether a claim is true; None where the truth does not tell."""
    name, value = claim.subject, claim.value or ""
    match claim.kind:
        case "existence":
            so = name in facts.counts
        case "count":
            so = allows(value, facts.counts.get(name, 0))
        case "attribute" if claim.predicate == "tint":
            so = value in facts.tints.get(name, frozenset())
        case "relation" if facts.counts.get(name) == facts.counts.get(value) == 1:
            so = (name, claim.predicate, value) in facts.relations
        case "sound":
            so = value in facts.events
        case _:
            return None
    return so == claim.polarity


# -- what comes of it -----------------------------------------------------------------------------


def marks(rows: Sequence[Row], who: str) -> dict[str, Interval]:
    """The shares of one planner's answers, clustered by scene."""

    def share(of: str, among: str) -> Interval:
        groups = [[each for each in row["asked"] if _IS[among](each)] for row in rows]
        hits = [sum(_IS[of](each) for each in group) for group in groups]
        return clustered_proportion(hits, [len(group) for group in groups])

    return {
        f"right_unmarked_{who}": share("unmarked", "right"),
        f"unmarked_wrong_{who}": share("wrong", "unmarked"),
        f"unmarked_not_right_{who}": share("not_right", "unmarked"),
        f"answers_right_{who}": share("right", "all"),
        f"answers_wrong_{who}": share("wrong", "all"),
        f"answers_unread_{who}": share("unread", "all"),
        f"answers_unmarked_{who}": share("unmarked", "all"),
    }


_IS = {
    "all": lambda each: True,
    "right": lambda each: each["right"],
    "not_right": lambda each: not each["right"],
    "wrong": lambda each: each["states"] == "wrong",
    "unread": lambda each: each["states"] == "unread",
    "unmarked": lambda each: not each["marked"],
}


def calibrate(
    asked: Sequence[Row], counted: Sequence[Row], scenes: int, seed: int
) -> dict[str, Table]:
    """Judge -> its table: for each kind of claim the threshold from which quotations are right; of
    numbers by the scenes in which all were counted."""
    quotes: list[Row] = []
    for row in asked:  # what is said about a scene again is no new case
        said = [quote for each in row["asked"] for quote in each["quotes"]]
        once = {(quote["kind"], quote["sure"]): quote for quote in said}
        quotes += [quote for quote in once.values() if quote["kind"] not in COUNTS]
    for row in counted:
        quotes += row["quotes"]
    weights = {name: _weights().fingerprint(name)[:12] for name in WEIGHTS_OF.values()}
    tables = {}
    for judge in WEIGHTS_OF:
        mine = [quote for quote in quotes if judge in quote["judges"]]
        rates = {
            kind: rate
            for kind in sorted({quote["kind"] for quote in mine})
            if (rate := reliability([q for q in mine if q["kind"] == kind])) is not None
        }
        if rates:
            looks = ("tag_sound",) if judge == "sound_tagger" else ("detect", "tag")
            used = {name: weights[name] for name in looks}
            tables[judge] = Table(
                weights=used,
                split="calibrate",
                scenes=scenes,
                counted=len(counted),
                seed=seed,
                kinds=rates,
            )
    return tables


def reliability(quotes: Sequence[Mapping[str, Any]]) -> Rate | None:
    """The lowest threshold from which quotations are right often enough, on the whole and just
    above it; None: there is none."""
    best = None
    ranked = sorted(
        (q for q in quotes if q["holds"] and q["sure"] >= LEAST), key=lambda quote: -quote["sure"]
    )
    right = [bool(quote["right"]) for quote in ranked]
    for n in range(FEWEST, len(ranked) + 1):
        if n < len(ranked) and ranked[n]["sure"] == ranked[n - 1]["sure"]:
            continue
        precision, near = (
            (sum(r) + 0.5) / (len(r) + 1) for r in (right[:n], right[n - FEWEST : n])
        )
        if precision >= RELIABLE and near >= NEAR:
            # Rounded down, so that the quotation it was taken from passes.
            threshold = floor(ranked[n - 1]["sure"] * 1_000_000) / 1_000_000
            best = Rate(
                threshold=threshold,
                precision=round(precision, 4),
                n=n,
                numbers=_by_number(ranked[:n]),
            )
    return best


def _by_number(quotes: Sequence[Mapping[str, Any]]) -> dict[int, Share]:
    """Of counts how often each number was right."""
    right: dict[int, list[bool]] = {}
    for quote in quotes:
        if (number := quote.get("number", "")).isdigit():
            right.setdefault(int(number), []).append(bool(quote["right"]))
    return {
        number: Share(precision=round((sum(r) + 0.5) / (len(r) + 1), 4), n=len(r))
        for number, r in sorted(right.items())
        if len(r) >= FEWEST
    }


# -- what a process needs once --------------------------------------------------------------------


@cache
def _weights() -> Weights:
    if parent_process() is not None:  # processes side by side share the cores
        torch.set_num_threads(1)
    return Weights()


@cache
def _planner(who: str) -> Planner:
    return RulesPlanner() if who == "rules" else cores.planner(cores.load())
