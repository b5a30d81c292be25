"""What is read of a video, and the error of one that cannot be used; without a decoder."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Source = str | Path | bytes


class VideoError(ValueError):
    """A video that cannot be used; `code` is for machines: `asset_not_found`,
    `unsupported_media`, `limit_exceeded` or `invalid_arguments`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)  # as given, so that it can cross to another process
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message


class NoPictures(VideoError):
    """A file that holds no moving pictures: a sound, perhaps, or nothing that is known."""


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
