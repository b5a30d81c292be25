import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from whisper.tokenizer import get_tokenizer

from nuthatch.tools.audio.transcriber import load
from nuthatch.training.config import load_config
from nuthatch.training.perceive.spoken import sentence, words
from nuthatch.training.perceive.transcribe import (
    IGNORED,
    Batches,
    Learner,
    Looking,
    blurred,
    train,
    vocabulary,
)
from nuthatch.training.perceive.transcribe_corpus import (
    FLOOR,
    MELS,
    MORE_VOICES,
    Corpus,
    disturbed,
    heard,
    log_power,
    phonemes_of,
    warped,
)
from nuthatch.training.perceive.transcribe_quality import word_errors, words_of
from nuthatch.training.recipes.perception import TranscribeRecipe
from nuthatch.training.recipes.schedule import Schedule
from nuthatch.training.world.speech import VOICES
from tests.paths import ROOT

RECIPE = ROOT / "training/recipes/embedded/1_perceive_transcribe.yaml"
needs_speech = pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is missing")


def corpus(texts=("two dogs.", "is there a cat?", "no.")) -> Corpus:
    """Noise in place of speech, 0.3 s a word."""
    rng = np.random.default_rng(0)
    frames = [30 * len(text.split()) for text in texts]
    return Corpus(
        power=rng.normal(-3, 1, (sum(frames), MELS)).astype(np.float16),
        ends=np.cumsum(frames),
        phonemes=np.arange(1, 1 + 4 * len(texts), dtype=np.int16) % 5 + 1,
        phoneme_ends=np.arange(4, 4 + 4 * len(texts), 4),
        alphabet=tuple("abcde"),
        texts=tuple(texts),
    )


def batches(**settings) -> Batches:
    config = TranscribeRecipe(**{"batch": 4, "window": 60, "width": 32, **settings})
    return Batches(corpus(), config, get_tokenizer(multilingual=False), tuple(vocabulary()))


def text_of(batch, row: int) -> str:
    known = vocabulary()
    ids = [known[place] for place in batch.targets[row].tolist() if place != IGNORED]
    return get_tokenizer(multilingual=False).decode([i for i in ids if i < 50256]).strip()


# -- what is said ---------------------------------------------------------------------------------


def test_the_recipe_is_what_the_config_expects() -> None:
    assert load_config(TranscribeRecipe, RECIPE, ["batch=3"]).batch == 3


def test_a_sentence_is_always_the_same_for_its_number() -> None:
    assert [sentence(7), sentence(8)] == [sentence(7), sentence(8)]
    assert sentence(7) != sentence(8)


def test_held_out_sentences_are_never_trained_on() -> None:
    trained = {sentence(number) for number in range(3000)}
    held = {sentence(number, held_out=True) for number in range(1000)}
    assert not trained & held
    assert len(held) > 700


def test_sentences_are_made_of_the_known_words_and_use_them_all() -> None:
    said = [sentence(number) for number in range(9000)]
    assert all(re.fullmatch(r"[a-z ]+[.?]", text) for text in said)
    assert {word for text in said for word in words_of(text)} == set(words())


def test_every_word_can_be_written_with_the_vocabulary() -> None:
    tokenizer, known = get_tokenizer(multilingual=False), set(vocabulary())
    for number in range(300):
        assert known.issuperset(tokenizer.encode(f" {sentence(number)}"))


def test_no_training_voice_has_an_accent_or_a_speaker_that_is_held_out() -> None:
    held = {part for voice in VOICES["held_out"] for part in voice.split("+")} - {"en-us"}
    assert held == {"f5", "en-gb-x-gbcwmd", "m7"}
    assert not any(held & set(voice.split("+")) for voice in (*VOICES["seen"], *MORE_VOICES))


# -- the corpus and its batches -------------------------------------------------------------------


