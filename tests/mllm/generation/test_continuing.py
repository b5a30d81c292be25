"""Talks that go on, fork and roll back; streams and rows that stop at given strings."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.core import Core
from nuthatch.mllm.generation.continuing import Continuation, RowStops
from nuthatch.mllm.generation.decoding import ContextTooLong
from nuthatch.mllm.presets import llava
from tests.mllm.generation.speakers import CountingLlama, byte_tokenizer, random_llama, tokenizer
from tests.mllm.tiny_cores import BOS, PAD, PICTURE, SOUND, pictures, sounds

LOOKING = [BOS, *PICTURE, 40, 41]
LISTENING = [42, *SOUND, 43, 44]
END = 7


@pytest.fixture(scope="module")
def llama() -> CountingLlama:
    return random_llama()


@pytest.fixture(scope="module")
def core() -> Core:
    """With as many tokens as the tokenizer."""
    torch.manual_seed(0)
    config = CoreConfig.tiny()
    config.text_config.vocab_size = len(tokenizer())
    core = Core(config).eval()
    with torch.no_grad():
        for parameter in core.language_model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(8)
    return core


def ids_of(text: str) -> list[int]:
    ids: list[int] = tokenizer().encode(text, add_special_tokens=False)
    return ids


def text_of(ids: Sequence[int]) -> str:
    text: str = tokenizer().decode(ids, skip_special_tokens=True)
    return text


@torch.inference_mode()
def fresh(model: Any, ids: list[int], **media: Tensor) -> Tensor:
    """Logits (V,) after these tokens, without any cache."""
    logits: Tensor = model(input_ids=torch.tensor([ids]), **media).logits[0, -1]
    return logits


def generated(model: Any, ids: list[int], number: int, **how: Any) -> list[int]:
    given = torch.tensor([ids])
    how = {"do_sample": False, "max_new_tokens": number, "pad_token_id": PAD, **how}
    output = model.generate(given, attention_mask=torch.ones_like(given), **how)
    new: list[int] = output[0, len(ids) :].tolist()
    return new


# -- going on -------------------------------------------------------------------------------------


def test_a_talk_that_was_rolled_back_goes_on_like_a_fresh_one(core: Core) -> None:
    talk = Continuation(core)
    talk.read(LOOKING, pixel_values=pictures(1))
    mark = len(talk.ids)
    written = [piece.token for piece in talk.stream(9)]
    assert talk.ids == [*LOOKING, *written]
    talk.rollback(len(talk.ids) - mark + 1)  # what was written, and the last token before
    logits = talk.read(LISTENING, filter_banks=sounds(1))
    whole = [*LOOKING[:-1], *LISTENING]
    assert talk.ids == whole
    media = {"pixel_values": pictures(1), "filter_banks": sounds(1)}
    torch.testing.assert_close(logits, fresh(core, whole, **media), atol=1e-5, rtol=0)


@pytest.mark.parametrize("number", [1, 2, 5])
def test_writing_goes_on_from_where_the_talk_was_rolled_back_to(
    llama: CountingLlama, number: int
) -> None:
    talk = Continuation(llama)
    talk.read([BOS, 20, 30])
    written = [piece.token for piece in talk.stream(8)]
    talk.rollback(number)
    assert [piece.token for piece in talk.stream(number)] == written[-number:]
    assert talk.ids == [BOS, 20, 30, *written]


def test_every_token_is_read_once_and_the_last_one_only_when_the_talk_goes_on() -> None:
    llama = random_llama()
    talk = Continuation(llama)
    talk.read([BOS, 20, 30])
    list(talk.stream(4))
    assert llama.tokens == 3 + 3
    talk.read([50, 51])
    assert llama.tokens == len(talk.ids) == 3 + 4 + 2


def test_a_stream_may_be_left_at_any_piece(llama: CountingLlama) -> None:
    talk = Continuation(llama)
    talk.read([BOS, 20, 30])
    first = next(talk.stream(8)).token
    assert talk.ids == [BOS, 20, 30, first]
    torch.testing.assert_close(
        talk.read([60]), fresh(llama, [BOS, 20, 30, first, 60]), atol=1e-5, rtol=0
    )


def test_forks_do_not_influence_one_another(core: Core) -> None:
    talk = Continuation(core)
    talk.read(LOOKING, pixel_values=pictures(1)).fill_(0)  # what is given out is the reader's
    other = talk.fork()
    with torch.inference_mode():  # even where a cache is written to in place
        for layer in talk.fork()._cache.layers:
            layer.keys.zero_()
    ours, theirs = talk.stream(6), other.stream(6, temperature=3.0, seed=1)
    together = [(next(ours).token, next(theirs).token) for _ in range(6)]
    other.rollback(8)
    expected = generated(core, LOOKING, 6, pixel_values=pictures(1))
    assert [one for one, _ in together] == expected
    assert [two for _, two in together] != expected
    assert other.ids == LOOKING[:-2]
    logits = fresh(core, [*LOOKING, *expected, 50], pixel_values=pictures(1))
    torch.testing.assert_close(talk.read([50]), logits, atol=1e-5, rtol=0)


def test_media_are_encoded_once(core: Core) -> None:
    looks = []
    hook = core.vision_tower.register_forward_hook(lambda *_: looks.append(1))
    talk = Continuation(core)
    talk.read(LOOKING, pixel_values=pictures(1))
    list(talk.stream(4))
    list(talk.fork().stream(4))
    talk.rollback(5)
    list(talk.stream(4))
    hook.remove()
    assert len(looks) == 1


def test_right_behind_a_medium_a_rolled_back_talk_reads_on_but_does_not_write(core: Core) -> None:
    talk = Continuation(core)
    talk.read(LOOKING, pixel_values=pictures(1))
    talk.rollback(2)
    with pytest.raises(ValueError, match="right behind a medium"):
        next(talk.stream(1))
    logits = talk.read([50])
    expected = fresh(core, [*LOOKING[:-2], 50], pixel_values=pictures(1))
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=0)


def test_what_cannot_be_read_leaves_the_talk_as_it_was(core: Core) -> None:
    talk = Continuation(core)
    with pytest.raises(ValueError, match="nothing was read yet"):
        next(talk.stream(1))
    talk.read([BOS, 40])
    with pytest.raises(ValueError, match="6 image placeholders"):
        talk.read(PICTURE)
    with pytest.raises(ContextTooLong, match="2 tokens, media included, and 511 more"):
        talk.read([40] * 511)
    with pytest.raises(ContextTooLong, match="the model's 512"):
        talk.stream(511)
    with pytest.raises(ValueError, match="max_new_tokens=0 and temperature=-1"):
        talk.stream(0, temperature=-1)
    with pytest.raises(ValueError, match="given no tokens"):
        talk.read([])
    for number in (-1, 3):
        with pytest.raises(ValueError, match=f"given {number} tokens to forget, expected 0 to 2"):
            talk.rollback(number)
    expected = fresh(core, [BOS, 40, 41])
    torch.testing.assert_close(talk.read([41]), expected, atol=1e-5, rtol=0)


# -- streams --------------------------------------------------------------------------------------


class Reciter(CountingLlama):
    """Writes the given text behind any prompt of three tokens, then its end token, then again."""

    recital: list[int]

    def forward(self, input_ids: Tensor, **inputs: Any) -> Any:
        past = inputs.get("past_key_values")
        first = (0 if past is None else past.get_seq_length()) - 2
        output = super().forward(input_ids, **inputs)
        kept = output.logits.shape[1]
        places = range(first + input_ids.shape[1] - kept, first + input_ids.shape[1])
        says = torch.tensor([self.recital[place % len(self.recital)] for place in places])
        output.logits = torch.nn.functional.one_hot(says, output.logits.shape[-1])[None].float()
        return output


def reciter(*tokens: int) -> Reciter:
    model = random_llama()
    model.__class__ = Reciter
    model.recital = [*tokens, END]
    model.generation_config.eos_token_id = END
    return model


def bytewise(text: str) -> list[int]:
    """One token a byte."""
    return [token for letter in text for token in ids_of(letter)]


PROMPT = [BOS, 20, 30]
TEXT = 'There are "two" cups é中😀. User: more. The end'


@pytest.mark.parametrize("spell", [ids_of, bytewise], ids=["pieces", "letters"])
@pytest.mark.parametrize(
    ("stop", "shown"),
    [
        ([], TEXT),
        ([" User:"], 'There are "two" cups é中😀.'),
        (["中😀. U", "nowhere"], 'There are "two" cups é'),
        (["more", "User"], 'There are "two" cups é中😀. '),
        ("T", ""),
        (["The end of it", "e end!"], TEXT),
        ([". User?"], TEXT),
    ],
)
def test_a_stream_shows_what_generate_writes_up_to_the_stop_string(
    spell: Any, stop: list[str], shown: str
) -> None:
    model = reciter(*spell(TEXT))
    talk = Continuation(model, tokenizer())
    talk.read(PROMPT)
    pieces = list(talk.stream(200, stop=stop))
    assert "".join(piece.text for piece in pieces) == shown
    assert talk.ids == [*PROMPT, *(piece.token for piece in pieces)]
    stops = RowStops(tokenizer(), [[stop] if isinstance(stop, str) else stop], 3)
    new = generated(model, PROMPT, 200, stopping_criteria=[stops])
    assert new == [piece.token for piece in pieces]
    assert stops.texts(torch.tensor([[*PROMPT, *new]])) == [shown]


def test_text_is_held_back_only_while_it_could_become_a_stop_string() -> None:
    talk = Continuation(reciter(*bytewise("a##b##é###c")), tokenizer())
    talk.read(PROMPT)
    pieces = [piece.text for piece in talk.stream(50, stop=["###"])]
    assert pieces == ["a", "", "", "##b", "", "", "", "##é", "", "", ""]


def test_text_that_was_held_back_is_shown_when_the_tokens_are_used_up() -> None:
    talk = Continuation(reciter(*bytewise("a##b")), tokenizer())
    talk.read(PROMPT)
    assert [piece.text for piece in talk.stream(3, stop=["###"])] == ["a", "", "##"]


SMILE = "\N{GRINNING FACE}"
RECITER = reciter()
PIECES = ["a", "b", " ", "\n", "#", "##", "\u00e9", "\u4e2d", SMILE, f"{SMILE}\u200d\u00e9"]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map("".join),
    st.sampled_from([[], ["###"], [SMILE], ["#\u00e9", "a "], ["\u4e2db", "\n"]]),
)
def test_no_character_that_is_written_in_bytes_is_shown_twice(text: str, stops: list[str]) -> None:
    letters = byte_tokenizer()
    RECITER.recital = [*letters.encode(text), END]
    talk = Continuation(RECITER, letters)
    talk.read(PROMPT)
    shown = "".join(piece.text for piece in talk.stream(99, stop=stops))
    assert shown == text[: min((text.index(stop) for stop in stops if stop in text), default=None)]


def test_what_was_shown_stays_when_the_tokens_end_within_a_character() -> None:
    letters = byte_tokenizer()
    talk = Continuation(reciter(*letters.encode(2 * SMILE)), letters)
    talk.read(PROMPT)
    pieces = [piece.text for piece in talk.stream(6)]
    assert pieces[:5] == ["", "", "", SMILE, ""]
    assert pieces[5] == 5 * "\N{REPLACEMENT CHARACTER}"  # of 6 bytes; one is shown as the face


def test_the_end_token_may_be_among_the_stop_strings() -> None:
    letters, stops = byte_tokenizer(), llava.chat().stop_strings
    assert stops == (letters.eos_token,)
    model = reciter(*letters.encode("Hi"), letters.eos_token_id, *letters.encode("you"))
    talk = Continuation(model, letters)
    talk.read(PROMPT)
    assert [piece.text for piece in talk.stream(9, stop=stops)] == ["H", "i", ""]
    criterion = RowStops(letters, [stops], 3)
    how = {"stopping_criteria": [criterion], "eos_token_id": letters.eos_token_id}
    new = generated(model, PROMPT, 9, **how)
    assert len(new) == 3
    assert criterion.texts(torch.tensor([[*PROMPT, *new]])) == ["Hi"]


def test_a_stream_stops_at_token_ids_too_and_does_not_show_them() -> None:
    talk = Continuation(reciter(*bytewise("abcd")), tokenizer())
    talk.read(PROMPT)
    [third] = ids_of("c")
    pieces = list(talk.stream(9, stop=third))
    assert pieces[-1] == (third, "")
    assert "".join(piece.text for piece in pieces) == "ab"


def test_the_likeliest_tokens_are_those_of_generate_and_a_seed_draws_the_same_again(
    core: Core,
) -> None:
    talk = Continuation(core, tokenizer())
    talk.read(LOOKING, pixel_values=pictures(1))
    drawn = [list(talk.fork().stream(12, temperature=2.0, seed=seed)) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    pieces = list(talk.stream(12))
    new = generated(core, LOOKING, 12, pixel_values=pictures(1))
    assert [piece.token for piece in pieces] == new
    assert "".join(piece.text for piece in pieces) == text_of(new)


def test_a_placeholder_is_never_written(core: Core) -> None:
    with torch.no_grad():
        before = core.get_output_embeddings().weight.clone()
        core.get_output_embeddings().weight[list(core.config.media_token_ids)] *= 100
        talk = Continuation(core)
        talk.read([BOS, 40])
        written = {piece.token for seed in range(4) for piece in talk.fork().stream(20, seed=seed)}
        core.get_output_embeddings().weight.copy_(before)
    assert written.isdisjoint(core.config.media_token_ids)


@pytest.mark.parametrize(
    ("known", "stop", "what"),
    [(True, "", "empty"), (True, "<|user|>x", "give its id"), (False, "x", "without a tokenizer")],
)
def test_a_stop_string_that_no_text_can_hold_is_refused(
    llama: CountingLlama, known: bool, stop: str, what: str
) -> None:
    with pytest.raises(ValueError, match=what):
        Continuation(llama, tokenizer() if known else None).stream(1, stop=stop)


# -- rows -----------------------------------------------------------------------------------------


def left_padded(rows: list[list[int]]) -> dict[str, Tensor]:
    length = max(len(row) for row in rows)
    ids = torch.tensor([[PAD] * (length - len(row)) + row for row in rows])
    return {"input_ids": ids, "attention_mask": (ids != PAD).long()}


@pytest.mark.parametrize("beams", [1, 3])
def test_a_row_stops_at_its_own_strings_and_the_others_go_on(core: Core, beams: int) -> None:
    rows = [[BOS, *PICTURE, 40], [BOS, 50, 51, 52], [BOS, 60, 61]]
    how = {"do_sample": False, "num_beams": beams, "max_new_tokens": 20, "eos_token_id": END}
    batch = {**left_padded(rows), "pixel_values": pictures(1)}
    length = batch["input_ids"].shape[1]
    free = [text_of(row) for row in core.generate(**batch, **how)[:, length:].tolist()]
    stops = [[free[0][3:6]], [], [free[2][8:10], free[2][5:7]]]
    criterion = RowStops(tokenizer(), stops, length)
    output = core.generate(**batch, **how, stopping_criteria=[criterion])
    texts = criterion.texts(output)
    for index, row in enumerate(rows):
        media = {"pixel_values": pictures(1)} if index == 0 else {}
        alone = RowStops(tokenizer(), [stops[index]], len(row))
        single = core.generate(**left_padded([row]), **media, **how, stopping_criteria=[alone])
        assert alone.texts(single) == [texts[index]]
        new = single[0, len(row) :].tolist()
        assert output[index, length : length + len(new)].tolist() == new
        assert set(output[index, length + len(new) :].tolist()) <= {PAD, END}
    if beams == 1:
        assert texts == [free[0][: free[0].index(stops[0][0])], free[1], texts[2]]
        assert free[2].startswith(texts[2])
        assert not any(stop in texts[2] for stop in stops[2])


def test_a_stop_string_does_not_begin_in_the_prompt() -> None:
    model = reciter(*bytewise("#a##b"))
    prompt = [BOS, 20, *ids_of("#")]
    stops = RowStops(tokenizer(), [["##"]], 3)
    new = generated(model, prompt, 20, stopping_criteria=[stops])
    assert stops.texts(torch.tensor([[*prompt, *new]])) == ["#a"]


def test_a_text_is_cut_at_the_stop_string_that_begins_first() -> None:
    stops = RowStops(tokenizer(), [["cups", "are"]], 0)
    assert stops.texts(torch.tensor([ids_of(TEXT)])) == ["There "]


def test_several_samples_of_a_row_share_its_strings() -> None:
    stops = RowStops(tokenizer(), [["a"], ["b"]], 0)
    ids = torch.tensor([ids_of(letter) for letter in "abab"])
    assert stops(ids).tolist() == [True, False, False, True]
    with pytest.raises(ValueError, match="given 3 rows and stop strings for 2"):
        stops(ids[:3])
    with pytest.raises(ValueError, match="no rows"):
        RowStops(tokenizer(), [], 0)
