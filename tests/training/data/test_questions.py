"""Questions to the planner's own eyes and ears: true answers that cannot be guessed."""

from collections import Counter

import pytest

from nuthatch.tools.vocabulary import SOUNDS
from nuthatch.training.data.layouts import Layout, Thing, draw_layout
from nuthatch.training.data.questions import ask, questions, sample_of
from nuthatch.training.data.sample import Draw, Picture, Sound
from nuthatch.training.world.scenes import make_scene
from nuthatch.training.world.splits import held_out_pair, held_out_tint

LAYOUT = Layout(
    (
        Thing("cup", "red", (10, 10, 30, 30)),
        Thing("dog", None, (80, 20, 110, 60)),
        Thing("dog", "blue", (50, 90, 80, 120)),
    ),
    "dog",
    "park",
)


def answers(kind: str, layout: Layout = LAYOUT, sound: Sound | None = None, number: int = 200):
    asked = (ask(Draw.of(kind, i), kind, layout, sound) for i in range(number))
    return {(q.category, str(q.truth)): q.answer for q in asked if q is not None}


def test_counts_and_existence_are_those_of_the_picture():
    counted = answers("count")
    assert counted["cup", "1"] in ("There is one cup.", "There is one mug.")
    assert {truth for category, truth in counted if category == "dog"} == {"2"}
    for (category, there), answer in answers("exist").items():
        assert there == str(category in ("cup", "dog"))
        assert answer.startswith("Yes" if there == "True" else "No")


def test_colours_places_and_relations_are_those_of_the_picture():
    assert answers("colour")["cup", "red"].endswith("is red.")
    assert answers("where")["cup", "red"].endswith("is at the top left.")
    near = Layout(LAYOUT.things[:2], "cup", "park")
    for _, answer in answers("which side", near).items():
        assert answer in (
            "The cup is left of and above the dog.",
            "The dog is right of and below the cup.",
        ) or answer.startswith("There is no")


def test_a_caption_names_everything_with_its_number():
    assert set(answers("caption").values()) == {"There are two dogs and a cup."}


def test_what_is_heard_is_said_and_linked_to_what_is_seen():
    sound = Sound(("dog", "bell"))
    (heard,) = {ask(Draw.of(i), "tag sound", LAYOUT, sound).answer for i in range(5)}
    assert heard == "I hear a dog barking and a bell ringing."
    (linked,) = {ask(Draw.of(i), "source", LAYOUT, sound).answer for i in range(5)}
    assert linked == (
        "I hear a dog barking; the dog makes it. I hear a bell ringing, but I see no bell."
    )


def test_existence_cannot_be_told_from_the_category_alone():
    """The best blind guess, fitted on one half of the questions, is near chance on the other."""
    votes: list[Counter[str]] = [Counter(), Counter()]
    rows: list[list[tuple[str, bool]]] = [[], []]
    for number in range(12000):
        draw = Draw.of("blind", number)
        question = ask(draw, "exist", draw_layout(draw))
        assert question is not None
        assert question.category is not None
        half = number % 2
        votes[half][question.category] += 1 if question.truth else -1
        rows[half].append((question.category, question.truth))
    right = sum(
        (votes[1 - half][name] > 0) == there for half in (0, 1) for name, there in rows[half]
    )
    assert right / 12000 < 0.56
    yes = sum(there for half in rows for _, there in half) / 12000
    assert 0.48 < yes < 0.52


def test_counts_from_none_to_five_are_asked_about_equally_often():
    seen = Counter(
        ask(draw, "count", draw_layout(draw)).truth
        for draw in (Draw.of("counts", n) for n in range(3000))
    )
    assert all(300 < seen[number] < 900 for number in range(6)), seen


def test_drawn_layouts_show_no_held_out_composition():
    for number in range(300):
        layout = draw_layout(Draw.of("held", number))
        names = list(layout.counts())
        assert not any(held_out_pair(a, b) for a in names for b in names)
        assert not any(each.tint == held_out_tint(each.category) for each in layout.things)


def test_a_layout_of_a_scene_says_what_the_scene_says():
    scene = make_scene(4)
    layout = Layout.of(scene)
    assert layout.counts() == scene.counts()
    assert [each.box for each in layout.things] == [each.box for each in scene.objects]


def test_questions_about_one_picture_share_all_that_stands_before_them():
    draw = Draw.of("shared")
    layout, sound = draw_layout(draw), Sound((next(iter(SOUNDS)),))
    media = {"image_1": Picture(layout), "audio_1": sound}
    asked = questions(draw, layout, sound, number=6)
    parts = [sample_of(question, media).messages[0]["content"][:2] for question in asked]
    assert (
        parts
        == [[{"type": "image", "handle": "image_1"}, {"type": "audio", "handle": "audio_1"}]] * 6
    )


@pytest.mark.parametrize("kind", ["relation", "which side"])
def test_nothing_is_asked_where_nothing_is_clear(kind):
    assert ask(Draw.of(0), kind, Layout(LAYOUT.things[1:], "dog", "park")) is None
