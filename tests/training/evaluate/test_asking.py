from types import SimpleNamespace

import numpy as np
import pytest

from nuthatch.agent.agent import PlannerFailed
from nuthatch.training.evaluate import asking
from nuthatch.training.world.company import Company
from nuthatch.training.world.scenes import Scene, make_scene

COMPANY = Company.of(list(make_scene(seed).counts()) for seed in range(40))
SCENES = [make_scene(seed, "test") for seed in range(60)]
CLIP = SimpleNamespace(events=("dog", "bell"), samples=np.zeros(16000, np.float32))


@pytest.mark.parametrize(
    ("kind", "text", "says"),
    [
        ("count", "There are two cups.", 2),
        ("count", "There are no cups.", 0),
        ("count", "There is 1 cup.", 1),
        ("count", "I did not understand the question.", None),
        ("existence", "No, there are no cups.", False),
        ("existence", "There is a cup.", None),
        ("relation", "Yes, the cup is left of the cake.", True),
        ("tint", "The cup is gray.", "gray"),
        ("tint", "The cup is in its natural colours.", None),
        ("sound", "I hear a dog barking and a bell ringing.", ["bell", "dog"]),
        ("sound", "The recording is silent.", []),
        ("source", "The sound is a dog barking; the dog makes it.", ["dog"]),
        ("source", "I hear a siren. There are no trucks.", []),
        ("source", "I hear a bell ringing. There are no bells.", []),
    ],
)
def test_answers_are_read_by_plain_words(kind, text, says):
    assert asking.read(kind, text) == says


def asked(kind: str) -> list[tuple[Scene, str, object]]:
    found = [(s, asking.question(kind, s, CLIP, COMPANY, s.seed)) for s in SCENES]
    return [(scene, *given) for scene, given in found if given]


def test_counting_questions_are_about_the_category_whose_count_was_drawn_first():
    questions = asked("count")
    assert len(questions) == len(SCENES)
    assert {truth for _, _, truth in questions} == set(range(7))
    assert all(truth == scene.counts().get(scene.focus, 0) for scene, _, truth in questions)


def test_yes_and_no_are_both_right_answers():
    for kind in ("existence", "relation"):
        truths = [truth for _, _, truth in asked(kind)]
        assert 0.2 < sum(truths) / len(truths) < 0.8


def test_a_colour_is_asked_only_where_there_is_one():
    questions = asked("tint")
    assert 5 < len(questions) < len(SCENES)
    for scene, text, tint in questions:
        assert any(each.tint == tint and each.category in text for each in scene.objects)


def test_the_source_of_a_sound_must_be_in_sight():
    for scene, _, truth in asked("source"):
        assert set(truth) == {"dog", "bell"} & set(scene.counts())


class Agent:
    """Says first one thing, and after the gate another."""

    def __init__(self, draft: str, text: str, *, finished: bool = True) -> None:
        timing = SimpleNamespace(total=0.25)
        self.answer = SimpleNamespace(draft=draft, text=text, finished=finished, timing=timing)
        self.answer.verdicts = [SimpleNamespace(rule="count.agree", verdict="supported")]

    def ask(self, question: str, **media: object) -> object:
        return self.answer


def interviewed(agent: Agent, scene: Scene) -> list[asking.Row]:
    return [{"asked": asking.interview(agent, scene, CLIP, ("count",), COMPANY, 0)}]


def test_accuracy_is_told_before_and_after_the_gate():
    scene = next(scene for scene in SCENES if scene.counts().get(scene.focus, 0) == 2)
    rows = interviewed(Agent("There are five.", "There are two."), scene)
    rows += interviewed(Agent("There are two.", "There are two."), scene)
    figures = asking.answers(rows)
    assert figures["count_accuracy_draft"].value == 0.5
    assert figures["count_accuracy"].value == 1.0
    assert figures["seconds_per_answer"].value == 0.25
    table = asking.by_count(rows)
    assert table["2"].n == 2
    assert table["3"].n == 0


def test_an_answer_that_did_not_finish_is_not_right():
    scene = next(scene for scene in SCENES if scene.counts().get(scene.focus, 0) == 2)
    rows = interviewed(Agent("There are two.", "There are two.", finished=False), scene)
    assert asking.answers(rows)["count_accuracy"].value == 0.0


class LostAgent:
    def ask(self, question: str, **media: object) -> object:
        raise PlannerFailed("the prompt has 3,000 tokens", "run_1")


def test_a_planner_that_fails_has_not_answered():
    scene = next(scene for scene in SCENES if scene.counts().get(scene.focus, 0) == 2)
    rows = interviewed(LostAgent(), scene)
    figures = asking.answers(rows)
    assert figures["count_accuracy"][:1] == (0.0,)
    assert figures["count_accuracy"].n == 1
    assert figures["seconds_per_answer"].n == 0


def test_deciders_tell_how_answers_fared_that_they_had_a_part_in():
    scene = next(scene for scene in SCENES if scene.counts().get(scene.focus, 0) == 2)
    rows = interviewed(Agent("There are five.", "There are two."), scene)
    rows += interviewed(Agent("There are two.", "There are two."), scene)
    decided = {"verdicts": 2, "right_before": 1, "right": 2}
    assert asking.deciders(rows) == {"count.agree": decided}
