"""What is kept from one question to the next makes it faster, and changes nothing in it."""

from pathlib import Path
from typing import Any

import pytest

from nuthatch.agent.agent import Agent
from nuthatch.agent.answer import Answer
from nuthatch.agent.core_planner import CorePlanner
from nuthatch.tools.weights.store import Weights
from tests.paths import EXAMPLES

KITCHEN = {"image": EXAMPLES / "kitchen.png", "audio": EXAMPLES / "kitchen.wav"}
EXAMPLE = "How many cups are there, and which object makes this sound?"
ASKED: list[tuple[str, dict[str, Any]]] = [
    (EXAMPLE, KITCHEN),
    (EXAMPLE, KITCHEN),
    ("How many dogs are there?", {"image": EXAMPLES / "street.png"}),
    ("How many cups are there?", {"image": EXAMPLES / "street.png"}),
]


@pytest.fixture(scope="module")
def models() -> Weights:
    return Weights()


def agent(models: Weights, home: Path, *, guesses: bool) -> Agent:
    speaker = models.get("core")
    planner = CorePlanner(speaker.core, speaker.processor)
    if not guesses:
        planner.decoder.guesses = None
    return Agent.load("embedded", planner=planner, weights=models, home=home)


def told(answer: Answer) -> tuple[object, ...]:
    return (
        answer.draft,
        answer.text,
        [(v.claim.text, v.verdict, v.probability, v.rule) for v in answer.verdicts],
        [(call.call.tool, call.call.arguments) for call in answer.calls],
    )


def test_a_warm_agent_says_what_a_new_one_says(models: Weights, tmp_path: Path) -> None:
    warm = agent(models, tmp_path / "warm", guesses=True)
    for number, (question, media) in enumerate(ASKED):
        new = agent(models, tmp_path / str(number), guesses=False)
        assert told(warm.ask(question, **media)) == told(new.ask(question, **media))


def test_the_example_of_the_readme_ends_fully_verified(models: Weights, tmp_path: Path) -> None:
    answer = agent(models, tmp_path, guesses=True).ask(EXAMPLE, **KITCHEN)
    assert str(answer) == answer.text
    assert {verdict.verdict for verdict in answer.verdicts} == {"supported"}
    assert "three cups" in answer.text
    assert "clock" in answer.text
    by_source = {v.claim.kind: v for v in answer.verdicts if v.rule.endswith(".single_source")}
    assert set(by_source) == {"count", "sound"}
    for verdict in by_source.values():
        assert verdict.measured is not None
        assert verdict.probability == verdict.measured.precision
