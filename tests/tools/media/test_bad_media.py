"""Damaged, lying and hostile files, and arrays that are no sound: an error that says so."""

import io
import random
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from nuthatch.tools.media import types as media_types
from nuthatch.tools.media.audio_files import decode_audio
from nuthatch.tools.media.ingest import MediaError, read_audio, read_image

NOISE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
TONE = 0.3 * np.sin(np.arange(3000) / 7)
TURNED = Image.Exif()
TURNED[0x0112] = 6
FORMS: dict[str, dict[str, Any]] = {
    "AVIF": {},
    "BMP": {},
    "GIF": {},
    "JPEG": {"exif": TURNED},
    "PNG": {"exif": TURNED},
    "TIFF": {"compression": "tiff_lzw"},
    "WEBP": {"exif": TURNED},
}


def picture(form: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(NOISE).save(file, form, **FORMS.get(form, {}))
    return file.getvalue()


def sound(form: str, samples: Any = TONE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, format=form)
    return file.getvalue()


def damaged(whole: bytes, number: int) -> bytes:
    """Some bytes changed, most often in the header, or the end cut off."""
    draw, data = random.Random(number), bytearray(whole)
    if number % 5 == 0:
        return bytes(data[: draw.randrange(1, len(data))])
    for _ in range(draw.choice((1, 1, 2, 4, 16))):
        place = draw.randrange(min(len(data), draw.choice((40, 200, len(data)))))
        data[place] = draw.choice((0, 127, 128, 255, draw.randrange(256)))
    return bytes(data)


@pytest.mark.parametrize("form", FORMS)
def test_a_picture_damaged_anywhere_is_read_or_refused(form):
    whole, refused = picture(form), 0
    for number in range(700):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of tags that it passes over
            try:
                pixels, _ = read_image(damaged(whole, number))
            except MediaError:
                refused += 1
            else:
                assert (pixels.ndim, pixels.dtype) == (3, np.uint8)
    assert refused > 100


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG", "MP3"])
def test_a_sound_damaged_anywhere_is_heard_or_refused(form):
    whole, refused = sound(form), 0
    for number in range(100):
        try:
            samples, _ = read_audio(damaged(whole, number))
        except MediaError:
            refused += 1
        else:
            assert np.isfinite(samples).all()
    assert refused > 5


@pytest.mark.parametrize("name", ["cup.png", "cup.txt", "cup.wav", "cup"])
def test_a_name_says_nothing_of_what_is_inside(tmp_path: Path, name: str):
    (tmp_path / name).write_bytes(picture("BMP"))
    assert read_image(tmp_path / name)[0].shape == (24, 32, 3)
    (tmp_path / name).write_bytes(sound("FLAC"))
    assert len(read_audio(tmp_path / name)[0]) == 3000
    with pytest.raises(MediaError, match="no picture that can be read"):
        read_image(tmp_path / name)


def test_a_picture_that_is_a_program_is_not_run():
    file = io.BytesIO()
    Image.fromarray(NOISE).save(file, "EPS")
    with pytest.raises(MediaError, match="no picture that can be read"):
        read_image(file.getvalue())


@pytest.mark.parametrize("empty", [Image.new("RGB", (0, 9)), np.zeros((0, 9, 3), np.uint8)])
def test_a_picture_of_no_size_is_too_small(empty):
    with pytest.raises(MediaError, match="at least 8 a side"):
        read_image(empty)


def test_a_text_that_would_fill_the_memory_is_refused():
    text = zlib.compress(b"0" * 10**8)  # 100 kB
    chunk = b"zTXt" + b"comment\0\0" + text
    whole = picture("PNG")
    bomb = whole[:33] + struct.pack(">I", len(chunk) - 4) + chunk
    bomb += struct.pack(">I", zlib.crc32(chunk)) + whole[33:]
    with pytest.raises(MediaError, match="too large"):
        read_image(bomb)


def test_samples_of_all_channels_are_counted_before_any_is_decoded(monkeypatch):
    many = sound("FLAC", np.zeros((4000, 8)))
    assert len(read_audio(many)[0]) == 4000
    monkeypatch.setattr(media_types, "MAX_VALUES", 31_999)
    monkeypatch.setattr(soundfile.SoundFile, "read", None)
    with pytest.raises(MediaError, match="32,000 samples in all channels") as caught:
        decode_audio(many, "the sound")
    assert caught.value.code == "limit_exceeded"
    with pytest.raises(MediaError, match="32,000 samples in all channels"):
        read_audio(np.zeros((4000, 8)))


@pytest.mark.parametrize(
    "given",
    [
        np.array(0.5),
        np.array(["a", "b"]),
        np.array([None, 1.0]),
        np.zeros(9, np.complex64),
        np.zeros(9, bool),
        np.zeros((2, 2, 2)),
        (np.zeros(9), "16000"),
        (np.zeros(9), None),
        (np.zeros(9), float("nan")),
        (np.zeros(9), 44100.5),
        (np.zeros(9), 1j),
        (np.zeros(9), 16_000, 1),
        ([0.0, 0.1], 16_000),
    ],
)
def test_what_is_no_sound_is_refused(given: Any):
    with pytest.raises(MediaError, match=r"sound"):
        read_audio(given)


def test_a_rate_may_be_a_float_without_a_fraction():
    assert len(read_audio((np.zeros(4410), 44100.0))[0]) == 1600
