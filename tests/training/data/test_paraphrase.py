"""The grammar of requests: many forms, exact copies, branches held out whole."""

import re

import pytest

from nuthatch.training.data import paraphrase
from nuthatch.training.data.paraphrase import expand, intents, quote, word
from nuthatch.training.data.sample import TRAINING, Draw, Held
from nuthatch.training.data.talk import thing_slots
from nuthatch.training.data.words import known

MAIN = (
    *("detect", "count", "exist", "where", "ground", "relation", "which side", "order", "distance"),
    *("colour", "is colour", "segment", "segment box", "segment point", "crop", "crop box"),
    *("tag", "tag top", "tag labels", "attributes", "caption", "caption many", "caption box"),
    *("describe", "list things", "ask region", "ask options", "read text", "read box"),
    *("tag sound", "tag sound top", "is sound", "source", "transcribe", "transcribe language"),
    *("generate", "edit", "edit mask", "calculate", "verify", "correct"),
)


def slots(draw: Draw) -> dict:
    return {**thing_slots(draw, [known("cup"), known("spoon")]), "in": "", "image": "the picture"}


@pytest.mark.parametrize("intent", MAIN)
def test_every_intent_has_twenty_forms_and_some_that_are_held_out(intent):
    assert len(intents()[intent].seen) >= 20
    assert len(intents()[intent].held_out) >= 2


def test_no_form_is_both_seen_and_held_out():
    for name, intent in intents().items():
        seen = {frame.parts for frame in intent.seen}
        assert not seen & {frame.parts for frame in intent.held_out}, name


@pytest.mark.parametrize("intent", ["detect", "count", "exist", "segment"])
def test_an_intent_is_said_in_hundreds_of_ways(intent):
    texts = set()
    for number in range(1500):
        draw = Draw.of(intent, number)
        texts.add(word(draw, intent, slots(draw), TRAINING).text)
    assert len(texts) > 600


def test_held_out_turns_use_held_out_frames_only():
    for number in range(200):
        draw = Draw.of(number)
        assert ".h" in word(draw, "detect", slots(draw), Held(branches=True)).branch
        assert ".h" not in word(draw, "detect", slots(draw), TRAINING).branch


def test_what_is_copied_stands_in_the_text_as_it_was_written():
    for number in range(1000):
        draw = Draw.of("copies", number)
        said = word(draw, "detect", slots(draw), TRAINING)
        assert len(said.quoted["labels"]) == 2
        for label in said.quoted["labels"]:
            assert re.search(rf"\b{label}\b", said.text)
            assert label.lower() in ("cup", "cups", "spoon", "spoons")


def test_no_mark_is_left_in_a_text():
    for number in range(300):
        draw = Draw.of("marks", number)
        text = word(draw, "count", slots(draw), TRAINING).text
        assert not re.search("[\ue000-\uf8ff]", text)
        assert "{" not in text
        assert "  " not in text


def test_in_training_a_word_of_some_requests_is_known_to_nobody_and_slots_stay(monkeypatch):
    frame = paraphrase._frame("t.1", "please find {it} now")
    said = {expand(frame, {"it": "the cup"}, Draw.of(n), strange=True) for n in range(60)}
    assert all(" the cup now" in each for each in said)
    assert {each.startswith("please ") for each in said} == {True, False}
    assert all(not each.startswith("please find ") for each in said)
    assert expand(frame, {"it": "the cup"}, Draw.of(0)) == "please find the cup now"

    shares = {}
    for held in (TRAINING, Held(words=True), Held(branches=True)):
        strange = []
        monkeypatch.setattr(
            paraphrase,
            "expand",
            lambda *a, strange=False, to=strange, **o: to.append(strange) or "x",
        )
        for n in range(300):
            draw = Draw.of("strange", n)
            word(draw, "detect", slots(draw), held, wraps=False)
        shares[held] = sum(strange) / len(strange)
    assert 0.05 < shares[TRAINING] < 0.2
    assert shares[Held(words=True)] == shares[Held(branches=True)] == 0


def test_brackets_choose_and_leave_out():
    frame = paraphrase._frame("x.1", "(find|spot) [all] {many} \\(now\\)")
    forms = {expand(frame, {"many": "cups"}, Draw.of(n)) for n in range(100)}
    assert forms == {
        "find cups (now)",
        "spot cups (now)",
        "find all cups (now)",
        "spot all cups (now)",
    }


def test_brackets_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="never closed"):
        paraphrase._frame("x.1", "find [all {many}")
    with pytest.raises(ValueError, match="do not match"):
        paraphrase._frame("x.1", "find all] {many}")


def test_a_slip_never_touches_what_is_copied():
    for number in range(500):
        text = f"please locate {quote('umbrella', 'labels')} somewhere"
        slipped = paraphrase._slip(Draw.of(number), text)
        assert quote("umbrella", "labels") in slipped
        assert slipped != text
