"""WAV files whose sizes are not true: what is there is taken."""

import io
import struct
import wave

import numpy as np
import pytest
import soundfile

from nuthatch.tools.media.ingest import MediaError, read_audio
from nuthatch.tools.media.wav import encode_wav, is_plain, mended

TONE = (0.5 * np.sin(np.arange(8000) / 6)).astype(np.float32)


def sound(form: str = "WAV", subtype: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, TONE, 16_000, format=form, subtype=subtype)
    return file.getvalue()


def with_sizes(data: bytes, riff: int, samples: int) -> bytes:
    at = data.index(b"data")
    head = data[:4] + struct.pack("<I", riff) + data[8 : at + 4]
    return head + struct.pack("<I", samples) + data[at + 8 :]


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 2**31, 10**9])
def test_a_recorder_that_stopped_before_it_wrote_the_size_lost_nothing(size):
    samples, note = read_audio(with_sizes(sound(), size, size))
    assert np.abs(samples - TONE).max() < 0.001
    assert "length taken from the file's end" in (note or "")


def test_the_same_in_a_file_of_the_longer_form():
    died = bytearray(sound("RF64"))
    at = died.index(b"ds64") + 8
    died[at : at + 24] = bytes(24)
    samples, note = read_audio(bytes(died))
    assert np.abs(samples - TONE).max() < 0.001
    assert note is not None
    assert mended(sound("RF64"))[1] is None


def test_of_a_file_that_is_cut_off_the_rest_is_heard():
    samples, note = read_audio(sound()[:8044])
    assert len(samples) == 4000
    assert "more" in (note or "")


def test_a_file_that_is_truly_empty_is_not_filled_with_what_follows():
    empty = with_sizes(sound()[:44], 46, 0)
    for data in (empty, empty + b"LIST" + struct.pack("<I", 10) + b"INFOabcdef"):
        with pytest.raises(MediaError, match="no samples"):
            read_audio(data)


def test_a_file_with_true_sizes_is_left_as_it_is():
    for data in (sound(), sound("WAVEX"), sound(subtype="DOUBLE"), sound() + b"tail" * 9, b"RIFF"):
        assert mended(data) == (data, None)


@pytest.mark.parametrize(
    ("subtype", "plain"),
    [
        *(("PCM_U8", True), ("PCM_24", True), ("FLOAT", True), ("DOUBLE", True)),
        *(("ALAW", True), ("ULAW", True), ("IMA_ADPCM", False), ("MS_ADPCM", False)),
    ],
)
def test_every_kind_of_sample_is_heard(subtype, plain):
    assert is_plain(sound(subtype=subtype)) is plain
    samples, _ = read_audio(sound(subtype=subtype))
    assert np.abs(samples[200:7900] - TONE[200:7900]).max() < (0.06 if plain else 0.2)


def test_what_is_written_is_a_plain_file():
    data = encode_wav(TONE)
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (1, 16_000, 8000)
    assert len(data) == 44 + 16_000
