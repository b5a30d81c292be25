"""Arrays as pictures: which side holds the channels, and which value is white.

Both are recognised where there is one reading only; all else is refused with what to pass.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nuthatch.tools.media.arrays import are_whole, value_range
from nuthatch.tools.media.types import MediaError, Pixels, check_size

CHANNELS = (1, 3, 4)  # grey, RGB, RGBA
_ROUNDING = 1e-4  # by which values between 0 and 1 may lie outside
_ROWS = 64  # converted at once: large arrays are not copied as a whole


def pixels_of_array(array: NDArray[Any]) -> tuple[Pixels, str | None]:
    """An array as (height, width, 3) uint8 RGB of its own, and what was changed, if anything.

    Args:
        array: (height, width), or with 1, 3 or 4 channels (grey, RGB, RGBA) first or last, or a
            batch of one such. Values: uint8; bool; floats from 0 to 1; whole numbers up to 255 in
            any type; 16 bits in any type if a value is above 16383.

    Raises:
        MediaError: it has another shape, or values that can be read in several ways.
    """
    name = "the array"
    values, notes = _channels_last(array)
    check_size(values.shape[1], values.shape[0], name)
    eight, note = to_eight_bits(values, name)
    notes += [] if note is None else [note]
    if eight.shape[2] == 4:
        eight, note = on_white(eight)
        notes += [] if note is None else [note]
    if eight.shape[2] == 1:
        eight = np.repeat(eight, 3, axis=2)
    return np.ascontiguousarray(eight), ", ".join(notes) or None


def to_eight_bits(
    values: NDArray[Any], name: str, bits: int | None = None
) -> tuple[Pixels, str | None]:
    """Values of any numeric type as uint8 of the same shape, and what was changed, if anything.

    Args:
        bits: how many a value has, where the file says so; None: it is seen in the values.

    Raises:
        MediaError: the values can be read in several ways, or are no numbers.
    """
    if values.dtype == np.uint8:
        return values.copy(), None
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255), None
    low, high = value_range(values, name)
    if values.dtype.kind == "f" and low >= -_ROUNDING and high <= 1 + _ROUNDING:
        scaled = _by_rows(values, lambda part: np.rint(np.clip(part, 0, 1) * 255.0))
        return scaled, "values 0 to 1 scaled to 8 bits"
    if low < 0 and high <= 1:
        raise _unclear(name, low, high, "give 0 to 1: (array + 1) / 2 where -1 is black")
    if not are_whole(values):
        raise _unclear(name, low, high, "give 0 to 1, or array.clip(0, 255).astype(np.uint8)")
    if low < 0 or high > 65535:
        raise _unclear(name, low, high, "scale them to 0 to 255 and give uint8")
    if bits is not None and 8 < bits < 16:
        return _by_rows(values, lambda part: part.astype(np.int64) >> (bits - 8)), (
            f"{bits}-bit values scaled to 8 bits"
        )
    if high > 16383:
        scaled = _by_rows(values, lambda part: part.astype(np.int64) // 257)
        return scaled, "16-bit values scaled to 8 bits"
    if high > 255:
        raise _unclear(
            name,
            low,
            high,
            "they may be 10, 12 or 14 bits or a dark picture of 16; give uint8, for 12 bits "
            "(array >> 4).astype(np.uint8)",
        )
    if high == 1:
        raise _unclear(name, low, high, "give bool where 1 is white, or uint8 where 255 is")
    return values.astype(np.uint8), None


def on_white(pixels: Pixels) -> tuple[Pixels, str | None]:
    """RGBA as RGB that lies on white."""
    alpha = pixels[..., 3:]
    if alpha.min(initial=255) == 255:
        return pixels[..., :3], None

    def blended(part: NDArray[Any]) -> NDArray[Any]:
        wide = part.astype(np.uint32)
        return (wide[..., :3] * wide[..., 3:] + 255 * (255 - wide[..., 3:]) + 127) // 255

    return _by_rows(pixels, blended, channels=3), "transparent parts laid on white"


def _channels_last(array: NDArray[Any]) -> tuple[NDArray[Any], list[str]]:
    given = array
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 2:
        return array[..., None], []
    if array.ndim == 3 and array.shape[2] in CHANNELS:
        return array, []
    if array.ndim == 3 and array.shape[0] in CHANNELS:
        return array.transpose(1, 2, 0), ["channels moved to the end"]
    raise MediaError(
        "unsupported_media",
        f"the array has shape {given.shape} and type {given.dtype}; "
        "expected (height, width, 3) uint8 RGB, or 1 or 4 channels, first or last",
    )


def _by_rows(
    values: NDArray[Any],
    convert: Callable[[NDArray[Any]], NDArray[Any]],
    channels: int | None = None,
) -> Pixels:
    shape = values.shape if channels is None else (*values.shape[:-1], channels)
    out = np.empty(shape, np.uint8)
    for start in range(0, len(values), _ROWS):
        out[start : start + _ROWS] = convert(values[start : start + _ROWS])
    return out


def _unclear(name: str, low: float, high: float, advice: str) -> MediaError:
    return MediaError(
        "unsupported_media",
        f"{name} has values from {low:g} to {high:g}, which can be read in several ways; {advice}",
    )
