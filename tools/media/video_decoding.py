"""Frames of a video file, through PyAV (FFmpeg); its sound is in `soundtrack`.

Which frames stand for a video is chosen by their number, as ChatBridge does (Zhao et al., 2023), so
with a variable frame rate the runs are equal in frames and not in seconds.

A file that is damaged or cut off is read as far as it goes. At no time are more frames held than
were asked for, beside those that the decoder itself needs.
"""

import operator
from bisect import bisect_right
from collections.abc import Sequence, Sized
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import Any, Literal, get_args

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from nuthatch.messages import shown
from nuthatch.tools.media.container import (
    RATE,
    beginning,
    check_seconds,
    decoded,
    name_of,
    opened,
    packets,
    prepare,
)
from nuthatch.tools.media.soundtrack import SAMPLE_RATE, read_audio_track
from nuthatch.tools.media.video_types import Clip, NoPictures, Pixels, Source, VideoError

__all__ = [
    "SAMPLE_RATE",
    "Clip",
    "VideoError",
    "read_audio_track",
    "read_frames",
]

MAX_FRAMES = 36_000  # in a file: 120 a second for 300 seconds
MAX_FRAME_PIXELS = 16_000_000  # in one frame: somewhat more than 4K
MAX_PIXELS = 100_000_000  # in all frames that are asked for at once: 300 MB
LONG = 500_000_000  # pixels of a video in which few frames are searched for: 8 s of 1080p
FEW = 16

How = Literal["uniform", "quarters", "random"]


def read_frames(
    source: Source, wanted: int | Sequence[float] = 4, how: How = "uniform", seed: int = 0
) -> Clip:
    """Read some frames of a video file.

    Args:
        source: a path, or the bytes of a file.
        wanted: how many frames; or times in seconds, in any order, which give the frames on
            display then.
        how: which frames stand for the video if a number is given. "uniform": the middle one of
            each of `wanted` equal runs (the first runs longer by one; the earlier of two middle
            ones); a shorter video repeats its last frame. "random": any one of each of these runs,
            as ChatBridge is trained. "quarters": the first one of each run, frames
            floor(i * total / wanted), as ChatBridge's evaluation takes them of files.
        seed: of the draw where `how` is "random".

    Raises:
        VideoError: no such file, no video, not one whole frame, a limit is exceeded, or a time
            lies outside the video.
        ValueError: less than one frame is asked for, what is wanted is neither a number nor times,
            or `how` is unknown.
    """
    if how not in get_args(How):
        raise ValueError(f"given how={shown(how)!r}, expected one of {', '.join(get_args(How))}")
    wanted = _checked(wanted)
    name = name_of(source, "video")

    def choose(times: Sequence[float]) -> list[int]:
        return _choose(times, wanted, how, seed)

    # What the packets promise costs no decoding; what the decoder gives decides.
    promised = _promised_times(source, name)
    indices = choose(promised)
    video = _search(source, name, promised, indices) or _decode(source, name, indices)
    while (right := choose(video.times)) != indices:  # once: it gives the same again
        indices, video = right, _decode(source, name, right)
    if not isinstance(wanted, int):
        for time in wanted:
            if not 0 <= time <= video.seconds:
                raise VideoError(
                    "invalid_arguments",
                    f"{name} has no frame at {time:g} s; it lasts {video.seconds:.2f} s",
                )
    height, width = video.size
    return Clip(
        frames=[video.kept[index] for index in indices],
        times=[video.times[index] for index in indices],
        width=width,
        height=height,
        seconds=video.seconds,
        total=len(video.times),
        note=video.note,
    )


# -- choosing -------------------------------------------------------------------------------------


def _checked(wanted: int | Sequence[float]) -> int | list[float]:
    """What is wanted, in Python's own numbers."""
    try:
        asked = list(map(float, wanted)) if isinstance(wanted, Sized) else operator.index(wanted)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"given {shown(wanted)} to read, expected a whole number of frames, or times in seconds"
        ) from error
    number = asked if isinstance(asked, int) else len(asked)
    if not 1 <= number <= MAX_FRAMES:
        raise ValueError(f"given {number} frames to read, expected 1 to {MAX_FRAMES:,}")
    return asked


