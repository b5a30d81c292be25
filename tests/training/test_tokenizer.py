"""What the core's tokenizer promises."""

import pytest
from transformers import PreTrainedTokenizerFast

from nuthatch.mllm.chat import SPECIAL_TOKENS, encode
from nuthatch.training.tokenizer import spelt_alike, train_tokenizer
from tests.mllm.generation.speakers import tokenizer


def pieces(text: str) -> list[str]:
    return [tokenizer().decode([i]) for i in tokenizer()(text)["input_ids"]]


def test_special_tokens_have_the_first_ids_and_the_end_token_ends():
    assert tokenizer().convert_tokens_to_ids(list(SPECIAL_TOKENS)) == list(range(10))
    assert tokenizer().eos_token == "<|end|>"
    assert tokenizer().bos_token == "<|bos|>"


@pytest.mark.parametrize("text", ["two cups.", "  é中 😀\t\n", '{"a":["b\\"c"]}', "\x00\x7f�"])
def test_every_text_comes_back_unchanged(text):
    assert tokenizer().decode(tokenizer()(text)["input_ids"]) == text


def test_json_marks_words_and_digits_are_never_in_one_token():
    for piece in pieces('{"name":"detect","arguments":{"labels":["cup12"],"threshold":0.25}}'):
        kinds = {"digit" if c.isdigit() else "letter" if c.isalpha() else "mark" for c in piece}
        assert len(kinds) == 1, piece
    assert pieces("1024") == ["1", "0", "2", "4"]


def test_the_structure_of_a_call_is_a_few_tokens():
    assert pieces('{"name":"detect"')[:3] == ['{"', "name", '":"']


@pytest.mark.parametrize("word", ["handbags", "weathervane", "zx", "7"])
def test_a_word_is_spelt_the_same_with_a_space_before_it_and_without(word):
    assert "".join(pieces(f"a {word}")[1:]) == f" {word}"
    assert [piece.strip() for piece in pieces(f"a {word}")[1:] if piece != " "] == pieces(word)


def test_pieces_that_there_are_with_a_space_and_without_are_known():
    pairs = spelt_alike(tokenizer())
    assert len(pairs) > 50
    assert all(tokenizer().decode([b]) == " " + tokenizer().decode([a]) for a, b in pairs)


def test_it_is_read_back_from_its_folder_with_the_template(tmp_path):
    tokenizer().save_pretrained(tmp_path)
    again = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    talk = [{"role": "user", "content": "Hi é"}, {"role": "assistant", "content": "Yes."}]
    assert encode(again, talk) == encode(tokenizer(), talk)


def test_too_few_entries_are_refused_with_the_least_number():
    with pytest.raises(ValueError, match="at least 266"):
        train_tokenizer(["a"], vocab_size=100)
