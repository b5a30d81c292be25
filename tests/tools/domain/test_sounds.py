"""Which sounds the tagger that ships knows, and what becomes of those that it does not."""

import numpy as np
import pytest
import torch

from nuthatch.tools.audio.load_sound_tagger import load
from nuthatch.tools.domain.check import OUTSIDE
from nuthatch.tools.domain.sounds import SoundDomain
from nuthatch.tools.faults import ToolUnavailable
from nuthatch.tools.toolbox import Toolbox
from nuthatch.tools.verifier import Verifier
from nuthatch.tools.weights.folder import DOMAIN_FILE
from nuthatch.tools.weights.store import EMBEDDED
from nuthatch.training.perceive.sound_domain_quality import signal
from nuthatch.training.world.sounds import make_sound

CLIP = make_sound(3, "test", events=["bell"]).samples
TONE = signal(2)  # a steady sine: no thing of the vocabulary


@pytest.fixture(scope="module")
def shipped():
    return load(EMBEDDED / "tag_sound")


def test_clips_of_the_world_are_known_and_signals_are_not(shipped):
    clips = [make_sound(seed, "test").samples for seed in range(12)]
    assert sum(shipped.knows(clips)) >= 10
    assert sum(shipped.knows([signal(seed) for seed in range(12)])) <= 3


def test_silence_is_known_and_a_tagger_without_domain_knows_all(shipped):
    assert shipped.knows([np.zeros(9000, np.float32)]) == [True]
    domain, shipped.domain = shipped.domain, None
    try:
        assert shipped.knows([TONE]) == [True]
    finally:
        shipped.domain = domain


def test_the_domain_is_that_of_the_weights_that_ship(shipped):
    from nuthatch.tools.weights.fetching import sha256_of

    assert sha256_of(EMBEDDED / "tag_sound" / "model.safetensors").startswith(
        shipped.domain.weights
    )


def test_it_comes_back_from_its_file(tmp_path):
    domain = SoundDomain(8, layers=2, hidden=4, threshold=-1.5, weights="0123")
    domain.save(tmp_path)
    again = SoundDomain.beside(tmp_path)
    assert again is not None
    assert (again.threshold, again.layers, again.weights) == (-1.5, 2, "0123")
    features = torch.ones(3, 16)
    assert torch.allclose(again(features), domain(features), atol=1e-2)
    assert SoundDomain.beside(tmp_path / "elsewhere") is None


def test_a_damaged_file_is_refused(tmp_path):
    SoundDomain(8).save(tmp_path)
    path = tmp_path / DOMAIN_FILE
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ToolUnavailable, match="cannot be read as a sound domain"):
        SoundDomain.beside(tmp_path)


def test_no_claim_about_an_unknown_sound_is_judged(shipped):
    assert shipped.knows([TONE]) == [False]
    done = Verifier().correct("I hear a train whistle.", audio=TONE)
    assert done.final == "I hear a train whistle."
    assert [(v.verdict, v.rule) for v in done.verdicts] == [("not_enough_evidence", OUTSIDE)]
    assert [notice.code for notice in done.notices] == [OUTSIDE]


def test_claims_about_a_known_sound_are_judged_without_a_notice():
    done = Verifier().verify("I hear a bell ringing.", audio=CLIP)
    assert [v.rule for v in done.verdicts] == ["sound.heard"]
    assert not done.notices


def test_tools_name_nothing_in_an_unknown_sound(tmp_path):
    tools = Toolbox()
    heard = tools.run("tag_sound", audio=TONE)
    assert heard.value.events == []
    assert not heard.value.silent
    assert [notice.code for notice in heard.result.notices] == [OUTSIDE]
