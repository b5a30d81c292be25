"""How the transcriber's domain is fitted, and what the shipped one keeps and refuses."""

import shutil

import numpy as np
import pytest

from nuthatch.tools.audio.transcriber import load
from nuthatch.tools.weights.fetching import sha256_of
from nuthatch.tools.weights.store import EMBEDDED
from nuthatch.training.perceive.speech_domain import between
from nuthatch.training.perceive.spoken import sentence
from nuthatch.training.world.speech import make_speech, speak

needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")


@pytest.fixture(scope="module")
def shipped():
    return load(EMBEDDED / "transcribe")


def test_the_threshold_lies_halfway_between_known_and_unlike_speech():
    rng = np.random.default_rng(0)
    known, unlike = rng.normal(-3, 0.1, (500, 1)), rng.normal(-1, 0.1, (500, 1))
    domain = between(known, unlike)
    assert domain.contains(known).all()
    assert not domain.contains(unlike).any()
    assert domain.contains([[-2.3]])[0]
    assert not domain.contains([[-1.7]])[0]


def test_the_domain_is_that_of_the_weights_that_ship(shipped):
    assert shipped.domain is not None
    weights = sha256_of(EMBEDDED / "transcribe" / "model.safetensors")
    assert weights.startswith(shipped.domain.weights)


@needs_espeak
def test_sentences_of_the_world_stay_reliable(shipped):
    sounds = [make_speech(sentence(i, held_out=True), i, "test").samples for i in range(5)]
    for sound in sounds:
        (heard,) = shipped.hear(sound)
        assert heard.unknown == 0
        assert all(segment.reliable for segment in heard.segments)
    assert shipped.knows(sounds) == [True] * len(sounds)


@needs_espeak
def test_other_speech_is_not_reliable(shipped):
    said = (
        "The meeting was moved to half past three.",
        "Guten Morgen, wie geht es Ihnen heute?",
        "My sister studied chemistry in Glasgow.",
    )
    sounds = [
        speak(text, voice) for text, voice in zip(said, ("en-gb", "de", "en-us"), strict=True)
    ]
    for sound in sounds:
        assert not any(s.reliable for part in shipped.hear(sound) for s in part.segments)
    assert shipped.knows(sounds) == [False] * len(sounds)


@needs_espeak
def test_the_tool_leaves_other_speech_out_and_says_why():
    from nuthatch.tools.domain.check import OUTSIDE
    from nuthatch.tools.toolbox import Toolbox

    sound = speak("Interest rates are expected to rise in September.", "en-gb")
    heard = Toolbox().run("transcribe", audio=sound)
    assert heard.value.text == ""
    assert heard.value.dropped == 1
    assert [notice.code for notice in heard.result.notices] == [OUTSIDE]
