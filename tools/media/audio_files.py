"""Files as sounds: through libsndfile where it knows the format, through FFmpeg (PyAV) otherwise.

WAV files without compression are decoded at once, all others in a process that can be ended.
"""

import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from nuthatch.tools.media.audio_arrays import LOUDEST, scale_of_floats
from nuthatch.tools.media.decoding import Decoded, decode
from nuthatch.tools.media.sources import bytes_of
from nuthatch.tools.media.types import (
    MediaError,
    Samples,
    check_length,
)
from nuthatch.tools.media.wav import is_plain, is_wav, mended

FORMATS = ("AIFF", "AU", "CAF", "FLAC", "MP3", "NIST", "OGG", "RF64", "VOC", "W64", "WAV", "WAVEX")
"""By libsndfile's names. The others have signatures that other files have by chance."""
_BLOCK = 1 << 16  # samples of each channel that are decoded together
_UNKNOWN = 2**62  # more samples than this: the file does not say how many


def read_audio_file(file: bytes | Path, name: str) -> tuple[Samples, int, list[str]]:
    """A file as mono float32 samples, their rate, and what was changed.

    Raises:
        MediaError: it cannot be read, or is too long; `name` is what the message calls it.
    """
    data = bytes_of(file)
    if _soundfile() is None and find_spec("av") is None:
        raise MediaError(
            "dependency_missing", f"reading {name} needs soundfile: pip install 'nuthatch[audio]'"
        )
    if is_wav(data) and is_plain(data) and _soundfile() is not None:
        facts, arrays = decode_audio(data, name)
    else:
        facts, arrays = decode("audio", data, name)
    return arrays[0], facts["rate"], facts["notes"]


def decode_audio(file: bytes | Path, name: str) -> Decoded:
    """The same in this very process."""
    data, note = mended(bytes_of(file))
    found = _through_soundfile(data, name) or _through_ffmpeg(data, name)
    samples: Samples = found.arrays[0]
    if np.abs(samples).max(initial=0.0) > LOUDEST:  # NaN is no more: it is refused later
        scale, scaled = scale_of_floats(samples, name)
        samples = samples / np.float32(scale)
        found.facts["notes"] += [] if scaled is None else [scaled]
    notes = [*([] if note is None else [note]), *found.facts["notes"]]
    return Decoded({"rate": found.facts["rate"], "notes": notes}, [samples])


def _soundfile() -> Any:
    """The module; None: it, or the library in C that it needs, is not here."""
    try:
        import soundfile
    except (ImportError, OSError):
        return None
    return soundfile


def _through_soundfile(data: bytes, name: str) -> Decoded | None:
    """None: libsndfile is not here, does not know the format, or cannot decode all."""
    soundfile = _soundfile()
    if soundfile is None:
        return None
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as sound:
            if sound.format not in FORMATS:
                return None
            promised = 0 if sound.frames >= _UNKNOWN else sound.frames
            check_length(promised, sound.samplerate, sound.channels, name)
            blocks, length = [], 0
            while len(block := sound.read(_BLOCK, dtype="float32", always_2d=True)):
                blocks.append(block.mean(axis=1))
                length += len(block)
                check_length(length, sound.samplerate, sound.channels, name)
            facts = {
                "rate": sound.samplerate,
                "notes": _mixed(sound.channels),
            }
    except (soundfile.LibsndfileError, RuntimeError):
        return None
    if not length:
        raise MediaError("unsupported_media", f"{name} is empty: it holds no samples")
    return Decoded(facts, [np.concatenate(blocks)])


def _through_ffmpeg(data: bytes, name: str) -> Decoded:
    try:
        from nuthatch.tools.media.soundtrack import SAMPLE_RATE, read_track
        from nuthatch.tools.media.video_types import VideoError
    except ImportError as error:
        missing = "soundfile" if _soundfile() is None else "av"
        raise MediaError(
            "dependency_missing",
            f"reading {name} needs {missing}: pip install 'nuthatch[audio]' ({error})",
        ) from error
    try:
        track = read_track(data, name)
    except VideoError as error:
        raise MediaError(error.code, error.message) from error
    if track is None:
        raise MediaError("unsupported_media", f"{name} holds no sound that can be heard")
    notes = _mixed(track.channels)
    notes += [] if track.rate == SAMPLE_RATE else [f"{track.rate} Hz resampled to {SAMPLE_RATE} Hz"]
    return Decoded({"rate": SAMPLE_RATE, "notes": notes}, [track.samples])


def _mixed(channels: int) -> list[str]:
    return [] if channels == 1 else [f"{channels} channels mixed to one"]
