"""Read pictures and sounds in any form: one known form comes out, or a clear error.

Pictures: upright (EXIF applied) RGB uint8, (height, width, 3). Sounds: 16 kHz mono float32 in
-1 to 1. Limits on bytes, pixels and seconds are checked before anything is decoded, and what a
decoder may take in time and memory is limited whatever a file claims (`decoding`).
"""

import numpy as np
from PIL import Image

from nuthatch.messages import shown
from nuthatch.tools.media.arrays import array_of
from nuthatch.tools.media.audio_arrays import samples_of_array
from nuthatch.tools.media.audio_files import read_audio_file
from nuthatch.tools.media.image_arrays import pixels_of_array
from nuthatch.tools.media.image_files import read_image_file, read_pil_image
from nuthatch.tools.media.sources import EXPECTED, bytes_of, file_of, name_of
from nuthatch.tools.media.types import (
    MAX_FILE_BYTES,
    MAX_PIXELS,
    MIN_SIDE,
    SAMPLE_RATE,
    AudioSource,
    File,
    ImageSource,
    MediaError,
    Pixels,
    Samples,
)
from nuthatch.tools.media.wav import encode_wav

__all__ = [
    "MAX_PIXELS",
    "MIN_SIDE",
    "SAMPLE_RATE",
    "AudioSource",
    "ImageSource",
    "MediaError",
    "Pixels",
    "Samples",
    "encode_wav",
    "read_audio",
    "read_file",
    "read_image",
]


def read_image(source: ImageSource, name: str = "the picture") -> tuple[Pixels, str | None]:
    """Decode any picture to upright (H, W, 3) uint8 RGB, and say what was changed, if anything.

    Transparent parts are laid on white; more than 8 bits are scaled to 8; of an animation the first
    frame is taken. EXIF orientation is applied here and nowhere else. The pixels share no memory
    with an array that was given.

    Args:
        source: a path, bytes, an open binary file or a `data:` address; a PIL image; or an array of
            numpy or torch, see `image_arrays.pixels_of_array`.
        name: what messages call it if it has no path.

    Raises:
        MediaError: `asset_not_found`, `unsupported_media`, `limit_exceeded` or
            `dependency_missing`, with what was given and what to do.
    """
    if isinstance(source, Image.Image):
        return read_pil_image(source, name)
    file = file_of(source, name, MAX_FILE_BYTES)
    if file is not None:
        return read_image_file(file, name_of(file, name))
    array = array_of(source, name)
    if array is None:
        raise MediaError(
            "unsupported_media",
            f"a picture cannot be of type {shown(type(source).__name__)}; expected {EXPECTED}, a "
            "PIL image, or an array (height, width, 3) of uint8",
        )
    return pixels_of_array(array)


def read_audio(source: AudioSource, name: str = "the sound") -> tuple[Samples, str | None]:
    """Decode any sound to (samples,) float32 mono 16 kHz, and say what was changed, if anything.

    Args:
        source: a path, bytes, an open binary file or a `data:` address, of a sound or of a video
            with sound; or an array with or without its rate, see `audio_arrays.samples_of_array`.
        name: what messages call it if it has no path.

    Raises:
        MediaError: as `read_image`.
    """
    file = None if isinstance(source, tuple) else file_of(source, name, MAX_FILE_BYTES)
    if file is None:
        samples, rate, notes = samples_of_array(source)
    else:
        name = name_of(file, name)
        samples, rate, notes = read_audio_file(file, name)
    if not np.isfinite(samples).all():
        raise MediaError("unsupported_media", f"{name} holds values that are no numbers (NaN, inf)")
    if rate != SAMPLE_RATE:
        notes = [*notes, f"{rate} Hz resampled to {SAMPLE_RATE} Hz"]
        samples = _resample(samples, rate)
    if not np.abs(samples).max(initial=0.0) > 1e-4:
        notes = [*notes, "silent"]
    return np.clip(samples, -1, 1).astype(np.float32), ", ".join(notes) or None


def read_file(source: File, name: str) -> tuple[str, bytes]:
    """The bytes of a picture's or a sound's file, and what to call it: its path, or `name`.

    Raises:
        MediaError: `asset_not_found`, `limit_exceeded`, or `unsupported_media` if it is empty or no
            file.
    """
    file = file_of(source, name, MAX_FILE_BYTES)
    if file is None:
        raise MediaError(
            "unsupported_media",
            f"{name} cannot be of type {shown(type(source).__name__)}; expected {EXPECTED}",
        )
    return name_of(file, name), bytes_of(file)


def _resample(samples: Samples, rate: int) -> Samples:
    try:
        from scipy.signal import resample_poly
    except ImportError as error:
        raise MediaError(
            "dependency_missing", f"a sound of {rate} Hz needs: pip install 'nuthatch[audio]'"
        ) from error
    common = int(np.gcd(rate, SAMPLE_RATE))
    resampled: Samples = resample_poly(samples, SAMPLE_RATE // common, rate // common)
    return resampled
