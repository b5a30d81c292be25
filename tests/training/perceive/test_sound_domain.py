"""How the sound tagger's domain is fitted."""

import numpy as np
import torch

from nuthatch.tools.domain.sounds import SoundDomain
from nuthatch.training.perceive.sound_domain import fit
from nuthatch.training.perceive.unlike import unlike_sentence, unlike_sound
from nuthatch.training.recipes.perception import SoundDomainRecipe


def test_a_boundary_is_learned_and_its_scales_end_in_the_weights():
    torch.manual_seed(0)
    scale = torch.linspace(1, 30, 16)
    inside, unlike = torch.randn(300, 16) * scale + 100, torch.randn(300, 16) * scale + 100
    unlike[:, 8:] += 3 * scale[8:]
    domain = SoundDomain(8, layers=2, hidden=8)
    fit(domain, inside[:200], unlike[:200], SoundDomainRecipe(epochs=20))
    with torch.inference_mode():
        assert (domain(inside[200:]) > 0).float().mean() > 0.9
        assert (domain(unlike[200:]) < 0).float().mean() > 0.9


def test_unlike_sounds_are_finite_audible_and_repeatable():
    for seed in (0, 3, 5, 8):  # kinds that need no speech synthesiser, and some that do
        sound = unlike_sound(seed)
        assert sound.dtype == np.float32
        assert np.isfinite(sound).all()
        assert 0.01 < np.abs(sound).max() <= 1
        assert np.array_equal(sound, unlike_sound(seed))


def test_unlike_sentences_are_not_said_in_the_world():
    from nuthatch.training.perceive.spoken import words

    known = set(words())
    for seed in range(60):
        said = unlike_sentence(seed).lower().rstrip(".?").split()
        assert any(word not in known for word in said)
