"""Files and PIL images as pictures, through Pillow.

Common formats whose work is bounded by their size are decoded at once, all others in a process
that can be ended.
"""

import io
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from nuthatch.messages import shown
from nuthatch.tools.media.decoding import Decoded, decode
from nuthatch.tools.media.image_arrays import on_white, to_eight_bits
from nuthatch.tools.media.sources import bytes_of
from nuthatch.tools.media.types import MAX_PIXELS, MediaError, Pixels, check_size

FORMATS = (
    *("AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000"),
    *("PCX", "PNG", "PPM", "PSD", "SGI", "TGA", "TIFF", "WEBP"),
)
"""Of pictures, by Pillow's names. Left out are those that run another program (EPS)."""
ORIENTATION = 0x0112  # of EXIF
BITS_PER_SAMPLE = 258  # of TIFF
_DAMAGED = (
    *(OSError, SyntaxError, EOFError, ValueError, TypeError, RuntimeError, struct.error),
    *(LookupError, ArithmeticError, AttributeError, AssertionError, MemoryError),
    Image.DecompressionBombError,
)
"""What Pillow's decoders raise on damaged files; they have no common type."""
_DARK = 63  # of 255: what 14 bits in 16 come to at most
_BAND = 1 << 18  # pixels
_MAX_SEGMENTS = 20_000  # Pillow reads each in Python
_MAX_SCANS = 16  # each goes over the whole picture


def read_image_file(file: bytes | Path, name: str) -> tuple[Pixels, str | None]:
    """A file as upright (height, width, 3) uint8 RGB, and what was changed, if anything.

    Raises:
        MediaError: it cannot be read, or is too large; `name` is what the message calls it.
    """
    data = bytes_of(file)
    if _is_quick(data):
        facts, arrays = decode_image(data, name)
    else:
        facts, arrays = decode("image", data, name)
    return arrays[0], facts["note"]


