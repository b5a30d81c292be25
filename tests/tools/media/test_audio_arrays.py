"""An array sounds like the same sound in a file, or it is refused; never silence, never noise."""

import numpy as np
import pytest
import torch

from nuthatch.tools.media.ingest import MediaError, read_audio

RATE = 16_000
TIME = np.arange(RATE // 2) / RATE
SOUND = (0.4 * np.sin(2 * np.pi * 440 * TIME) + 0.1 * np.sin(2 * np.pi * 97 * TIME)).astype("f4")
INT16 = np.rint(SOUND * 32767).astype(np.int16)
STEREO = np.stack([SOUND, SOUND])


def heard(given: object) -> float:
    """The largest difference to the sound."""
    samples, _ = read_audio(given)
    assert samples.dtype == np.float32
    assert len(samples) == len(SOUND)
    return float(np.abs(samples - SOUND).max())


def refusal(given: object) -> str:
    with pytest.raises(MediaError) as caught:
        read_audio(given)
    assert len(caught.value.message) < 300
    return caught.value.message


@pytest.mark.parametrize(
    "array",
    [SOUND, SOUND[:, None], SOUND[None], STEREO, STEREO.T, STEREO[None], SOUND[None, None]],
    ids=["n", "n1", "1n", "2n", "n2", "12n", "11n"],
)
def test_channels_are_first_or_last(array):
    assert heard(array) < 0.001


@pytest.mark.parametrize("shape", [(9, 16_000), (2, 2, 16_000), (8, 8), (20, 30), ()])
def test_another_shape_is_refused(shape):
    refusal(np.full(shape, 0.1))


@pytest.mark.parametrize("kind", ["i2", ">i2", "i4", "i8", "f2", "f4", "f8", ">f4"])
def test_int16_is_int16_in_any_type(kind):
    assert heard(INT16.astype(kind)) < 0.002


@pytest.mark.parametrize(
    "array",
    [
        SOUND.astype(np.float16),
        SOUND.astype(np.float64),
        np.rint(SOUND * 127).astype(np.int8),
        np.rint(SOUND * 127 + 128).astype(np.uint8),
        (SOUND.astype(np.float64) * (2**31 - 1)).astype(np.int32),
        torch.from_numpy(SOUND),
        torch.from_numpy(STEREO),
        torch.from_numpy(SOUND).bfloat16(),
        torch.from_numpy(SOUND.copy()).requires_grad_(),
    ],
    ids=["f2", "f8", "i1", "u1", "i4", "torch", "torch 2n", "bfloat16", "grad"],
)
def test_each_type_has_its_full_scale(array):
    assert heard(array) < 0.01


@pytest.mark.parametrize(
    "array",
    [
        (SOUND * 8388607).astype(np.int32),  # 24 bits, or quiet 32
        (SOUND.astype(float) * (2**31 - 1)).astype(np.int64),
        (INT16.astype(int) + 32768).astype(np.uint16),
        INT16.view(np.uint16),
        np.rint(SOUND * 127),  # int8, or quiet int16
        np.rint(SOUND * 127 + 128),
        INT16 * 0.37,
        np.rint(SOUND * 2).astype(float),
        np.sign(SOUND),
        np.zeros(RATE, np.uint8),
        SOUND > 0,
        SOUND.astype(complex),
        SOUND.astype(object),
        np.ma.masked_array(SOUND, SOUND > 0.1),
        np.where(TIME > 0.1, SOUND, np.nan),
        np.where(TIME > 0.1, SOUND, np.inf),
        SOUND[:0],
        STEREO[:, :0],
    ],
)
def test_what_can_be_heard_in_several_ways_or_is_no_sound_is_refused(array):
    refusal(array)


def test_what_overshoots_a_little_is_clipped():
    samples, _ = read_audio(np.float32(1.3) / np.float32(0.5) * SOUND)
    assert np.abs(samples).max() == 1


def test_the_rate_comes_before_or_behind():
    for given in ((INT16, RATE), (RATE, INT16), (INT16, np.int64(RATE)), (INT16, float(RATE))):
        assert heard(given) < 0.002
    for given in ((SOUND, True), (SOUND, "16000" * 99), (SOUND, SOUND), (SOUND, 0), (SOUND, -1)):
        refusal(given)


@pytest.mark.parametrize("order", "<>")
def test_quiet_int16_is_int16_in_both_orders_of_bytes(order):
    quiet = np.rint(SOUND * 100)
    samples, note = read_audio(quiet.astype(f"{order}i2"))
    assert np.array_equal(samples, quiet.astype(np.float32) / 32768)
    assert note is None


def test_silence_stays_silence_in_any_type():
    for kind in (np.int16, np.int32, np.int64, np.float32):
        assert read_audio(np.zeros(RATE, kind))[1] == "silent"