def test_a_corpus_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    corpus().save(tmp_path / "corpus.npz")
    read = Corpus.read(tmp_path / "corpus.npz")
    assert read.texts == corpus().texts
    for index in range(3):
        np.testing.assert_array_equal(read[index].power, corpus()[index].power)
        np.testing.assert_array_equal(read[index].phonemes, corpus()[index].phonemes)
    assert [len(read[index].power) for index in range(3)] == [60, 120, 30]


def test_the_spectrum_is_whispers_own() -> None:
    from whisper.audio import log_mel_spectrogram

    sound = np.random.default_rng(0).uniform(-0.5, 0.5, 16_000).astype(np.float32)
    ours = heard(log_power(sound).astype(np.float32), 100)
    torch.testing.assert_close(ours, log_mel_spectrogram(sound), atol=2e-3, rtol=0)


def test_a_window_is_filled_with_digital_silence() -> None:
    window = heard(np.full((3, MELS), 2.0, np.float32), 5)
    assert window[:, :3].unique().tolist() == [1.5]
    assert window[:, 3:].unique().tolist() == [pytest.approx((2.0 - FLOOR + 4) / 4)]


def test_changes_grow_from_none_with_their_strength() -> None:
    power = corpus()[1].power
    rng = np.random.default_rng(0)
    unchanged = disturbed(warped(power, rng, 0.0), rng, 0.0)
    np.testing.assert_allclose(unchanged, power[:-1].astype(np.float32), atol=1e-2)
    lengths = {len(warped(power, rng)) for _ in range(20)}
    assert min(lengths) < len(power) < max(lengths)


def test_a_batch_is_a_function_of_its_step_alone() -> None:
    first, again, other = (batches().at(step) for step in (3, 3, 4))
    assert torch.equal(first.mel, again.mel)
    assert torch.equal(first.targets, again.targets)
    assert first.mel.shape != other.mel.shape or not torch.equal(first.mel, other.mel)


def test_targets_are_what_is_said_and_the_phonemes_beside_it() -> None:
    batch = batches(silent=0.0, joined=0.0).at(500)
    assert {text_of(batch, row) for row in range(4)} <= set(corpus().texts)
    assert batch.phoneme_counts.tolist() == [4] * 4
    assert len(batch.phonemes) == 16
    assert batch.mel.shape[2] % 4 == 0


def test_words_are_said_in_order_between_the_first_and_the_last_sound() -> None:
    batch = batches(silent=0.0, joined=0.0).at(0)
    for row in range(4):
        moments = batch.moments[row][~batch.moments[row].isnan()].tolist()
        assert moments == sorted(moments)
        assert moments[0] > 0
        assert moments[-1] < batch.lengths[row] / 4
        assert len(moments) == sum(place != IGNORED for place in batch.targets[row].tolist()) - 2


def test_blurring_changes_some_words_and_never_the_start() -> None:
    tokens = torch.arange(60).view(3, 20)
    assert torch.equal(blurred(tokens, 0.0), tokens)
    changed = blurred(tokens, 0.5)
    assert torch.equal(changed[:, :2], tokens[:, :2])
    assert 0.2 < (changed[:, 2:] != tokens[:, 2:]).float().mean() < 0.8


def test_the_helpers_tell_chances_of_phonemes_and_tokens_at_every_moment() -> None:
    learner = Learner(TranscribeRecipe(width=32, window=60), 5)
    mel = torch.randn(2, MELS, 40)
    heard_by, phonemes, tokens = learner.hear(mel)
    torch.testing.assert_close(heard_by, learner.model.encoder(mel))
    assert (phonemes.shape, tokens.shape) == ((10, 2, 6), (10, 2, 1 + len(vocabulary())))
    torch.testing.assert_close(tokens.exp().sum(-1), torch.ones(10, 2))


