"""A closed set of answers: nothing else is written, and all of it is scored exactly."""

import json
import random
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import LlamaForCausalLM

from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.core import Core
from nuthatch.mllm.generation.closed_sets import Trie, score_candidates
from nuthatch.mllm.generation.decoding import ContextTooLong
from nuthatch.mllm.layout import Medium, Text, lay_out
from tests.mllm.generation.speakers import byte_tokenizer, random_llama
from tests.mllm.tiny_cores import BOS, PICTURE, SOUND, pictures, sounds, talking_core
from tests.paths import GOLDEN

GOLDEN = json.loads((GOLDEN / "ofa_trie.json").read_text(encoding="utf-8"))
END = 7
# Beginnings in common, a word that is the beginning of others, and words of one token.
WORDS = [[20], [20, 21], [20, 21, 22, 23], [20, 24], [30], [31, 20, 21], [32, 33, 34, 35, 36]]


@pytest.fixture(scope="module")
def llama() -> LlamaForCausalLM:
    return random_llama().double()


@pytest.fixture(scope="module")
def core() -> Core:
    return talking_core().double()


def prompt(length: int = 9, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(10, 90, (1, length), generator=generator)


def many_words(number: int, seed: int) -> list[list[int]]:
    draw = random.Random(seed)
    found: dict[tuple[int, ...], None] = {}
    while len(found) < number:
        found[tuple(draw.choices(range(20, 26), k=draw.randint(1, 4)))] = None
    return [list(word) for word in found]


# -- the tree -------------------------------------------------------------------------------------


def test_agrees_with_the_reference_on_known_prefixes_and_refuses_unknown_ones() -> None:
    bos, eos = GOLDEN["bos"], GOLDEN["eos"]
    trie = Trie([bos, *word, eos] for word in GOLDEN["words"])
    for prefix, following in GOLDEN["queries"]:
        if following is None:
            with pytest.raises(ValueError, match="with which no word begins"):
                trie.allowed(prefix)
        else:
            assert trie.allowed(prefix) == following


@pytest.mark.parametrize(("word", "what"), [([], "is empty"), ([3, 4], "in the tree already")])
def test_a_word_is_not_empty_and_not_there_twice(word: list[int], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        Trie([[3, 4], word])


# -- writing --------------------------------------------------------------------------------------


def written(ids: Tensor, length: int) -> list[list[int]]:
    """The new tokens of each row before its end token, which must be there."""
    rows = [row[length:] for row in ids.tolist()]
    return [row[: row.index(END)] for row in rows]


@pytest.mark.parametrize(
    "how",
    [
        {"do_sample": False},
        {"do_sample": True, "temperature": 5.0, "num_return_sequences": 8},
        {"do_sample": False, "num_beams": 3, "num_return_sequences": 3},
        {"do_sample": False, "num_beams": 9},
    ],
    ids=str,
)
def test_whatever_is_generated_is_a_candidate(llama: LlamaForCausalLM, how: dict[str, Any]) -> None:
    ids = torch.cat([prompt(seed=1), prompt(seed=2)])
    torch.manual_seed(0)
    output = llama.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=6,
        prefix_allowed_tokens_fn=Trie(WORDS).constraint(ids.shape[1], END),
        eos_token_id=END,
        pad_token_id=0,
        **how,
    )
    found = written(output, ids.shape[1])
    assert all(word in WORDS for word in found)
    if how["do_sample"]:
        assert len({tuple(word) for word in found}) > 3


def test_a_picture_is_named_with_one_of_the_candidates(core: Core) -> None:
    ids = torch.tensor([[BOS, *PICTURE, 40, 41]])
    output = core.generate(
        ids,
        pixel_values=pictures(1).double(),
        max_new_tokens=6,
        do_sample=False,
        prefix_allowed_tokens_fn=Trie(WORDS).constraint(ids.shape[1], END),
    )
    assert written(output, ids.shape[1])[0] in WORDS


@pytest.mark.parametrize("seed", range(4))
def test_beams_for_all_candidates_find_what_exhaustive_scoring_finds(
    llama: LlamaForCausalLM, seed: int
) -> None:
    words, ids = many_words(50, seed), prompt(seed=seed)
    output = llama.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=6,
        num_beams=len(words),
        length_penalty=0.0,
        do_sample=False,
        prefix_allowed_tokens_fn=Trie(words).constraint(ids.shape[1], END),
        eos_token_id=END,
        pad_token_id=0,
    )
    exhaustive = [alone(llama, word, input_ids=ids) for word in words]
    likeliest = words[max(range(len(words)), key=exhaustive.__getitem__)]
    assert written(output, ids.shape[1]) == [likeliest]
    assert words[score_candidates(llama, words, end_id=END, input_ids=ids).best] == likeliest


