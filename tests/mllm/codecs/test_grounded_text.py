import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nuthatch.mllm.codecs.boxes import (
    BinGroups,
    CellTokens,
    DecimalBoxes,
    DecimalGroups,
    ResizedBins,
    Thousandths,
)
from nuthatch.mllm.codecs.grounded_text import GroundedText, PhraseTags
from tests.paths import GOLDEN

TOLERANCE = 1e-12
CELLS = PhraseTags(CellTokens())
REFS = PhraseTags(Thousandths(), "<ref>", "</ref>", blank_inside=False)
SIZE = (640, 480)


def test_agrees_with_the_reference() -> None:
    cases = json.loads((GOLDEN / "kosmos2_text.json").read_text(encoding="utf-8"))["cases"]
    assert len(cases) == 40
    for case in cases:
        ours = CELLS.decode(case["text"], (1, 1))
        entities = case["entities"]
        assert ours.text == case["clean"]
        assert ours.phrases == [entity["phrase"] for entity in entities]
        assert ours.spans == tuple(tuple(entity["span"]) for entity in entities)
        for read, entity in zip(ours.boxes, entities, strict=True):
            assert len(read) == len(entity["boxes"])
            for box, expected in zip(read, entity["boxes"], strict=True):
                assert box == pytest.approx(expected, abs=TOLERANCE, rel=0)


@pytest.mark.parametrize(
    ("tags", "text"),
    [
        (
            CELLS,
            "Two<phrase> red balls</phrase><object><patch_index_0000><patch_index_0495>"
            "</delimiter_of_multi_objects/><patch_index_0528><patch_index_1023></object> and"
            "<phrase> a dog</phrase><object><patch_index_0000><patch_index_1023></object>.",
        ),
        (
            REFS,
            "Two <ref>red balls</ref><box>(0,0),(500,500)</box><box>(500,500),(999,999)</box> and "
            "<ref>a dog</ref><box>(0,0),(999,999)</box>.",
        ),
    ],
    ids=["cells", "refs"],
)
def test_phrases_are_written_in_the_released_form(tags: PhraseTags, text: str) -> None:
    whole, upper_left, lower_right = (0, 0, 640, 480), (0, 0, 320, 240), (320, 240, 640, 480)
    grounded = GroundedText(
        "Two red balls and a dog.", ((4, 13), (18, 23)), ((upper_left, lower_right), (whole,))
    )
    assert grounded.phrases == ["red balls", "a dog"]
    assert tags.encode(grounded, SIZE) == text
    read = tags.decode(f" {text} ", SIZE)
    assert (read.text, read.spans) == (grounded.text, grounded.spans)
    assert [len(boxes) for boxes in read.boxes] == [2, 1]


@pytest.mark.parametrize(
    "codec",
    [CellTokens(), DecimalGroups(), BinGroups(), Thousandths(), ResizedBins(), DecimalBoxes()],
    ids=repr,
)
@pytest.mark.parametrize("blank_inside", [True, False])
@given(
    words=st.lists(st.text("ab<>/.-\u00e9", min_size=1, max_size=5), min_size=1, max_size=8),
    grounded=st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_text_and_spans_come_back(
    codec: CellTokens, blank_inside: bool, words: list[str], grounded: list[bool]
) -> None:
    tags = PhraseTags(codec, blank_inside=blank_inside)
    text, spans = "", []
    for word, has_boxes in zip(words, grounded, strict=False):
        if has_boxes:
            spans.append((len(text), len(text) + len(word)))
        text += word + " "
    given_text = GroundedText(text.strip(), tuple(spans), (((64, 48, 320, 240),),) * len(spans))
    written = tags.encode(given_text, SIZE)
    read = tags.decode(written, SIZE)
    assert (read.text, read.spans) == (given_text.text, given_text.spans)
    assert tags.encode(read, SIZE) == written


def test_the_boxes_of_a_phrase_may_be_an_array() -> None:
    rows = [(64.0, 48.0, 320.0, 240.0), (0.0, 0.0, 640.0, 480.0)]
    ours = GroundedText("a dog", ((2, 5),), (np.array(rows),))  # type: ignore[arg-type]
    assert REFS.encode(ours, SIZE) == REFS.encode(
        GroundedText("a dog", ((2, 5),), (tuple(rows),)), SIZE
    )


def test_a_span_has_no_blanks_at_its_ends_but_the_text_keeps_them() -> None:
    read = REFS.decode("  A <ref> big dog  </ref><box>(0,0),(500,500)</box> ! ", SIZE)
    assert read == GroundedText("A  big dog   !", ((3, 10),), (((0, 0, 320, 240),),))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<ref>a dog</ref> sleeps", "'<ref>' stands outside"),
        ("a dog <box>(1,2),(3,4)</box>", "'<box>' stands outside"),
        ("a <ref>dog<box>(1,2),(3,4)</box>", "'<ref>' stands outside"),
        ("<ref>a</ref> <ref>b</ref><box>(1,2),(3,4)</box>", "'<ref>' stands outside"),
        ("<ref>a</ref><box>(1,2),(3,4)</box><box>(5,6)", "'<box>' stands outside"),
        ("a <ref> </ref><box>(1,2),(3,4)</box> b", "expected phrases in order"),
        ("<ref></ref><box>(1,2),(3,4)</box>", "expected phrases in order"),
        ("<ref>a</ref><box>(1,2),(3,1000)</box>", "0 to 999"),
    ],
)
def test_a_malformed_text_is_an_error(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        REFS.decode(text, SIZE)


def test_a_text_that_holds_a_tag_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="'</box>' stands outside"):
        REFS.encode(GroundedText("a </box> b"), SIZE)


@pytest.mark.parametrize(
    "spans", [((0, 2), (1, 3)), ((2, 3), (0, 1)), ((3, 9),), ((1, 1),), ((0, 2),), ((-3, -1),)]
)
def test_spans_that_are_no_phrases_are_refused(spans: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(ValueError, match="expected phrases in order"):
        GroundedText("a dog", spans, (((0, 0, 1, 1),),) * len(spans))


@pytest.mark.parametrize("boxes", [(), ((),)])
def test_a_phrase_without_boxes_is_refused(boxes: tuple[()]) -> None:
    with pytest.raises(ValueError, match="at least one box for every phrase"):
        GroundedText("a dog", ((2, 5),), boxes)


def test_the_vocabulary_needs_the_tags_and_what_the_codec_needs() -> None:
    assert REFS.tokens() == ["<ref>", "</ref>", "<box>", "</box>"]
    assert len(CELLS.tokens()) == 2 + 3 + 1024
