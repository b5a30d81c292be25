"""Pictures and sounds as all tools know them, how large they may be, and the error of those that
cannot be used."""

from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SAMPLE_RATE = 16_000
MAX_FILE_BYTES = 64 * 2**20  # of a picture or a sound
MAX_PIXELS = 40_000_000
MIN_SIDE = 8
MAX_SECONDS = 300.0
MIN_RATE, MAX_RATE = 1000, 192_000  # samples a second
MAX_VALUES = 2 * int(MAX_SECONDS) * MAX_RATE  # samples of all channels

Pixels = NDArray[np.uint8]
Samples = NDArray[np.float32]
File = str | Path | bytes | bytearray | memoryview | IO[bytes]
"""A path, a `data:` address, the bytes of a file, or an open binary file."""
ImageSource = File | Image.Image | NDArray[Any]
AudioSource = File | NDArray[Any] | tuple[NDArray[Any], int]
VideoSource = File


class MediaError(ValueError):
    """A picture, sound or video that cannot be used; `code` is one of the tool error codes."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)  # as given, so that it can cross to another process
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message


def check_size(width: int, height: int, name: str) -> None:
    """
    Raises:
        MediaError: a picture of this size is too small to see, or too large.
    """
    if min(width, height) < MIN_SIDE:
        raise MediaError(
            "unsupported_media",
            f"{name} is {width}x{height} pixels; at least {MIN_SIDE} a side are needed to see",
        )
    if width * height > MAX_PIXELS:
        raise MediaError(
            "limit_exceeded",
            f"{name} has {width}x{height} pixels, at most {MAX_PIXELS:,} are read; scale it down",
        )


def check_length(samples: int, rate: int, channels: int, name: str) -> None:
    """
    Raises:
        MediaError: a sound of so many samples in each channel cannot be heard, or is too long.
    """
    if not MIN_RATE <= rate <= MAX_RATE:
        raise MediaError(
            "unsupported_media",
            f"{name} has {rate} samples a second; {MIN_RATE:,} to {MAX_RATE:,} are read",
        )
    if samples / rate > MAX_SECONDS:
        raise MediaError(
            "limit_exceeded",
            f"{name} lasts {samples / rate:.0f} s, at most {MAX_SECONDS:.0f} s are heard; cut it",
        )
    if samples * channels > MAX_VALUES:
        raise MediaError(
            "limit_exceeded",
            f"{name} has {samples * channels:,} samples in all channels, at most {MAX_VALUES:,} "
            "are read; mix them to one",
        )
