"""The door for videos: a file becomes some of its frames and its sound, or a clear error."""

from pathlib import Path
from typing import TYPE_CHECKING

from nuthatch.tools.ingest import MIN_SIDE, MediaError, Samples, read_audio

if TYPE_CHECKING:
    from nuthatch.mllm.video import Clip

FRAMES = 4  # of a video that nobody has asked for more of

VideoSource = str | Path | bytes


def read_video(source: VideoSource, frames: int) -> tuple["Clip", Samples | None]:
    """The middle frame of each of `frames` equal runs, and the sound if there is one.

    Raises:
        MediaError: `asset_not_found`, `unsupported_media`, `limit_exceeded` or
            `dependency_missing`, with what was given and what to do.
    """
    if not isinstance(source, (str, Path, bytes)):
        raise MediaError(
            "unsupported_media",
            f"a video cannot be of type {type(source).__name__}; expected a path or bytes",
        )
    try:
        from nuthatch.mllm.video import VideoError, read_audio_track, read_frames
    except ImportError as error:
        raise MediaError(
            "dependency_missing", f"reading videos needs: pip install 'nuthatch[vision]' ({error})"
        ) from error
    try:
        clip, sound = read_frames(source, frames), read_audio_track(source)
    except VideoError as error:
        raise MediaError(error.code, error.message) from error
    if min(clip.width, clip.height) < MIN_SIDE:
        raise MediaError(
            "unsupported_media",
            f"the video is {clip.width}x{clip.height} pixels; at least {MIN_SIDE} a side are "
            "needed to see",
        )
    if sound is not None:
        read_audio(sound)  # refused here, before anything is stored
    return clip, sound
