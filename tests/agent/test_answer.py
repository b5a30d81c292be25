"""An answer shows itself."""

from PIL import Image

from nuthatch.agent.agent import Agent
from nuthatch.agent.answer import Answer
from nuthatch.agent.planner import ScriptedPlanner
from nuthatch.tools.output.overlay import VERDICT_COLOURS
from tests.agent.little_tools import PHOTO, Find, Judge, Lost, Say

LOOK = ("detect", {"image": "image_1", "labels": ["cup"]})


def ask(tmp_path, *script, **given) -> Answer:
    tools = [Find(cup=[(20, 5, 40, 25)]), Judge(), Say()]
    return Agent(ScriptedPlanner(list(script)), tools, home=tmp_path).ask("How many?", **given)


def test_evidence_is_drawn_in_the_colour_of_its_verdict_and_the_rest_plain(tmp_path):
    picture = ask(tmp_path, LOOK, "Two cups.", image=PHOTO).picture()
    colours = {colour for _, colour in picture.getcolors(10**6)}
    assert VERDICT_COLOURS["refuted"] in colours
    assert (40, 98, 190) in colours
    assert VERDICT_COLOURS["supported"] not in colours


def test_the_picture_is_saved_in_the_folder_of_the_run(tmp_path):
    answer = ask(tmp_path, "Two cups.", image=PHOTO)
    path = answer.save_picture()
    assert path == answer.run_folder / "answer.png"
    with Image.open(path) as saved:
        assert min(saved.size) > 400, "small pictures are enlarged"


def test_without_a_picture_there_is_none(tmp_path):
    answer = ask(tmp_path, "Two cups.")
    assert answer.picture() is None
    assert answer.save_picture() is None


def test_a_notebook_shows_the_picture_and_nothing_of_the_text_is_markup(tmp_path):
    html = ask(tmp_path, LOOK, "Two <b>cups</b>.", image=PHOTO)._repr_html_()
    assert "three &lt;b&gt;cups" in html
    assert "data:image/png;base64," in html


def test_without_a_picture_a_notebook_shows_the_text_and_its_claims(tmp_path):
    html = ask(tmp_path, "Two <b>cups</b>.")._repr_html_()
    assert "<b>three &lt;b&gt;cups" in html
    assert "<li>Two: refuted</li>" in html


def test_an_answer_reads_as_its_text_or_as_the_reason_why_there_is_none(tmp_path):
    assert str(ask(tmp_path, "Two cups.")) == "three cups."
    lost = Agent(Lost("same"), [Say()], home=tmp_path).ask("?")
    assert str(lost).startswith("(no answer: stopped: 2 repeats")


def test_in_print_what_nobody_could_decide_is_marked_and_the_text_stays_to_the_byte(tmp_path):
    answer = Agent(ScriptedPlanner(["A wombat."]), [], home=tmp_path).ask("What is it?")
    assert answer.text == "A wombat."
    assert str(answer) == "A wombat [unverified]."
