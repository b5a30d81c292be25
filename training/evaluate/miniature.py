"""The whole house on held-out scenes of the miniature world: `nuthatch evaluate miniature`.

Scenes and clips come from the split "test"; thresholds and calibration tables were fixed on the
split "calibrate" and are read, never set, here. Rows are kept on disk under a name made of the code
and the weights, so that a run that stops goes on, and results of other code never mix.
"""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache, partial
from multiprocessing import parent_process
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from rich.console import Console

import nuthatch
from nuthatch.agent.agent import Agent
from nuthatch.agent.planner import Planner
from nuthatch.agent.rules import RulesPlanner
from nuthatch.mllm.generation.generator import Speaker
from nuthatch.tools.verifier import Verifier
from nuthatch.tools.vocabulary import SOUNDS
from nuthatch.tools.weights.store import LOADERS, Weights
from nuthatch.training.evaluate import (
    asking,
    checking,
    core_alone,
    core_checked,
    core_figures,
    cores,
    perception,
    pope,
    report,
)
from nuthatch.training.evaluate.pope import SETTINGS, Blind
from nuthatch.training.evaluate.records import Part, Row, fingerprint, measure
from nuthatch.training.evaluate.statistics import Interval, proportion
from nuthatch.training.evaluate.writer import ERROR_RATE
from nuthatch.training.world import atlas
from nuthatch.training.world.company import Company
from nuthatch.training.world.layout import Appearance, plan_scene
from nuthatch.training.world.scenes import Scene, make_scene
from nuthatch.training.world.sounds import Clip, make_sound
from nuthatch.training.world.splits import Split
from nuthatch.training.world.synthesis import Parameters

SEEDS_APART = 10_000_000
"""Scenes of one evaluation seed; the next one starts behind them."""
REFERENCE_SCENES = 400
"""Scenes of the training split from which company and blind answers are learned."""
ALONE_BELOW = 200
"""Fewer scenes are measured in this process: starting others would take longer."""


def evaluate(
    *,
    n: int = 1000,
    seed: int = 0,
    out: Path = Path("runs/evaluate/miniature"),
    openmoji: bool = False,
    quiet: bool = False,
    workers: int | None = None,
) -> dict[str, dict[str, float]]:
    """Measure everything on `n` scenes; write `report.json` and `plot.png` into `out`.

    Args:
        n: held-out scenes; other appearances and sounds are measured on a part of that number.
        seed: which scenes; the same seed gives the same scenes at every n.
        out: folder of the report and of the rows, from which a stopped run goes on.
        openmoji: insist on the held-out third style as unseen appearance. It is also used without
            that where its sprites are in the cache; else the held-out glyphs stand in for it.
        quiet: print nothing; progress still goes to the error stream.
        workers: processes; by default two, or one where there are few scenes or one core.

    Returns:
        Name -> value, low, high (95 % interval), n.

    Raises:
        ValueError: n below 1, or a negative seed.
        AtlasMissing: `openmoji` without its sprites; the message names the command that makes them.
        ToolUnavailable: weights are missing; the message names the command that trains them.
    """
    if n < 1 or seed < 0:
        raise ValueError(f"given n={n}, seed={seed}; expected n of at least 1, seed of at least 0")
    unseen: Appearance = "openmoji" if openmoji or _has_openmoji() else "variant"
    if unseen == "openmoji":
        atlas.load("openmoji")
    if workers is None:
        workers = 1 if n < ALONE_BELOW else min(2, os.cpu_count() or 1)
    rows = measure(_parts(n, seed, unseen), out / f"rows_{_fingerprint()}_{seed}", workers=workers)
    sections = _figures(rows, unseen)
    details = _details(rows, unseen)
    drawn = report.plot(sections, details)
    report.save(out, sections, details, _settings(n, seed, unseen), drawn)
    if not quiet:
        notes = [
            f"unseen style: {_STYLES[unseen]}",
            f"undecided claims stay as they are; who decided: {out / 'report.json'}",
            f"plot: {out / 'plot.png'}",
        ]
        report.show(sections, notes, Console())
    figures: dict[str, dict[str, float]] = report.as_json(report.flat(sections))
    return figures


