"""The second synthesiser: sounds of every event, of another make than the training's."""

import numpy as np
import pytest

from nuthatch.tools.vocabulary import SOUNDS
from nuthatch.training.evaluate.other_synthesis import LOUDEST, QUIETEST, other_sound


@pytest.mark.parametrize("event", SOUNDS)
def test_every_event_sounds_always_the_same(event):
    sound = other_sound(event, 1)
    assert sound.event == event
    assert sound.samples.dtype == np.float32
    assert np.isfinite(sound.samples).all()
    assert 0.9 * QUIETEST < np.abs(sound.samples).max() <= LOUDEST
    assert 1.9 < len(sound.samples) / 16_000 < 8.1


def test_the_seed_decides():
    first, again, other = (other_sound("clock", seed).samples for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first[:8000], other[:8000])


def test_other_events_are_refused():
    with pytest.raises(ValueError, match="'car', expected one of"):
        other_sound("car", 0)