def test_a_constraint_is_for_prompts_of_its_length(llama: LlamaForCausalLM) -> None:
    ids = prompt()
    for length in (ids.shape[1] - 1, ids.shape[1] + 1):
        constraint = Trie(WORDS).constraint(length, END)
        with pytest.raises(ValueError, match=f"prompt_length={length} for a prompt of 9 tokens"):
            llama.generate(ids, max_new_tokens=2, prefix_allowed_tokens_fn=constraint)
    with pytest.raises(ValueError, match="the tree is empty"):
        Trie().constraint(9, END)


# -- scoring --------------------------------------------------------------------------------------


@torch.inference_mode()
def alone(model: Any, word: list[int], end: int | None = END, **inputs: Any) -> float:
    """The log-probability of one candidate, from one forward pass over all of it."""
    word = word if end is None else [*word, end]
    ids = torch.cat([inputs.pop("input_ids"), torch.tensor([word])], dim=1)
    logits = model(input_ids=ids, **inputs).logits[0, -len(word) - 1 : -1]
    chances = logits.log_softmax(-1).gather(-1, torch.tensor(word)[:, None])
    return float(chances.sum())


@pytest.mark.parametrize("end", [END, None])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_all_scores_are_those_of_each_candidate_alone(
    core: Core, attention: str, end: int | None
) -> None:
    core.language_model.set_attn_implementation(attention)
    inputs = {
        "input_ids": torch.tensor([[BOS, *PICTURE, 40, *SOUND, 41]]),
        "pixel_values": pictures(1).double(),
        "filter_banks": sounds(1).double(),
    }
    mask = torch.ones(1, 15)  # as the processor gives it
    found = score_candidates(core, WORDS, end_id=end, **inputs, attention_mask=mask)
    expected = torch.tensor([alone(core, word, end, **inputs) for word in WORDS])
    torch.testing.assert_close(found.log_probabilities, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.probabilities, expected.softmax(-1), atol=1e-5, rtol=0)
    assert found.best == int(expected.argmax())
    core.language_model.set_attn_implementation("sdpa")


def test_a_batch_of_the_layout_is_a_prompt() -> None:
    torch.manual_seed(0)
    config = CoreConfig.tiny()
    config.text_config.vocab_size = len(byte_tokenizer())
    config.image_token_id, config.audio_token_id = len(byte_tokenizer()), len(byte_tokenizer()) + 1
    reader = Core(config).eval().double()
    batch = lay_out([[Medium("image"), Text("Is it?")]], config, byte_tokenizer())
    seen = pictures(1).double()
    found = score_candidates(reader, WORDS, end_id=END, **batch, pixel_values=seen)
    expected = [
        alone(reader, word, input_ids=batch["input_ids"], pixel_values=seen) for word in WORDS
    ]
    torch.testing.assert_close(
        found.log_probabilities, torch.tensor(expected), atol=1e-5, rtol=0, check_dtype=False
    )


@pytest.mark.parametrize("read_before", [0, 4])
def test_prompt_and_candidates_fit_the_context_or_say_by_how_much_not(read_before: int) -> None:
    llama, ids = random_llama(context=14), prompt(9)
    cache = llama(ids[:, :read_before], use_cache=True).past_key_values if read_before else None
    rest = {"input_ids": ids[:, read_before:], "past_key_values": cache}
    with pytest.raises(ContextTooLong, match="9 tokens, media included, and candidates of up to 6"):
        score_candidates(llama, WORDS, end_id=END, **rest)
    score_candidates(llama, WORDS, **rest)  # exactly as long as the context


