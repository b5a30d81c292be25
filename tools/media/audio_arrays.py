"""Arrays as sounds: which side holds the channels, and which value is as loud as can be.

Both are recognised where there is one reading only; all else is refused with what to pass.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nuthatch.messages import shown
from nuthatch.tools.media.arrays import are_whole, array_of, value_range
from nuthatch.tools.media.types import SAMPLE_RATE, MediaError, Samples, check_length

MAX_CHANNELS = 8
LOUDEST = 2.0  # floats: what is mixed or resampled may overshoot 1, by no more than this
_NAME = "the sound"
_INT16 = 32768.0
_QUIET = 128  # whole numbers that are no larger may be of 8 or of 16 bits


def samples_of_array(source: Any) -> tuple[Samples, int, list[str]]:
    """Samples as a program has them: mono float32, their rate, and what was changed.

    Args:
        source: samples at 16 kHz, or (samples, samples a second) in either order. Samples are
            (n,), (n, channels) or (channels, n), up to 8 channels. Values: floats from -1 to 1;
            int16; int8; uint8 around 128; int32 of full scale; int16 in a wider type.

    Raises:
        MediaError: another type or shape, or values that can be read in several ways.
    """
    samples, rate = _with_rate(source)
    channels_last, notes = _channels_last(samples)
    check_length(len(channels_last), rate, channels_last.shape[1], _NAME)
    scale, middle, note = _scale(channels_last)
    notes = notes if note is None else [*notes, note]
    mono = channels_last.mean(axis=1, dtype=np.float64)
    return ((mono - middle) / scale).astype(np.float32), rate, notes


def scale_of_floats(samples: NDArray[Any], name: str) -> tuple[float, str | None]:
    """Which value of float samples is 1.0, and what to say of it.

    Raises:
        MediaError: they are far louder than 1, and not int16 in floats.
    """
    low, high = value_range(samples, name)
    peak = max(-low, high)
    if peak <= LOUDEST:
        return 1.0, None
    if low < 0 and _QUIET < peak <= _INT16 and are_whole(samples):
        return _INT16, "whole numbers read as int16"
    raise MediaError(
        "unsupported_media",
        f"{name} has float values from {low:g} to {high:g}; expected -1 to 1: divide them by the "
        "largest value that is possible, or give them as int16",
    )


def _with_rate(source: Any) -> tuple[NDArray[Any], int]:
    samples, rate = source, SAMPLE_RATE
    if isinstance(source, tuple) and len(source) == 2:
        samples, rate = source
        if isinstance(samples, (int, np.integer)):  # as scipy.io.wavfile gives them
            samples, rate = rate, samples
    array = array_of(samples, _NAME)
    if array is None or array.ndim == 0 or array.dtype == np.bool_:
        kind = shown(type(samples).__name__) if array is None else f"{array.dtype} array"
        raise MediaError(
            "unsupported_media",
            f"a sound cannot be of type {kind}; expected a path, bytes, an open binary file, a "
            "data: address, an array of samples at 16 kHz, or (array, samples a second)",
        )
    is_number = isinstance(rate, (int, float, np.integer, np.floating))
    if not is_number or isinstance(rate, bool) or rate % 1 != 0:
        raise MediaError(
            "unsupported_media",
            f"the sound has {shown(repr(rate))} samples a second; give a whole number",
        )
    return array, int(rate)


def _channels_last(samples: NDArray[Any]) -> tuple[NDArray[Any], list[str]]:
    given = samples
    if samples.ndim == 3 and samples.shape[0] == 1:
        samples = samples[0]
    if samples.size == 0:
        raise MediaError("unsupported_media", f"{_NAME} is empty: it holds no samples")
    if samples.ndim == 1:
        return samples[:, None], []
    if samples.ndim == 2:
        few, many = sorted(samples.shape)
        if few <= MAX_CHANNELS < many:
            notes = [] if few == 1 else [f"{few} channels mixed to one"]
            return (samples if samples.shape[1] == few else samples.T), notes
    raise MediaError(
        "unsupported_media",
        f"the array given as sound has shape {given.shape}; expected (samples,), (samples, "
        f"channels) or (channels, samples) of up to {MAX_CHANNELS} channels",
    )


def _scale(samples: NDArray[Any]) -> tuple[float, float, str | None]:
    """Which value is 1.0, which is 0.0, and what to say of it."""
    kind = samples.dtype.newbyteorder("=")
    if kind == np.int16:
        return _INT16, 0.0, None
    if kind == np.int8:
        return 128.0, 0.0, None
    low, high = value_range(samples, _NAME)
    peak = max(-low, high)
    if kind == np.uint8:
        around = samples.astype(np.int16) - 128
        if abs(around.mean()) <= 32 and np.abs(around).mean() <= 96:
            return 128.0, 128.0, "uint8 read as 8 bits around 128"
    elif kind.kind == "f":
        if 1 <= peak <= LOUDEST and are_whole(samples):
            advice = "multiply them by 0.99 if 1 is full scale, or give int16"
            raise _unclear(kind, low, high, advice)
        scale, note = scale_of_floats(samples, _NAME)
        return scale, 0.0, note
    elif kind.kind == "i":
        if peak == 0:
            return 1.0, 0.0, None
        if low < 0 and _QUIET < peak <= _INT16:
            return _INT16, 0.0, f"{kind} read as int16"
        if kind.itemsize == 4 and low < 0 and peak > 2**23:
            return 2.0**31, 0.0, None
    raise _unclear(kind, low, high, "give int16, or floats from -1 to 1")


def _unclear(kind: Any, low: float, high: float, advice: str) -> MediaError:
    return MediaError(
        "unsupported_media",
        f"{_NAME} has {kind} values from {low:g} to {high:g}, which can be read in several ways; "
        f"{advice}",
    )
