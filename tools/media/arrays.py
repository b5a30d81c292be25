"""Arrays of other libraries as numpy's own, and questions about the values of large arrays."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nuthatch.messages import shown
from nuthatch.tools.media.types import MediaError

_BLOCK = 1 << 20  # values looked at together: large arrays are not copied as a whole


def array_of(source: Any, name: str) -> NDArray[Any] | None:
    """Numbers as an array: of numpy, of torch on any device, or of what knows `__array__`.

    None: it is no array. Messages call it `name`.

    Raises:
        MediaError: an array that holds no real numbers, masks some, or cannot be copied.
    """
    if not isinstance(source, np.ndarray):
        if not hasattr(source, "__array__"):
            return None
        try:
            if type(source).__module__.partition(".")[0] == "torch":
                source = source.detach().cpu()
                source = source.float() if "bfloat16" in str(source.dtype) else source
            source = np.asarray(source)
        except Exception as error:  # of a library that is not ours: there is no common type
            raise MediaError(
                "unsupported_media",
                f"{name} is no array that can be copied to numpy: {shown(error)}",
            ) from error
    if isinstance(source, np.ma.MaskedArray) and np.ma.is_masked(source):
        raise MediaError("unsupported_media", f"{name} has masked values; give array.filled(...)")
    if source.dtype.kind not in "biuf":
        raise MediaError(
            "unsupported_media",
            f"{name} is an array of type {shown(source.dtype)} and shape {source.shape}; "
            "expected real numbers",
        )
    return np.asarray(source)


def value_range(values: NDArray[Any], name: str) -> tuple[float, float]:
    """Smallest and largest value, (0, 0) of none.

    Raises:
        MediaError: NaN or infinity is among them.
    """
    if values.size == 0:
        return 0.0, 0.0
    low, high = float(values.min()), float(values.max())  # NaN, if there is one
    if not (np.isfinite(low) and np.isfinite(high)):
        raise MediaError(
            "unsupported_media",
            f"{name} holds values that are no numbers (NaN, inf); give np.nan_to_num(array)",
        )
    return low, high


def are_whole(values: NDArray[Any]) -> bool:
    """Whether all values are whole numbers."""
    if values.dtype.kind in "biu":
        return True
    flat = values.reshape(-1)
    blocks = (flat[start : start + _BLOCK] for start in range(0, flat.size, _BLOCK))
    return all(bool((block == np.rint(block)).all()) for block in blocks)
