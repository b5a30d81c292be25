"""A sound is left aside only where the question is surely about the picture."""

import pytest

from nuthatch.agent.relevance import beside_the_question

BOTH = frozenset({"image", "audio"})


@pytest.mark.parametrize(
    "question",
    [
        "How many spoons are in the picture?",
        "Is there a lamp?",
        "Are there any benches left of the tree?",
        "What colour is the roof?",
        "Where's the kettle?",
        "Could you locate the zebra for me",
        "Which color has the umbrella beside the car?",
    ],
)
def test_a_question_about_what_is_seen_needs_no_sound(question):
    assert beside_the_question(question, BOTH) == {"audio"}


@pytest.mark.parametrize(
    "question",
    [
        "What do you hear?",
        "Which object in the picture makes this sound?",
        "How many cups are there, and what is that noise?",
        "Is there somebody talking?",
        "How many times does it ring?",
        "Where does the barking come from?",
        "Is there a siren in the recording?",
        "What is going on here?",
        "Describe this.",
        "",
    ],
)
def test_a_question_that_may_be_about_the_sound_keeps_it(question):
    assert beside_the_question(question, BOTH) == frozenset()


def test_a_sound_that_came_alone_is_never_left_aside():
    assert beside_the_question("How many are there?", frozenset({"audio"})) == frozenset()
