"""Files of streams through PyAV (FFmpeg): opened within limits, read as far as they are whole.

Times are seconds since the beginning of the file: of its first frame or first sample, whichever
comes first. Frames and sound are counted on this one clock.
"""

import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from nuthatch.messages import shown
from nuthatch.tools.media.video_types import NoPictures, Source, VideoError

MAX_FILE_BYTES = 2**30
MAX_SECONDS = 300.0
MAX_THREADS = 4  # of a decoder: each holds frames of its own

# Containers that hold all they show. Playlists are not among them: they name other files and
# addresses, which whoever gave the playlist may not be allowed to read.
FORMATS = "mp4,matroska,avi,mpegts,mpeg,flv,asf,ogg,gif,ivf,mxf,h264,hevc,m4v,mpegvideo,mjpeg"
SOUND_FORMATS = "aac,ac3,aiff,amr,ape,au,caf,dts,eac3,flac,mp3,tta,voc,w64,wav,wv"
RATE = Fraction(25)  # frames a second, where the file says nothing


@contextmanager
def opened(source: Source, name: str, formats: str = FORMATS) -> Iterator[InputContainer]:
    """The file as a container of streams.

    Raises:
        VideoError: no such file, nothing in it, larger or longer than is read.
        NoPictures: it is of none of these formats.
    """
    with ExitStack() as stack:
        try:
            if isinstance(source, bytes):
                file: BinaryIO = io.BytesIO(source)
            elif Path(source).is_file():
                file = stack.enter_context(Path(source).open("rb"))
            else:
                raise VideoError("asset_not_found", f"there is no file {name}")
        except OSError as error:
            reason = shown(error.strerror)
            raise VideoError("asset_not_found", f"{name} cannot be read: {reason}") from error
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        if not size:
            raise VideoError("unsupported_media", f"{name} is empty (0 bytes)")
        if size > MAX_FILE_BYTES:
            raise VideoError("limit_exceeded", f"{name} is larger than {MAX_FILE_BYTES:,} bytes")
        known = {"format_whitelist": formats}
        try:
            container = stack.enter_context(
                av.open(file, "r", options=known, metadata_errors="replace")
            )
        except av.FFmpegError as error:
            kinds = "sound" if SOUND_FORMATS in formats else "video"
            known_ones = "WAV, FLAC, MP3, M4A, ..." if kinds == "sound" else "MP4, MKV, WebM, ..."
            raise NoPictures(
                "unsupported_media",
                f"{name} is no {kinds} that can be read ({known_ones}), or it is cut off "
                f"({shown(error.strerror)}); save it again",
            ) from error
        if container.duration:
            check_seconds(container.duration / av.time_base, name)
        yield container


def packets(container: InputContainer, stream: VideoStream | AudioStream) -> Iterator[Any]:
    """The whole packets of a stream, as far as the file goes."""
    try:
        for packet in container.demux(stream):
            if packet.size and not packet.is_corrupt:
                yield packet
    except av.FFmpegError:  # the file is cut off here
        return


def decoded(container: InputContainer, stream: VideoStream | AudioStream) -> Iterator[Any]:
    """The whole frames of a stream in the order they are shown; what is damaged is left out."""
    for packet in chain(packets(container, stream), [None]):  # None: what the decoder still has
        try:
            for frame in stream.decode(packet):
                if not frame.is_corrupt:
                    yield frame
        except av.FFmpegError:
            continue


def prepare(stream: VideoStream | AudioStream, name: str) -> None:
    """Ready a stream's decoder.

    Raises:
        VideoError: there is none.
    """
    decoder: Any = stream.codec_context  # None: the codec is not known
    if decoder is None:
        what = "pictures" if isinstance(stream, VideoStream) else "samples"
        raise VideoError(
            "unsupported_media",
            f"there is no decoder for the {what} in {name}; convert it, to H.264 and AAC for "
            "instance",
        )
    decoder.thread_type = "AUTO"
    decoder.thread_count = MAX_THREADS


def beginning(container: InputContainer) -> Fraction:
    """Where the file's clock starts, in seconds: with the earlier of pictures and sound."""
    streams = (container.streams.best("video"), container.streams.best("audio"))
    starts = [
        stream.start_time * stream.time_base
        for stream in streams
        if stream is not None and stream.start_time is not None and stream.time_base is not None
    ]
    return min(starts, default=Fraction(0))


def check_seconds(seconds: float, name: str) -> None:
    """
    Raises:
        VideoError: a medium of that length is not read.
    """
    if seconds > MAX_SECONDS:
        raise VideoError(
            "limit_exceeded",
            f"{name} lasts {seconds:.0f} s or more, at most {MAX_SECONDS:.0f} s are read; cut it",
        )


def name_of(source: Source, what: str) -> str:
    """What messages call a file."""
    return f"the {what}" if isinstance(source, bytes) else shown(source)
