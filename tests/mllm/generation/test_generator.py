"""A core asked about pictures and sounds, without tools. Its weights are random."""

import numpy as np
import pytest
import torch

from nuthatch.mllm.generation import generator as speaking
from nuthatch.mllm.generation.generator import Question, Speaker
from tests.training.evaluate.trials import save, tiny_trial

RANDOM = np.random.default_rng(0)
PICTURES = [RANDOM.integers(0, 255, (40, 60, 3), np.uint8) for _ in range(3)]


@pytest.fixture(scope="module")
def speaker() -> Speaker:
    return tiny_trial()


def about(vectors: torch.Tensor, text: str = "Is there a cup?") -> Question:
    return Question(text, (("image", vectors),))


def test_questions_are_answered_the_same_alone_and_among_others(speaker, monkeypatch):
    seen = speaker.see(PICTURES)
    asked = [about(each, text) for text in ("Is there a cup?", "What is it?") for each in seen]
    together = speaker.answers(asked)
    monkeypatch.setattr(speaking, "AT_ONCE", 2)
    assert speaker.answers(asked) == together
    assert all(text.strip() for text in together)


def test_a_question_may_have_several_media_or_none(speaker):
    (picture,) = speaker.see(PICTURES[:1])
    (sound,) = speaker.hear([np.zeros(8000, np.float32)])
    both = Question("What is it?", (("image", picture), ("audio", sound), ("image", picture)))
    assert len(speaker.answers([both, Question("Hello.")])) == 2


def test_an_answer_is_as_likely_as_its_tokens_one_after_the_other(speaker):
    """The model never says a likelier first token than the one it chose."""
    (picture,) = speaker.see(PICTURES[:1])
    (said,) = speaker.answers([about(picture)])
    texts = [said[:1], "Y", "No."]
    likely = speaker.log_likelihoods([(about(picture), text) for text in texts])
    counts = [len(speaker.tokenizer.encode(t, add_special_tokens=False)) + 1 for t in texts]
    assert [tokens for _, tokens in likely] == counts
    assert all(whole < 0 for whole, _ in likely)
    longer = speaker.log_likelihoods([(about(picture), "No. No.")])[0][0]
    assert longer < likely[2][0]


def test_a_speaker_comes_from_a_folder(speaker, tmp_path):
    loaded = speaking.load(save(speaker, tmp_path))
    assert torch.equal(loaded.see(PICTURES), speaker.see(PICTURES))