def _choose(
    times: Sequence[float], wanted: int | Sequence[float], how: How, seed: int
) -> list[int]:
    """Indices of the frames that stand for a video, or that are on display at some times."""
    total = len(times)
    if not total:
        return []
    if not isinstance(wanted, int):
        return [max(0, bisect_right(times, time) - 1) for time in wanted]
    if how == "quarters":
        return [number * total // wanted for number in range(wanted)]
    runs = np.array_split(np.arange(max(total, wanted)), wanted)
    draw = Random(seed)
    places = [draw.randrange(len(r)) if how == "random" else (len(r) - 1) // 2 for r in runs]
    return [min(int(run[place]), total - 1) for run, place in zip(runs, places, strict=True)]


# -- decoding -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Decoded:
    """All that one pass over a video finds out."""

    times: list[float]  # of every whole frame
    kept: dict[int, Pixels]  # the chosen ones, by index
    size: tuple[int, int]  # height, width
    seconds: float
    note: str | None


def _promised_times(source: Source, name: str) -> list[float]:
    """When frames should be shown, by the packets of the file."""
    with opened(source, name) as container:
        stream, begin = _pictures(container, name), beginning(container)
        times: list[float] = []
        for packet in packets(container, stream):
            times.append(_time(packet.pts, len(times), stream, begin))
            _check_length(times, name)
    return sorted(times)  # packets come in the order of decoding


def _search(
    source: Source, name: str, promised: list[float], indices: Sequence[int]
) -> _Decoded | None:
    """Decode only what leads to a few frames of a long video, from the key frame before each.

    None: the video is short, too many are asked for, or one is not where the packets promise it.
    """
    kept: dict[int, Pixels] = {}
    size = (0, 0)
    with opened(source, name) as container:
        stream, begin = _pictures(container, name), beginning(container)
        pixels = stream.codec_context.width * stream.codec_context.height * len(promised)
        if pixels < LONG or len(set(indices)) > FEW or stream.time_base is None:
            return None
        for index in sorted(set(indices)):
            offset = round((Fraction(promised[index]) + begin) / stream.time_base)
            try:
                container.seek(offset, stream=stream)
            except av.FFmpegError:
                return None
            for frame in decoded(container, stream):
                time = _time(frame.pts, 0, stream, begin)
                if time >= promised[index]:
                    break
            else:
                return None
            if time != promised[index]:
                return None
            _check_pixels(frame, len(set(indices)))
            kept[index], size = _upright(frame), _size(frame)
        ends = promised[-1] + float(1 / _rate(stream))
        said = container.duration
    return _Decoded(promised, kept, size, ends, _note(ends, said))


def _decode(source: Source, name: str, indices: Sequence[int]) -> _Decoded:
    """Decode the whole video and keep the frames of these indices."""
    wanted = set(indices)
    times: list[float] = []
    kept: dict[int, Pixels] = {}
    size = (0, 0)
    ends = 0.0
    with opened(source, name) as container:
        stream, begin = _pictures(container, name), beginning(container)
        promised = container.duration
        for frame in decoded(container, stream):
            if not times:
                _check_pixels(frame, len(wanted))
                size = _size(frame)
            if len(times) in wanted:
                kept[len(times)] = _upright(frame)
            times.append(_time(frame.pts, len(times), stream, begin))
            lasts = frame.duration * (stream.time_base or 0) or 1 / _rate(stream)
            ends = times[-1] + float(lasts)
            _check_length(times, name)
    if not times:
        raise _without_frames(name)
    return _Decoded(times, kept, size, ends, _note(ends, promised))


def _note(ends: float, duration: int | None) -> str | None:
    """What to say where the frames end before the file's `duration` in FFmpeg's time base."""
    said = duration / av.time_base if duration else 0.0
    return f"frames end at {ends:.2f} s of {said:.2f} s" if said - ends > 0.5 else None


def _check_pixels(frame: VideoFrame, wanted: int) -> None:
    pixels = frame.width * frame.height * wanted
    if pixels > MAX_PIXELS:
        raise VideoError(
            "limit_exceeded",
            f"{wanted} frames of {frame.width}x{frame.height} are {pixels:,} pixels, at most "
            f"{MAX_PIXELS:,} are read at once; ask for fewer frames",
        )


def _size(frame: VideoFrame) -> tuple[int, int]:
    """Height and width, upright."""
    turned = _orientation(frame)[0]
    return (frame.width, frame.height) if turned else (frame.height, frame.width)


def _upright(frame: VideoFrame) -> Pixels:
    """A frame as (height, width, 3) uint8 RGB, turned and mirrored as its file asks for."""
    pixels = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    turned, down, across = _orientation(frame)
    pixels = pixels.transpose(1, 0, 2) if turned else pixels
    return np.ascontiguousarray(pixels[::down, ::across])


def _orientation(frame: VideoFrame) -> tuple[bool, int, int]:
    """Whether x and y change places, and the step, 1 or -1, in which y and x then run.

    By the display matrix (ISO/IEC 14496-12, `tkhd`), which maps (x, y) to (a x + c y, b x + d y).
    """
    side: Any = frame.side_data.get("DISPLAYMATRIX")
    if side is None:
        return False, 1, 1
    a, b, _, c, d, *_ = np.frombuffer(bytes(side), np.int32).tolist()
    turned = abs(b) > abs(a)
    return turned, -1 if (b if turned else d) < 0 else 1, -1 if (c if turned else a) < 0 else 1


def _pictures(container: InputContainer, name: str) -> VideoStream:
    """The stream of moving pictures; the cover of a record is none."""
    stream = container.streams.best("video")
    if not container.streams:  # some kinds of file name no stream that has no frame
        raise _without_frames(name)
    if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
        raise NoPictures(
            "unsupported_media",
            f"{name} holds no moving pictures; a sound is given as audio",
        )
    prepare(stream, name)
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > MAX_FRAME_PIXELS:
        raise VideoError(
            "limit_exceeded",
            f"{name} has frames of {width}x{height}, at most {MAX_FRAME_PIXELS:,} pixels "
            "are read; scale it down",
        )
    # The header's size is no promise: the decoder refuses larger frames too.
    stream.codec_context.options = {"max_pixels": str(MAX_FRAME_PIXELS)}
    return stream


def _without_frames(name: str) -> VideoError:
    return VideoError(
        "unsupported_media",
        f"{name} holds not one whole frame: it is empty, damaged or cut off; save it again",
    )


def _time(pts: int | None, index: int, stream: VideoStream, begin: Fraction) -> float:
    """Seconds since the beginning; where the file has no times, by the frame rate."""
    if pts is None or stream.time_base is None:
        return float(index / _rate(stream))
    return float(pts * stream.time_base - begin)


def _rate(stream: VideoStream) -> Fraction:
    return stream.guessed_rate or stream.average_rate or RATE


def _check_length(times: Sequence[float], name: str) -> None:
    check_seconds(times[-1], name)
    if len(times) > MAX_FRAMES:
        raise VideoError(
            "limit_exceeded",
            f"{name} has more than {MAX_FRAMES:,} frames; cut it, or lower its frame rate",
        )
