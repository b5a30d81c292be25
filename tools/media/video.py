"""Read videos: a file becomes some of its frames and its sound, or a clear error."""

from pathlib import Path

from nuthatch.messages import shown
from nuthatch.tools.media.decoding import decode
from nuthatch.tools.media.ingest import MIN_SIDE, MediaError, Samples, read_audio
from nuthatch.tools.media.sources import EXPECTED, file_of, name_of
from nuthatch.tools.media.types import VideoSource
from nuthatch.tools.media.video_types import Clip

__all__ = ["FRAMES", "VideoSource", "read_video", "video_file"]

FRAMES = 4  # of a video that nobody has asked for more of
MAX_FILE_BYTES = 2**30


def video_file(source: VideoSource) -> bytes | Path:
    """The file that is given as a video: its path, or its bytes.

    Raises:
        MediaError: it is no file, is not there, empty or too large.
    """
    file = file_of(source, "the video", MAX_FILE_BYTES)
    if file is None:
        raise MediaError(
            "unsupported_media",
            f"a video cannot be of type {shown(type(source).__name__)}; expected {EXPECTED}",
        )
    return file


def read_video(source: VideoSource, frames: int) -> tuple[Clip, Samples | None]:
    """The middle frame of each of `frames` equal runs, and the sound if there is one.

    A sound file is a video without frames. It is decoded in another process, see
    `nuthatch.tools.media.decoding`.

    Args:
        source: a path, bytes, an open binary file or a `data:` address.

    Raises:
        MediaError: `asset_not_found`, `unsupported_media`, `limit_exceeded` or
            `dependency_missing`, with what was given and what to do.
    """
    file = video_file(source)
    name = name_of(file, "the video")
    facts, arrays = decode("video", file, name, frames=frames)
    rate = facts.pop("rate")
    facts["frames"] = [arrays[number] for number in facts["frames"]]
    clip = Clip(**facts)
    if clip.frames and min(clip.width, clip.height) < MIN_SIDE:
        raise MediaError(
            "unsupported_media",
            f"{name} is {clip.width}x{clip.height} pixels; at least {MIN_SIDE} a side are needed "
            "to see",
        )
    return clip, None if rate is None else read_audio((arrays[-1], rate))[0]
