"""Recordings are cut at pauses by their energy."""

import numpy as np
import pytest

from nuthatch.tools.audio.silence import MARGIN, SAMPLE_RATE, stretches, windows

SECOND = SAMPLE_RATE


def hum(seconds, level=0.1):
    return (level * np.sin(np.arange(int(seconds * SECOND)) * 0.1)).astype(np.float32)


def quiet(seconds, level=0.0, seed=0):
    noise = np.random.default_rng(seed).normal(0, 1, int(seconds * SECOND))
    return (level * noise).astype(np.float32)


def seconds(found):
    return [(round(start / SECOND, 1), round(end / SECOND, 1)) for start, end in found]


def test_each_sound_between_pauses_is_a_stretch_with_a_margin():
    sound = np.concatenate([quiet(1), hum(1), quiet(1), hum(2), quiet(1)])
    margin = MARGIN / 100
    assert seconds(stretches(sound)) == [(1 - margin, 2 + margin), (3 - margin, 5 + margin)]


def test_noise_between_the_sounds_is_a_pause_too():
    sound = np.concatenate([hum(1), quiet(1), hum(1)]) + quiet(3, 0.01, seed=1)
    assert len(stretches(sound)) == 2


def test_a_short_pause_does_not_cut():
    assert len(stretches(np.concatenate([hum(1), quiet(0.2), hum(1)]))) == 1


def test_a_click_is_no_stretch():
    click = np.concatenate([quiet(1), hum(0.01), quiet(1), hum(1), quiet(1)])
    assert len(stretches(click)) == 1


@pytest.mark.parametrize("sound", [quiet(0), quiet(0.005), quiet(2), quiet(2, 1e-6)])
def test_nothing_sounds_in_silence(sound):
    assert stretches(sound) == []
    assert windows(sound, SECOND) == []


def test_a_sound_without_a_pause_is_one_stretch():
    assert seconds(stretches(hum(3))) == [(0.0, 3.0)]
    assert seconds(stretches(quiet(3, 0.1))) == [(0.0, 3.0)]


def test_stretches_share_a_window_while_they_fit():
    sound = np.concatenate([hum(1), quiet(1)] * 6)
    assert len(windows(sound, 6 * SECOND)) == 2
    assert len(windows(sound, 12 * SECOND)) == 1


def test_stretches_do_not_share_a_window_over_a_long_pause():
    sound = np.concatenate([hum(1), quiet(2), hum(1)])
    assert len(windows(sound, 10 * SECOND, pause=SECOND)) == 2
    assert len(windows(sound, 10 * SECOND, pause=3 * SECOND)) == 1


def test_a_long_sound_is_cut_where_it_is_quietest():
    sound = np.concatenate([hum(4), hum(0.2, 0.03), hum(5)])
    first, second = windows(sound, 6 * SECOND)
    assert first.end == second.start
    assert 4.0 <= first.end / SECOND <= 4.2


def test_windows_hold_all_that_sounds_and_are_never_too_long():
    sound = np.concatenate([hum(7), quiet(0.5), hum(0.5), quiet(2), hum(13)])
    found = windows(sound, 5 * SECOND)
    assert all(end - start <= 5 * SECOND for start, end in found)
    held = np.zeros(len(sound), bool)
    for start, end in found:
        held[start:end] = True
    assert held[np.abs(sound) > 0.05].all()


def test_windows_of_less_than_a_second_are_refused():
    with pytest.raises(ValueError, match="at least 16000"):
        windows(hum(1), 100)
