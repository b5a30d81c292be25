"""Phrase vectors: unit directions with names, and those of sounds beside their sources'."""

import pytest
import torch

from nuthatch.tools.vocabulary import CATEGORIES, SOUNDS
from nuthatch.training.stages.phrase_vectors import (
    PhraseVectors,
    centred,
    decorrelated,
    shared_vectors,
    sound_vectors,
)


@pytest.fixture
def categories() -> PhraseVectors:
    torch.manual_seed(0)
    return centred(CATEGORIES, 3 + torch.randn(len(CATEGORIES), 96))


def test_what_all_names_share_is_taken_off(categories):
    assert torch.allclose(categories.vectors.norm(dim=-1), torch.ones(len(CATEGORIES)))
    assert categories.vectors.mean(0).norm() < 0.05


def test_what_is_saved_comes_back(categories, tmp_path):
    path = tmp_path / "export" / "categories.safetensors"
    categories.save(path)
    names, vectors = PhraseVectors.load(path)
    assert names == CATEGORIES
    assert torch.equal(vectors, categories.vectors)


def test_missing_vectors_name_the_stage_that_makes_them(tmp_path):
    with pytest.raises(FileNotFoundError, match="stage `see`"):
        PhraseVectors.load(tmp_path / "nothing.safetensors")


def test_a_sound_is_most_like_what_makes_it_but_not_the_same(categories):
    sounds = sound_vectors(categories)
    assert sounds.names == tuple(SOUNDS)
    like = sounds.vectors @ categories.vectors.T
    sources = [CATEGORIES.index(sound.object) for sound in SOUNDS.values()]
    assert like.argmax(-1).tolist() == sources
    assert 0.85 < like.max() < 0.95


def test_sounds_share_a_direction_that_no_category_has(categories):
    sounds = sound_vectors(categories)
    sources = [CATEGORIES.index(sound.object) for sound in SOUNDS.values()]
    shared = sounds.vectors * (1 + 0.5**2) ** 0.5 - categories.vectors[sources]
    assert torch.allclose(shared, shared[:1].expand_as(shared), atol=1e-5)
    assert (categories.vectors @ shared[0]).abs().max() < 1e-4


def test_names_that_look_alike_are_told_apart_as_well_as_any(tmp_path):
    torch.manual_seed(0)
    few = torch.randn(len(CATEGORIES), 4) @ torch.randn(4, 96)  # nearly one plane
    alike = centred(CATEGORIES, few + 0.1 * torch.randn(len(CATEGORIES), 96))
    apart = decorrelated(alike)
    others = ~torch.eye(len(CATEGORIES), dtype=torch.bool)
    assert (alike.vectors @ alike.vectors.T)[others].max() > 0.9
    assert (apart.vectors @ apart.vectors.T)[others].abs().max() < 0.05
    assert ((apart.vectors * alike.vectors).sum(-1) > 0).float().mean() > 0.95

    alike.save(tmp_path / "categories.safetensors")
    categories, sounds = shared_vectors(tmp_path / "categories.safetensors")
    assert torch.equal(categories.vectors, apart.vectors)
    assert torch.equal(sounds.vectors, sound_vectors(apart).vectors)


def test_vectors_too_narrow_to_leave_sounds_a_direction_are_refused():
    narrow = centred(CATEGORIES, torch.randn(len(CATEGORIES), 28))
    with pytest.raises(ValueError, match="fill all 28 dimensions"):
        sound_vectors(decorrelated(narrow))
