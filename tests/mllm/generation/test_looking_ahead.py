"""Guesses of the next tokens: fewer passes, and never another word."""

import pytest

from nuthatch.mllm.chat import prompt_ids
from nuthatch.mllm.generation.decoding import Decoder, PrefixCache, Row
from nuthatch.mllm.generation.grammar import turn_grammar
from nuthatch.mllm.generation.looking_ahead import LENGTH, Guesses
from tests.mllm.generation.speakers import HANDLES, SCHEMAS, random_llama, tokenizer


class CountedPasses:
    """A model whose passes are counted."""

    def __init__(self, model: object) -> None:
        self.passes = 0
        self.model = model
        model.register_forward_pre_hook(self._count)  # type: ignore[attr-defined]

    def _count(self, *_: object) -> None:
        self.passes += 1


def row(question: str, grammar: str) -> Row:
    return Row(prompt_ids(tokenizer(), [{"role": "user", "content": question}], SCHEMAS), grammar)


# -- what is kept ---------------------------------------------------------------------------------


def test_what_followed_last_is_guessed_and_the_longest_match_decides():
    guesses = Guesses()
    guesses.remember([], [1, 2, 3, 4, 5, 6, 7, 8, 9])
    guesses.remember([], [7, 8, 10])
    assert guesses.after([7, 8]) == [10]
    assert guesses.after([5, 6, 7, 8]) == [9]
    assert guesses.after([8, 7]) == []


def test_the_end_of_the_prompt_counts_as_said_before():
    guesses = Guesses()
    guesses.remember([1, 2], [3, 4])
    assert guesses.after([1, 2]) == [3, 4]


def test_memory_and_guesses_have_an_end():
    guesses = Guesses(most=50)
    for start in range(100):
        guesses.remember([], range(1000 * start, 1000 * start + 60))
    assert len(guesses._followed) == 50
    assert len(guesses.after([99_000 + 50, 99_000 + 51])) <= LENGTH
    assert guesses.after([1, 2]) == []


# -- what is said ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_with_guesses_the_same_is_said(seed: int):
    model = random_llama(seed)
    plain = Decoder(model, tokenizer(), max_new_tokens=40)
    quick = Decoder(model, tokenizer(), max_new_tokens=40, guesses=Guesses())
    cache = PrefixCache()
    for allow in ("any", "calls", "answer"):
        grammar = turn_grammar(SCHEMAS, HANDLES, allow=allow)
        for question in ("How many cups?", "How many dogs?", "How many cups?", "And here?"):
            asked = row(question, grammar)
            assert quick.generate([asked], cache) == plain.generate([asked])


def test_what_was_said_before_is_said_again_in_few_passes():
    counted = CountedPasses(random_llama())
    decoder = Decoder(counted.model, tokenizer(), max_new_tokens=40, guesses=Guesses())
    asked = row("How many cups?", turn_grammar(SCHEMAS, HANDLES, allow="calls"))
    cache = PrefixCache()
    passes = []
    for _ in range(2):
        counted.passes = 0
        decoder.generate([asked], cache)
        passes.append(counted.passes)
    assert passes[1] <= passes[0] / 3


@pytest.mark.parametrize("wrong", [[5] * 8, list(range(20, 60)), [0, 1, 2, 3]])
def test_wrong_guesses_do_no_harm(wrong: list[int], monkeypatch: pytest.MonkeyPatch):
    grammar = turn_grammar([], {})
    asked = row("How many cups?", grammar)
    [expected] = Decoder(random_llama(), tokenizer(), max_new_tokens=24).generate([asked])
    guesses = Guesses()
    monkeypatch.setattr(guesses, "after", lambda tokens: list(wrong))
    quick = Decoder(random_llama(), tokenizer(), max_new_tokens=24, guesses=guesses)
    cache = PrefixCache()
    for _ in range(2):
        assert quick.generate([asked], cache) == [expected]
