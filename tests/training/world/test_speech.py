import shutil

import numpy as np
import pytest

from nuthatch.training.world.speech import VOICES, SynthesiserMissing, make_speech, speak

spoken = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


@spoken
def test_a_sentence_becomes_mono_sound_at_16_khz() -> None:
    samples = speak("There are two cups.")
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert 0.8 < len(samples) / 16_000 < 3.0
    assert 0.1 < np.abs(samples).max() <= 1.0


@spoken
def test_the_same_arguments_always_say_the_same() -> None:
    first, again = (make_speech("A dog barks.", 3, "test") for _ in range(2))
    assert (first.voice, first.words_per_minute) == (again.voice, again.words_per_minute)
    np.testing.assert_array_equal(first.samples, again.samples)


@spoken
def test_faster_speech_is_shorter() -> None:
    text = "The clock is on the wall above the table."
    slow, fast = (speak(text, words_per_minute=rate) for rate in (120, 200))
    assert len(fast) < 0.8 * len(slow)


@spoken
@pytest.mark.parametrize("voice", sorted({*VOICES["seen"], *VOICES["held_out"]}))
def test_every_voice_speaks(voice: str) -> None:
    assert np.abs(speak("cat", voice)).max() > 0.05


@spoken
def test_text_that_looks_like_an_option_is_spoken() -> None:
    assert len(speak("--version")) > 4000


@spoken
def test_a_voice_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ValueError, match="did not speak with voice 'nobody'"):
        speak("hello", "nobody")


def test_held_out_voices_are_others_and_never_trained_on() -> None:
    assert not set(VOICES["seen"]) & set(VOICES["held_out"])
    with pytest.raises(ValueError, match="never trained on"):
        make_speech("hello", 0, "train", voices="held_out")


@pytest.mark.parametrize("text", ["", " \n", "x" * 1001])
def test_nothing_or_too_much_to_say_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="expected 1 to 1000"):
        speak(text)


def test_without_espeak_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SynthesiserMissing, match="apt-get install espeak-ng"):
        speak("hello")
