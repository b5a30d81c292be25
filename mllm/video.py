"""Frames and sound of a video file, through PyAV (FFmpeg).

Times are seconds since the beginning of the file: of its first frame or first sample, whichever
comes first. Frames and sound are counted on this one clock. Which frames stand for a video is
chosen by their number, as ChatBridge does (Zhao et al., 2023), so with a variable frame rate the
runs are equal in frames and not in seconds.

A file that is damaged or cut off is read as far as it goes. At no time are more frames held than
were asked for, beside those that the decoder itself needs.
"""

import io
import operator
from bisect import bisect_right
from collections.abc import Iterator, Sequence, Sized
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any, BinaryIO, Literal, get_args

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
MAX_FILE_BYTES = 2**30
MAX_SECONDS = 300.0
MAX_FRAMES = 36_000  # in a file: 120 a second for 300 seconds
MAX_FRAME_PIXELS = 16_000_000  # in one frame: somewhat more than 4K
MAX_PIXELS = 100_000_000  # in all frames that are asked for at once: 300 MB

# Containers that hold all they show. Playlists are not among them: they name other files and
# addresses, which whoever gave the playlist may not be allowed to read.
FORMATS = "mp4,matroska,avi,mpegts,mpeg,flv,asf,ogg,gif,ivf,mxf,h264,hevc,m4v,mpegvideo,mjpeg"

Pixels = NDArray[np.uint8]
Samples = NDArray[np.float32]
Source = str | Path | bytes
How = Literal["uniform", "quarters", "random"]