_STYLES = {
    "openmoji": "OpenMoji, never trained on",
    "variant": "second glyphs of the trained styles, never trained on (no OpenMoji in the cache)",
}


# -- what is measured -----------------------------------------------------------------------------


def _parts(n: int, seed: int, unseen: Appearance) -> list[Part]:
    some = max(1, n // 4)
    first = seed * SEEDS_APART
    styles: list[tuple[Appearance, int]] = [("seen", n), ("variant", some)]
    if unseen == "openmoji":
        styles.append(("openmoji", some))
    sounds: list[tuple[str, int, Parameters, int]] = [
        ("singles", 1, "seen", some),
        ("pairs", 2, "seen", max(1, n // 2)),
        ("singles_held_out", 1, "held_out", some),
        ("pairs_held_out", 2, "held_out", some),
    ]
    parts = [
        *(
            Part(f"look_{style}", count, partial(_look, first, style), 16)
            for style, count in styles
        ),
        *(
            Part(f"listen_{name}", count, partial(_listen, first, events, parameters), 16)
            for name, events, parameters, count in sounds
        ),
        Part("check", n, partial(_check, first), 8),
        Part("ask", n, partial(_ask, first), 8),
    ]
    half = max(1, n // 2)
    pairs: list[tuple[str, Parameters, int]] = [("", "seen", half), ("_held_out", "held_out", some)]
    return [
        *parts,
        *(
            Part(f"core_look_{style}", count, partial(_core_look, first, style), 4)
            for style, count in styles
        ),
        *(
            Part(f"core_listen{end}", count, partial(_core_listen, first, parameters), 8)
            for end, parameters, count in pairs
        ),
        Part("core_relate", half, partial(_core_relate, first), 8),
        Part("core_check", half, partial(_core_check, first), 4),
        Part("core_ask", half, partial(_core_ask, first), 8),
    ]


def _look(first: int, appearance: Appearance, indices: Sequence[int]) -> list[Row]:
    scenes = [make_scene(first + index, "test", appearance=appearance) for index in indices]
    get = _weights().get
    rows = perception.look(scenes, get("detect"), get("segment"), get("tag"))
    return _numbered(indices, rows)


def _listen(first: int, events: int, parameters: Parameters, indices: Sequence[int]) -> list[Row]:
    clips = [
        make_sound(first + index, "test", events=events, parameters=parameters) for index in indices
    ]
    return _numbered(indices, perception.listen(clips, _weights().get("tag_sound")))


def _check(first: int, indices: Sequence[int]) -> list[Row]:
    """POPE and the corrupted-truth writer, through the verifier; every second scene has a clip."""
    scenes = [make_scene(first + index, "test") for index in indices]
    clips = [clip_for(scene) if scene.seed % 2 else None for scene in scenes]
    return _numbered(
        indices,
        checking.check(scenes, clips, _verifier(), _weights().get("detect"), training_company()),
    )


def _ask(first: int, indices: Sequence[int], planner: Planner | None = None) -> list[Row]:
    """A counting question about every scene, and one of another kind, in turn."""
    rows = []
    with TemporaryDirectory() as home:
        agent = Agent.load("embedded", planner=planner or RulesPlanner(), home=home)
        agent.weights = _weights()
        for index in indices:
            scene = make_scene(first + index, "test")
            kinds = ("count", asking.KINDS[1 + index % (len(asking.KINDS) - 1)])
            clip = clip_for(scene)
            rows.append(asking.interview(agent, scene, clip, kinds, training_company(), scene.seed))
    return _numbered(indices, [{"asked": each} for each in rows])


# The core: every scene and clip has the next one as the other that may take its place.


def _core_look(first: int, appearance: Appearance, indices: Sequence[int]) -> list[Row]:
    scenes, others = (
        [make_scene(first + index + step, "test", appearance=appearance) for index in indices]
        for step in (0, 1)
    )
    return _numbered(indices, core_alone.look(_speaker(), scenes, others, training_company()))


def _core_listen(first: int, parameters: Parameters, indices: Sequence[int]) -> list[Row]:
    clips, others = (
        [
            make_sound(first + index + step, "test", events=2, parameters=parameters)
            for index in indices
        ]
        for step in (0, 1)
    )
    return _numbered(indices, core_alone.listen(_speaker(), clips, others))


def _core_relate(first: int, indices: Sequence[int]) -> list[Row]:
    scenes, others = (
        [make_scene(first + index + step, "test") for index in indices] for step in (0, 1)
    )
    pairs, other_pairs = (
        [(scene, clip_for(scene)) for scene in group] for group in (scenes, others)
    )
    return _numbered(indices, core_alone.relate(_speaker(), pairs, other_pairs))


def _core_check(first: int, indices: Sequence[int]) -> list[Row]:
    scenes = [make_scene(first + index, "test") for index in indices]
    return _numbered(
        indices, core_checked.check(_speaker(), scenes, _verifier(), training_company())
    )


def _core_ask(first: int, indices: Sequence[int]) -> list[Row]:
    return _ask(first, indices, cores.planner(cores.load()))


def _numbered(indices: Sequence[int], rows: Sequence[Row]) -> list[Row]:
    return [{"index": index, **row} for index, row in zip(indices, rows, strict=True)]


def clip_for(scene: Scene, split: Split = "test") -> Clip:
    """One or two events; mostly one of them is of an object in sight, as it would be."""
    rng = np.random.default_rng([scene.seed, 1])
    names = [str(name) for name in rng.permutation(list(SOUNDS))]
    if rng.random() < 0.7:
        names.sort(key=lambda event: SOUNDS[event].object not in scene.counts())
    return make_sound(scene.seed, split, events=names[: int(rng.integers(1, 3))])


# -- what a process needs once --------------------------------------------------------------------


@cache
def _weights() -> Weights:
    if parent_process() is not None:  # processes side by side share the cores
        torch.set_num_threads(1)
    return Weights()


@cache
def _verifier() -> Verifier:
    return Verifier(weights=_weights())


@cache
def _speaker() -> Speaker:
    return cores.load()


@cache
def training_company() -> Company:
    """Of the training split: what a model would have learned to expect."""
    return Company.of(_seen_in("train"))


def _seen_in(split: Split) -> list[list[str]]:
    """The categories of the objects in reference scenes, repeats included."""
    plans = [plan_scene(seed, split)[0] for seed in range(REFERENCE_SCENES)]
    return [[each.category for each in plan.placements] for plan in plans]


# -- what comes of it -----------------------------------------------------------------------------


def _figures(rows: Mapping[str, list[Row]], unseen: Appearance) -> dict[str, perception.Figures]:
    sight = perception.sight(rows["look_seen"])
    sight |= perception.sight(rows[f"look_{unseen}"], "_unseen_style")
    if unseen != "variant":
        sight |= perception.sight(rows["look_variant"], "_variant")
    hearing = perception.hearing(rows["listen_singles"] + rows["listen_pairs"])
    hearing |= perception.hearing(
        rows["listen_singles_held_out"] + rows["listen_pairs_held_out"], "_held_out"
    )
    return {
        "sight": sight,
        "hearing": hearing,
        "answers of the rules planner, through tools and gate": asking.answers(rows["ask"]),
        "a writer with 20 % errors, corrected": checking.repair_figures(rows["check"]),
        report.POPE: checking.pope_figures(rows["check"], _blind()),
        "blind baselines": _blind_baselines(rows),
        **_core_figures(rows, unseen),
    }


def _core_figures(
    rows: Mapping[str, list[Row]], unseen: Appearance
) -> dict[str, perception.Figures]:
    alone = core_figures.sight(rows["core_look_seen"])
    alone |= core_figures.sight(rows["core_look_variant"], "_variant")
    if unseen != "variant":
        alone |= core_figures.sight(rows[f"core_look_{unseen}"], f"_{unseen}")
    alone |= core_figures.hearing(rows["core_listen"])
    alone |= core_figures.hearing(rows["core_listen_held_out"], "_held_out")
    alone |= core_figures.senses(rows["core_relate"])
    repaired = checking.repair_figures(rows["core_check"])
    asked = asking.answers(rows["core_ask"])
    return {
        "the core by itself": alone,
        "the core by itself, verified": core_figures.checked(rows["core_check"])
        | {f"core_caption_{name}": figure for name, figure in repaired.items()},
        "answers of the core as planner, through tools and gate": {
            f"core_planner_{name}": figure for name, figure in asked.items()
        },
    }


def _blind() -> dict[str, Blind]:
    """Learned from questions of the same setting about scenes of another split."""
    company = training_company()
    return {
        setting: Blind.fit(
            question
            for seed, present in enumerate(_seen_in("calibrate"))
            for question in pope.ask(present, company, setting, [seed])
        )
        for setting in SETTINGS
    }


def _blind_baselines(rows: Mapping[str, list[Row]]) -> dict[str, Interval]:
    """What one reaches with the most frequent answer of the training split and closed eyes."""
    frequency = Counter(name for present in _seen_in("train") for name in present)
    usual = frequency.most_common(1)[0][0]
    shown = [each["category"] for row in rows["look_seen"] for each in row["objects"]]
    counts = Counter(count for present in _seen_in("train") for count in Counter(present).values())
    number = counts.most_common(1)[0][0]
    truths = [e["truth"] for row in rows["ask"] for e in row["asked"] if e["kind"] == "count"]
    pairs = [set(row["events"]) for row in rows["listen_pairs"]]
    favourites = set(list(SOUNDS)[:2])  # all events are equally frequent
    return {
        "tag_top1_blind": proportion(shown.count(usual), len(shown)),
        "count_accuracy_blind": proportion(truths.count(number), len(truths)),
        "sound_pair_blind": proportion(pairs.count(favourites), len(pairs)),
    }


def _details(rows: Mapping[str, list[Row]], unseen: Appearance) -> dict[str, Any]:
    return {
        "categories": perception.by_category(rows["look_seen"]),
        "categories_unseen_style": perception.by_category(rows[f"look_{unseen}"]),
        "sizes": perception.by_size(rows["look_seen"]),
        "events": perception.by_event(rows["listen_pairs"]),
        "events_held_out": perception.by_event(rows["listen_pairs_held_out"]),
        "counts": asking.by_count(rows["ask"]),
        "facts": checking.by_fact_kind(rows["check"]),
        "decided_by": checking.deciders(rows["check"]),
        "reliability": checking.reliability(rows["check"]),
        **_core_details(rows),
    }


def _core_details(rows: Mapping[str, list[Row]]) -> dict[str, Any]:
    return {
        "core_counts": core_figures.by_count(rows["core_look_seen"]),
        "core_planner_counts": asking.by_count(rows["core_ask"]),
        "core_planner_decided_by": asking.deciders(rows["core_ask"]),
        "core_decided_by": checking.deciders(core_figures.verdicts(rows["core_check"])),
    }


def _settings(n: int, seed: int, unseen: Appearance) -> dict[str, Any]:
    weights = _weights()
    return {
        "scenes": n,
        "seed": seed,
        "split": "test",
        "unseen_style": _STYLES[unseen],
        "policy": _verifier().policy,
        "writer_error_rate": ERROR_RATE,
        "nuthatch": nuthatch.__version__,
        "torch": torch.__version__,
        "code_and_weights": _fingerprint(),
        "weights": {name: weights.status(name).sha256 for name in LOADERS},
    }


def _has_openmoji() -> bool:
    try:
        atlas.load("openmoji")
    except atlas.AtlasMissing:
        return False
    return True


@cache
def _fingerprint() -> str:
    """Of all code and weights that a row may depend on."""
    return fingerprint("tools", "agent", "mllm", "training/world", "training/evaluate")
