"""What the shipped models do not know they do not judge, and the user is told once."""

import json

import numpy as np
import pytest

from nuthatch import Toolbox
from nuthatch.agent.agent import Agent
from nuthatch.agent.gate import CANNOT_TELL
from nuthatch.agent.planner import ScriptedPlanner
from nuthatch.agent.rules import RulesPlanner
from nuthatch.tools.domain.check import OUTSIDE
from nuthatch.tools.verification.correction import Item
from nuthatch.tools.verifier import Verifier
from nuthatch.tools.vocabulary import CATEGORIES, with_article
from nuthatch.tools.weights.store import Weights
from nuthatch.training.world.photographs import PHOTOGRAPHS, photographs, read
from tests.fakes import FakeDetector, FakeTagger
from tests.paths import EXAMPLES

KITCHEN = EXAMPLES / "kitchen.png"
EVERY_NAME = " ".join(f"There is {with_article(name)}." for name in CATEGORIES)
PICTURES = [path.name for path in photographs() if path.name not in PHOTOGRAPHS]


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    return read("astronaut.png")


@pytest.fixture(scope="module")
def weights() -> Weights:
    return Weights()


@pytest.mark.parametrize("name", PICTURES)
def test_of_a_photograph_nothing_is_claimed_with_certainty(name, weights):
    report = Verifier(weights=weights).verify(EVERY_NAME, image=read(name))
    assert len(report.verdicts) == len(CATEGORIES)
    assert {(v.verdict, v.rule) for v in report.verdicts} == {("not_enough_evidence", OUTSIDE)}
    assert [(notice.code, notice.about) for notice in report.notices] == [(OUTSIDE, "image_1")]


def test_nothing_is_changed_in_a_text_about_a_photograph(weights, astronaut):
    said = "Two red cups stand left of a dog. There is no person, and a kayak lies on the executor."
    verifier = Verifier(weights=weights)
    done = verifier.correct(said, image=astronaut)
    (same,) = verifier.correct_many([Item(said, picture=astronaut)])
    for each in (done, same):
        assert each.final == said
        assert {verdict.rule for verdict in each.verdicts} == {OUTSIDE}
        assert [notice.code for notice in each.notices] == [OUTSIDE]


def test_the_miniature_world_is_still_judged(weights):
    report = Verifier(weights=weights).verify("There is a clock. There is a dog.", image=KITCHEN)
    assert [verdict.verdict for verdict in report.verdicts] == ["supported", "refuted"]
    assert report.notices == []


def test_the_models_of_a_user_are_bound_by_nothing(astronaut):
    weights = Weights()
    weights.put("detect", FakeDetector([("person", (100, 50, 400, 500))]))
    report = Verifier(weights=weights).verify("There is a person.", image=astronaut)
    assert [item.judge for item in report.verdicts[0].evidence] == ["detector"]
    weights.put("tag", FakeTagger([("person", None, (100, 50, 400, 500))]))
    report = Verifier(weights=weights).verify("There is a person.", image=astronaut)
    assert report.verdicts[0].verdict == "supported"
    assert report.notices == []


def test_where_one_judge_abstains_the_pixels_of_a_box_are_still_looked_at(astronaut):
    weights = Weights()
    weights.put("detect", FakeDetector([("person", (100, 50, 400, 500))]))
    report = Verifier(weights=weights).verify("There is a red person.", image=astronaut)
    assert "pixels" in {item.judge for verdict in report.verdicts for item in verdict.evidence}


@pytest.mark.parametrize("question", ["What is in the picture?", "How many dogs are there?"])
def test_an_answer_is_no_guess(question, weights, astronaut, tmp_path):
    answer = Agent.load(planner=RulesPlanner(), weights=weights, home=tmp_path).ask(
        question, image=astronaut
    )
    cannot_tell = CANNOT_TELL.format(kinds="pictures")
    assert (answer.text, str(answer)) == (cannot_tell, cannot_tell)
    assert answer.finished
    assert answer.withheld
    assert not answer.verified
    assert [notice.code for notice in answer.notices] == [OUTSIDE]


def test_what_does_not_rest_on_the_picture_is_answered(weights, astronaut, tmp_path):
    agent = Agent.load(planner=RulesPlanner(), weights=weights, home=tmp_path)
    assert agent.ask("What is 3 + 4?", image=astronaut).text == "3 + 4 = 7."


def test_the_answer_of_someone_else_leaves_as_it_is_with_a_notice(weights, astronaut, tmp_path):
    planner = ScriptedPlanner(["There is a dog."])
    answer = Agent.load(planner=planner, weights=weights, home=tmp_path).ask(
        "What is there?", image=astronaut
    )
    assert answer.text == "There is a dog."
    assert [notice.code for notice in answer.notices] == [OUTSIDE]


def test_a_tool_that_is_called_by_hand_says_so_too(weights, astronaut):
    box = Toolbox(weights=weights)
    found = box.run("detect", image=astronaut, labels=["dog"])
    assert [notice.code for notice in found.result.notices] == [OUTSIDE]
    assert "miniature" in str(found)
    plain = box.run("detect", image=KITCHEN, labels=["cup"])
    assert plain.result.notices == ()
    assert found.picture().height > plain.picture().height * 0  # it is drawn, with a strip


def test_a_notice_survives_the_journal(weights, astronaut, tmp_path):
    agent = Agent.load(planner=RulesPlanner(), weights=weights, home=tmp_path)
    answer = agent.ask("Is there a dog?", image=astronaut)
    again = agent.resume(answer.run_id)
    assert again.notices == answer.notices
    assert again.calls[0].notices == answer.calls[0].notices != ()


def test_the_command_line_prints_the_notice_once(astronaut, tmp_path, capsys):
    from PIL import Image

    from nuthatch.__main__ import main

    path = tmp_path / "photo.png"
    Image.fromarray(astronaut).save(path)
    asked = ["verify", "--image", str(path), "--answer", "A dog.", "--home", str(tmp_path)]
    assert main(asked) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert printed.count("nuthatch weights") == 1
    assert main([*asked, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [notice["code"] for notice in told["notices"]] == [OUTSIDE]
    assert {claim["rule"] for claim in told["claims"]} == {OUTSIDE}