def decode_image(file: bytes | Path, name: str) -> Decoded:
    """The same in this very process."""
    data = bytes_of(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of tags that it passes over
            with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
                pixels, note = pixels_of_image(picture, name, deep=_has_16_bits(picture, data))
    except UnidentifiedImageError as error:
        raise MediaError(
            "unsupported_media", f"{name} is no picture that can be read (PNG, JPEG, WebP, ...)"
        ) from error
    except _DAMAGED as error:
        raise _fault(error, name) from error
    return Decoded({"note": note}, [pixels])


def read_pil_image(picture: Image.Image, name: str) -> tuple[Pixels, str | None]:
    """A PIL image as upright (height, width, 3) uint8 RGB, and what was changed, if anything.

    Raises:
        MediaError: as `read_image_file`.
    """
    try:
        return pixels_of_image(picture, name)
    except _DAMAGED as error:
        raise _fault(error, name) from error


def pixels_of_image(
    picture: Image.Image, name: str, *, deep: bool = False
) -> tuple[Pixels, str | None]:
    """As `read_pil_image`; `deep` says that the file has 16 bits, of which
    Pillow gives the upper 8.

    Raises:
        MediaError, and whatever Pillow raises on damaged files.
    """
    check_size(picture.width, picture.height, name)  # the header's size: nothing decoded yet
    frames, shown_one = getattr(picture, "n_frames", 1), picture.tell()
    which = "first" if shown_one == 0 else f"frame {shown_one + 1}"
    notes = [f"{which} of {frames} frames"] if frames > 1 else []
    picture.load()
    check_size(picture.width, picture.height, name)  # some headers promise less
    turn = _orientation(picture)
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        grey, note = to_eight_bits(np.asarray(picture), name, _bits(picture))
        pixels = np.repeat(grey[..., None], 3, axis=2)
    else:
        pixels, note = _in_colour(picture)
    if deep and pixels.max(initial=0) <= _DARK:
        raise MediaError(
            "unsupported_media",
            f"{name} has 16 bits and uses the lower 14 at most: it may have 10, 12 or 14 bits, or "
            "be very dark; save it with 8 bits",
        )
    notes += [] if note is None else [note]
    return _turned(pixels, turn), ", ".join(notes) or None


def _in_colour(picture: Image.Image) -> tuple[Pixels, str | None]:
    """Band by band: less memory, and four times as fast as all at once for a large picture."""
    width, height = picture.size
    pixels, note = np.empty((height, width, 3), np.uint8), None
    rows = max(1, _BAND // width)
    see_through = "a" in picture.mode.lower() or "transparency" in picture.info
    for top in range(0, height, rows):
        band = picture.crop((0, top, width, min(top + rows, height)))
        if see_through and picture.mode != "LAB":
            pixels[top : top + rows], said = on_white(np.asarray(_as_rgba(band)))
            note = note or said
        else:
            pixels[top : top + rows] = np.asarray(
                band if band.mode == "RGB" else band.convert("RGB")
            )
    return pixels, note


def _as_rgba(picture: Image.Image) -> Image.Image:
    if picture.mode in ("La", "RGBa"):  # colours that are multiplied by their alpha
        picture = picture.convert({"La": "LA", "RGBa": "RGBA"}[picture.mode])
    return picture if picture.mode == "RGBA" else picture.convert("RGBA")


def _orientation(picture: Image.Image) -> int:
    try:
        return int(picture.getexif().get(ORIENTATION, 1))
    except _DAMAGED:  # the picture is whole, what is said about it is not
        return 1


def _turned(pixels: Pixels, turn: int) -> Pixels:
    """Rows and columns as EXIF's orientation (CIPA DC-008, 4.6.4) asks for."""
    turns: dict[int, NDArray[Any]] = {
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.transpose(1, 0, 2),
        6: pixels.transpose(1, 0, 2)[:, ::-1],
        7: pixels.transpose(1, 0, 2)[::-1, ::-1],
        8: pixels.transpose(1, 0, 2)[::-1],
    }
    return np.ascontiguousarray(turns.get(turn, pixels))


def _bits(picture: Image.Image) -> int | None:
    """Bits of a value, where the file is a TIFF that says so."""
    bits = getattr(picture, "tag_v2", {}).get(BITS_PER_SAMPLE)
    return int(bits[0]) if isinstance(bits, tuple) and bits else None


def _has_16_bits(picture: Image.Image, data: bytes) -> bool:
    """Whether a file in colour has 16 bits a value, of which Pillow gives the upper 8."""
    if picture.mode not in ("RGB", "RGBA", "LA"):
        return False
    if picture.format == "PNG":
        return data[24] == 16  # in IHDR (PNG, 11.2.1)
    return picture.format == "TIFF" and _bits(picture) == 16


def _fault(error: BaseException, name: str) -> MediaError:
    if isinstance(error, MediaError):
        return error
    if isinstance(error, Image.DecompressionBombError):
        return MediaError(
            "limit_exceeded", f"{name} has more than {MAX_PIXELS:,} pixels; scale it down"
        )
    if isinstance(error, MemoryError):
        return MediaError("limit_exceeded", f"there is no memory for {name}; scale it down")
    return MediaError(
        "unsupported_media", f"{name} is damaged or cut off ({shown(error)}); save it again"
    )


# -- which files are decoded at once --------------------------------------------------------------


def _is_quick(data: bytes) -> bool:
    """Whether the work is bounded by the picture's size: few parts, each read once."""
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return _is_quick_png(data)
    if data[:2] == b"\xff\xd8":
        return _is_quick_jpeg(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return data[12:16] in (b"VP8 ", b"VP8L") or (
            data[12:16] == b"VP8X" and len(data) > 20 and not data[20] & 2  # animated
        )
    return _is_quick_bmp(data)


def _is_quick_bmp(data: bytes) -> bool:
    """Not compressed by runs, which Pillow unpacks in Python."""
    header, packing = (int.from_bytes(data[at : at + 4], "little") for at in (14, 30))
    return data[:2] == b"BM" and (header == 12 or packing in (0, 3))


def _is_quick_png(data: bytes) -> bool:
    """Whole, and of few chunks (PNG, 5.3)."""
    place = 8
    for _ in range(_MAX_SEGMENTS):
        size = int.from_bytes(data[place : place + 4], "big")
        if data[place + 4 : place + 8] == b"IEND":
            return True
        place += 12 + size
        if place >= len(data):
            return False
    return False


def _is_quick_jpeg(data: bytes) -> bool:
    """Few segments before the first scan (ITU T.81, B.1.1.4), and few scans."""
    place = 2
    for _ in range(_MAX_SEGMENTS):
        if data[place : place + 1] != b"\xff" or place + 4 > len(data):
            return False
        if data[place + 1] == 0xDA:
            return data.count(b"\xff\xda") <= _MAX_SCANS
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return False