def test_looking_away_from_the_words_costs_and_looking_at_them_does_not() -> None:
    model = Learner(TranscribeRecipe(width=32, window=60), 5).model
    moments = torch.tensor([[math.nan, 30.0]])
    places = torch.zeros(1, 2, dtype=torch.long)
    costs = []
    for loud in (30, 5):
        heard_by = torch.zeros(1, 60, 32)
        heard_by[0, loud] = 1.0
        with Looking(model) as looking:
            model.decoder.narrow(places, heard_by)
        with torch.no_grad():  # all look at what is loud
            model.decoder.blocks[-1].cross_attn.query.weight.zero_()
            model.decoder.blocks[-1].cross_attn.query.bias.fill_(10.0)
            model.decoder.blocks[-1].cross_attn.key.weight.fill_(1.0)
        costs.append(float(looking.away_from(moments).detach()))
    assert costs[0] == pytest.approx(0.0, abs=1e-3)
    assert costs[1] > 5


def test_where_nothing_is_said_there_is_nothing_to_look_at() -> None:
    model = Learner(TranscribeRecipe(width=32, window=60), 5).model
    with Looking(model) as looking:
        model.decoder.narrow(torch.zeros(1, 2, dtype=torch.long), torch.randn(1, 60, 32))
    cost = looking.away_from(torch.full((1, 2), math.nan))
    cost.backward()
    assert float(cost.detach()) == 0.0
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize(("window", "most"), [(1000, 4), (100, 2)])
def test_up_to_four_sentences_share_a_window_as_many_as_fit(window: int, most: int) -> None:
    counts = [
        int(batches(silent=0.0, joined=1.0, easy=1, window=window).at(step).phoneme_counts.max())
        for step in range(8)
    ]
    assert max(counts) == 4 * most  # four phonemes each


def test_where_nobody_speaks_the_model_learns_to_say_so() -> None:
    batch, known = batches(silent=1.0).at(0), vocabulary()
    tokenizer = get_tokenizer(multilingual=False)
    first, then = (known[place] for place in batch.targets[0, :2].tolist())
    assert (first, then) == (tokenizer.no_speech, tokenizer.eot)
    assert batch.phoneme_counts.sum() == 0


# -- figures and the whole ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "heard_as", "errors"),
    [
        ("two dogs", "two dogs", 0),
        ("two dogs", "", 2),
        ("", "two dogs", 2),
        ("two big dogs", "two dogs", 1),
        ("two dogs", "two big red dogs", 2),
        ("the cat is red", "cat was red now", 3),
    ],
)
def test_word_errors_are_the_fewest_changes(said: str, heard_as: str, errors: int) -> None:
    assert word_errors(said.split(), heard_as.split()) == errors


def test_words_are_compared_without_case_and_punctuation() -> None:
    assert words_of("Is there A dog?") == ["is", "there", "a", "dog"]


@needs_speech
def test_each_text_has_its_own_phonemes() -> None:
    first, second = phonemes_of(["two dogs.", "is there a cat?"])
    assert first == ["t", "u:", "d", "0", "g", "z"]
    assert second[-3:] == ["k", "a", "t"]


@needs_speech
def test_a_run_trains_exports_measures_and_goes_on(tmp_path: Path) -> None:
    config = TranscribeRecipe(
        sentences=6,
        batch=2,
        width=32,
        encoder_layers=1,
        schedule=Schedule(steps=2, lr=1e-3, warmup_steps=1),
        evaluate_every=0,
        test_sentences=2,
        out=str(tmp_path / "run"),
        export=str(tmp_path / "export"),
    )
    train(config)
    figures = json.loads((tmp_path / "run" / "figures.json").read_text())
    assert set(figures) == {"wer", "held_out_wer", "sentences", "held_out_sentences"}
    assert "| words wrong per word said" in (tmp_path / "export" / "README.md").read_text()
    weights = (tmp_path / "export" / "model.safetensors").read_bytes()
    train(config)  # finished: nothing is learned anew
    assert (tmp_path / "export" / "model.safetensors").read_bytes() == weights
    assert load(tmp_path / "export").model.dims.n_audio_state == 32