class VideoError(ValueError):
    """A video that cannot be used; `code` is for machines: `asset_not_found`,
    `unsupported_media`, `limit_exceeded` or `invalid_arguments`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)  # as given, so that it can cross to another process
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class Clip:
    """Frames that were asked for, and the video they are of.

    Args:
        frames: upright RGB, (height, width, 3) uint8 each; one that was chosen twice is one array.
        times: when each is shown, in seconds.
        width, height: of the video's first frame, upright.
        seconds: when its last frame ends.
        total: whole frames in the video.
        note: where the frames end, if the file's header promises more.
    """

    frames: list[Pixels]
    times: list[float]
    width: int
    height: int
    seconds: float
    total: int
    note: str | None


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
        raise ValueError(f"given how={how!r}, expected one of {', '.join(get_args(How))}")
    wanted = _checked(wanted)

    def choose(times: Sequence[float]) -> list[int]:
        return _choose(times, wanted, how, seed)

    # What the packets promise costs no decoding; what the decoder gives decides.
    indices = choose(_promised_times(source))
    video = _decode(source, indices)
    while (right := choose(video.times)) != indices:  # once: it gives the same again
        indices, video = right, _decode(source, right)
    if not isinstance(wanted, int):
        for time in wanted:
            if not 0 <= time <= video.seconds:
                raise VideoError(
                    "invalid_arguments",
                    f"{_name(source)} has no frame at {time:g} s; it lasts {video.seconds:.2f} s",
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


def read_audio_track(source: Source) -> Samples | None:
    """The sound of a video file: (samples,) float32, 16 kHz mono, -1 to 1.

    Channels are mixed by their mean, as `tools` does with all sounds; ChatBridge takes the first
    one. (So a sound whose channels are each other's opposite is silent here.) Sample s is heard at
    s / 16000 seconds: a track that begins late begins with silence. None where there is no track,
    or nothing of it can be decoded.

    Raises:
        VideoError: no such file, no known format, or a limit is exceeded.
    """
    with _opened(source) as container:
        stream = container.streams.best("audio")
        if not isinstance(stream, AudioStream):
            return None
        resampler = av.AudioResampler(format="fltp", rate=SAMPLE_RATE)  # keeps the channels
        pieces: list[Samples] = []
        length = 0
        for frame in chain(_decoded(container, stream), [None]):
            if frame is not None and not pieces:
                begins = _time(frame.pts, 0, stream, _beginning(container))
                _check_seconds(begins, source)
                pieces.append(np.zeros(max(0, round(begins * SAMPLE_RATE)), np.float32))
            if not pieces:
                return None
            for part in resampler.resample(frame):
                pieces.append(part.to_ndarray().mean(axis=0, dtype=np.float32))
                length += len(pieces[-1])
            _check_seconds((len(pieces[0]) + length) / SAMPLE_RATE, source)
    return np.clip(np.concatenate(pieces), -1, 1) if length else None


# -- choosing -------------------------------------------------------------------------------------


def _checked(wanted: int | Sequence[float]) -> int | list[float]:
    """What is wanted, in Python's own numbers."""
    try:
        asked = list(map(float, wanted)) if isinstance(wanted, Sized) else operator.index(wanted)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"given {wanted!r} to read, expected a whole number of frames, or times in seconds"
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


def _promised_times(source: Source) -> list[float]:
    """When frames should be shown, by the packets of the file."""
    with _opened(source) as container:
        stream, beginning = _pictures(container, source), _beginning(container)
        times: list[float] = []
        for packet in _packets(container, stream):
            times.append(_time(packet.pts, len(times), stream, beginning))
            _check_length(times, source)
    return sorted(times)  # packets come in the order of decoding


def _decode(source: Source, indices: Sequence[int]) -> _Decoded:
    """Decode the whole video and keep the frames of these indices."""
    wanted = set(indices)
    times: list[float] = []
    kept: dict[int, Pixels] = {}
    size = (0, 0)
    ends = 0.0
    with _opened(source) as container:
        stream, beginning = _pictures(container, source), _beginning(container)
        promised = container.duration
        stream.thread_type = "AUTO"
        for frame in _decoded(container, stream):
            if not times:
                pixels = frame.width * frame.height * len(wanted)
                if pixels > MAX_PIXELS:
                    raise VideoError(
                        "limit_exceeded",
                        f"{len(wanted)} frames of {frame.width}x{frame.height} are {pixels:,} "
                        f"pixels, at most {MAX_PIXELS:,} are read at once; ask for fewer frames",
                    )
                turned = _orientation(frame)[0]
                size = (frame.width, frame.height) if turned else (frame.height, frame.width)
            if len(times) in wanted:
                kept[len(times)] = _upright(frame)
            times.append(_time(frame.pts, len(times), stream, beginning))
            shown = frame.duration * (stream.time_base or 0) or 1 / _rate(stream)
            ends = times[-1] + float(shown)
            _check_length(times, source)
    if not times:
        raise _without_frames(source)
    said = promised / av.time_base if promised else 0.0
    note = f"frames end at {ends:.2f} s of {said:.2f} s" if said - ends > 0.5 else None
    return _Decoded(times, kept, size, ends, note)


def _packets(container: InputContainer, stream: VideoStream | AudioStream) -> Iterator[Any]:
    """The whole packets of a stream, as far as the file goes."""
    try:
        for packet in container.demux(stream):
            if packet.size and not packet.is_corrupt:
                yield packet
    except av.FFmpegError:  # the file is cut off here
        return


def _decoded(container: InputContainer, stream: VideoStream | AudioStream) -> Iterator[Any]:
    """The whole frames of a stream in the order they are shown; what is damaged is left out."""
    for packet in chain(_packets(container, stream), [None]):  # None: what the decoder still has
        try:
            for frame in stream.decode(packet):
                if not frame.is_corrupt:
                    yield frame
        except av.FFmpegError:
            continue


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


# -- the file -------------------------------------------------------------------------------------


@contextmanager
def _opened(source: Source) -> Iterator[InputContainer]:
    """The file as a container of streams."""
    name = _name(source)
    with ExitStack() as stack:
        try:
            if isinstance(source, bytes):
                file: BinaryIO = io.BytesIO(source)
            elif Path(source).is_file():
                file = stack.enter_context(Path(source).open("rb"))
            else:
                raise VideoError("asset_not_found", f"there is no file {name}")
        except OSError as error:
            raise VideoError("asset_not_found", f"{name} cannot be read: {error}") from error
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        if not size:
            raise VideoError("unsupported_media", f"{name} is empty (0 bytes)")
        if size > MAX_FILE_BYTES:
            raise VideoError("limit_exceeded", f"{name} is larger than {MAX_FILE_BYTES:,} bytes")
        known = {"format_whitelist": FORMATS}
        try:
            container = stack.enter_context(
                av.open(file, "r", options=known, metadata_errors="replace")
            )
        except av.FFmpegError as error:
            raise VideoError(
                "unsupported_media",
                f"{name} is no video that can be read (MP4, MKV, WebM, AVI, ...), or it is cut off "
                f"({error.strerror}); save it again",
            ) from error
        if container.duration:
            _check_seconds(container.duration / av.time_base, source)
        yield container


def _pictures(container: InputContainer, source: Source) -> VideoStream:
    """The stream of moving pictures; the cover of a record is none."""
    stream = container.streams.best("video")
    if not container.streams:  # some kinds of file name no stream that has no frame
        raise _without_frames(source)
    if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
        raise VideoError(
            "unsupported_media",
            f"{_name(source)} holds no moving pictures; a sound is given as audio",
        )
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > MAX_FRAME_PIXELS:
        raise VideoError(
            "limit_exceeded",
            f"{_name(source)} has frames of {width}x{height}, at most {MAX_FRAME_PIXELS:,} pixels "
            "are read; scale it down",
        )
    # The header's size is no promise: the decoder refuses larger frames too.
    stream.codec_context.options = {"max_pixels": str(MAX_FRAME_PIXELS)}
    return stream


def _without_frames(source: Source) -> VideoError:
    return VideoError(
        "unsupported_media",
        f"{_name(source)} holds not one whole frame: it is empty, damaged or cut off; "
        "save it again",
    )


def _beginning(container: InputContainer) -> Fraction:
    """Where the file's clock starts, in seconds: with the earlier of pictures and sound."""
    streams = (container.streams.best("video"), container.streams.best("audio"))
    starts = [
        stream.start_time * stream.time_base
        for stream in streams
        if stream is not None and stream.start_time is not None and stream.time_base is not None
    ]
    return min(starts, default=Fraction(0))


def _time(pts: int | None, index: int, stream: VideoStream | AudioStream, begin: Fraction) -> float:
    """Seconds since the beginning; where the file has no times, by the frame rate."""
    if pts is None or stream.time_base is None:
        return float(index / _rate(stream)) if isinstance(stream, VideoStream) else 0.0
    return float(pts * stream.time_base - begin)


def _rate(stream: VideoStream) -> Fraction:
    return stream.guessed_rate or stream.average_rate or Fraction(25)


def _check_length(times: Sequence[float], source: Source) -> None:
    _check_seconds(times[-1], source)
    if len(times) > MAX_FRAMES:
        raise VideoError(
            "limit_exceeded",
            f"{_name(source)} has more than {MAX_FRAMES:,} frames; cut it, or lower its frame rate",
        )


def _check_seconds(seconds: float, source: Source) -> None:
    if seconds > MAX_SECONDS:
        raise VideoError(
            "limit_exceeded",
            f"{_name(source)} lasts {seconds:.0f} s or more, at most {MAX_SECONDS:.0f} s are "
            "read; cut it",
        )


def _name(source: Source) -> str:
    return "the video" if isinstance(source, bytes) else str(source)