def test_a_prompt_may_be_embedded_already(core: Core) -> None:
    llama, ids = core.language_model, prompt()
    embeds = llama.get_input_embeddings()(ids)
    found = score_candidates(llama, WORDS, end_id=END, inputs_embeds=embeds)
    expected = score_candidates(llama, WORDS, end_id=END, input_ids=ids)
    assert torch.equal(found.scores, expected.scores)
    ids, seen = torch.tensor([[BOS, *PICTURE, 40]]), pictures(1).double()
    embeds = core.embed_inputs(ids, seen)
    found = score_candidates(core, WORDS, end_id=END, inputs_embeds=embeds)
    expected = score_candidates(core, WORDS, end_id=END, input_ids=ids, pixel_values=seen)
    assert torch.equal(found.scores, expected.scores)


def test_normalised_scores_are_means_over_tokens(llama: LlamaForCausalLM) -> None:
    lengths = torch.tensor([len(word) + 1 for word in WORDS])
    differ = 0
    for seed in range(6):
        ids = prompt(seed=seed)
        plain = score_candidates(llama, WORDS, end_id=END, input_ids=ids)
        mean = score_candidates(llama, WORDS, end_id=END, per_token=True, input_ids=ids)
        assert torch.equal(mean.log_probabilities, plain.log_probabilities)
        torch.testing.assert_close(mean.scores * lengths, plain.scores)
        differ += mean.best != plain.best
    assert differ, "the lengths make no difference"


def test_the_prompt_is_read_once_and_every_beginning_once() -> None:
    llama = random_llama()
    score_candidates(llama, WORDS, end_id=END, input_ids=prompt(9))
    beginnings = {tuple(word[:length]) for word in WORDS for length in range(1, len(word) + 1)}
    assert (llama.passes, llama.tokens) == (2, 9 + len(beginnings))


def test_a_talk_that_was_read_before_can_go_on_after_the_scores(llama: LlamaForCausalLM) -> None:
    ids = prompt(9)
    cache = llama(ids[:, :6], use_cache=True).past_key_values
    rest = {"input_ids": ids[:, 6:], "attention_mask": torch.ones(1, 3)}
    found = score_candidates(llama, WORDS, end_id=END, **rest, past_key_values=cache)
    expected = score_candidates(llama, WORDS, end_id=END, input_ids=ids)
    torch.testing.assert_close(found.scores, expected.scores, atol=1e-5, rtol=0)
    more = torch.tensor([[50, 51]])
    logits = llama(more, past_key_values=cache).logits
    fresh = llama(torch.cat([ids, more], dim=1)).logits[:, -2:]
    torch.testing.assert_close(logits, fresh, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("candidates", "what"),
    [
        ([], "given 0 candidates"),
        ([[20], []], "1 of them empty"),
        ([[20], [21, 22], [20]], r"\[20\] is given twice"),
        ([[20], [21, END]], "holds the end token 7"),
        ([[20], [9999, -1]], r"candidates hold \[-1, 9999\], expected ids from 0 to \d+$"),
    ],
)
def test_a_set_that_is_none_is_refused(
    llama: LlamaForCausalLM, candidates: list[list[int]], what: str
) -> None:
    with pytest.raises(ValueError, match=what):
        score_candidates(llama, candidates, end_id=END, input_ids=prompt())


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"input_ids": prompt().repeat(2, 1)},
        {"input_ids": prompt(3), "attention_mask": torch.tensor([[0, 1, 1]])},
    ],
)
def test_a_prompt_is_one_row_without_padding(
    llama: LlamaForCausalLM, inputs: dict[str, Tensor]
) -> None:
    with pytest.raises(ValueError, match="without padding"):
        score_candidates(llama, WORDS, **inputs)
