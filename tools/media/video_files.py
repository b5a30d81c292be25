"""Decode video files to frames and sound, inside the process that `decoding` starts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nuthatch.tools.media.audio_files import decode_audio
from nuthatch.tools.media.decoding import Decoded
from nuthatch.tools.media.types import MAX_FILE_BYTES, SAMPLE_RATE, MediaError
from nuthatch.tools.media.video_types import NoPictures, VideoError


def decode_video(file: bytes | Path, name: str, frames: int) -> Decoded:
    """Some frames of a video, and its sound if it has one; of a sound file no frame.

    Returns:
        Facts: the fields of `Clip`, but `frames` is the number of the array that each frame is;
        `rate` of the sound, None where there is none. Arrays: frames, each once, (height, width, 3)
        uint8; then the sound, mono float32.

    Raises:
        MediaError: it is neither, it is damaged or too large, or PyAV is not installed.
    """
    try:
        from nuthatch.tools.media.video_decoding import read_audio_track, read_frames
    except ImportError as error:
        raise MediaError(
            "dependency_missing", f"reading videos needs: pip install 'nuthatch[vision]' ({error})"
        ) from error
    try:
        clip = read_frames(file, frames)
        samples, note = _sound_of(file, read_audio_track)
    except NoPictures as error:
        return _sound_alone(file, name, MediaError(error.code, error.message))
    except VideoError as error:
        raise MediaError(error.code, error.message) from error
    arrays: list[Any] = []
    numbers: dict[int, int] = {}
    for frame in clip.frames:  # a short video repeats its last one
        if id(frame) not in numbers:
            numbers[id(frame)] = len(arrays)
            arrays.append(frame)
    facts = {
        "frames": [numbers[id(frame)] for frame in clip.frames],
        "times": clip.times,
        "width": clip.width,
        "height": clip.height,
        "seconds": clip.seconds,
        "total": clip.total,
        "note": ", ".join(filter(None, (clip.note, note))) or None,
        "rate": None if samples is None else SAMPLE_RATE,
    }
    return Decoded(facts, arrays if samples is None else [*arrays, samples])


def _sound_of(file: bytes | Path, read: Callable[[Any], Any]) -> tuple[Any, str | None]:
    """The sound of a video, and what to say of one that cannot be decoded."""
    try:
        return read(file), None
    except VideoError as error:
        if error.code != "unsupported_media":
            raise
        return None, "its sound cannot be decoded"


def _sound_alone(file: bytes | Path, name: str, refusal: MediaError) -> Decoded:
    """What is given as a video may be a sound, as an .m4a or a .webm is."""
    size = len(file) if isinstance(file, bytes) else file.stat().st_size
    if size > MAX_FILE_BYTES:
        raise refusal
    try:
        facts, [samples] = decode_audio(file, name)
    except MediaError as error:
        raise refusal from error
    seconds = len(samples) / facts["rate"]
    empty = {"frames": [], "times": [], "width": 0, "height": 0, "seconds": seconds, "total": 0}
    return Decoded({**empty, "note": "sound only", "rate": facts["rate"]}, [samples])
