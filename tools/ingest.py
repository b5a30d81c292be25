"""The door of the house: any picture or sound file becomes one known form, or a clear error.

Pictures: upright (EXIF applied) RGB uint8, (height, width, 3). Sounds: 16 kHz mono float32 in
-1 to 1. Limits on bytes, pixels and seconds are checked before anything is decoded.
"""

import io
import struct
import warnings
import wave
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

SAMPLE_RATE = 16_000
MAX_FILE_BYTES = 64 * 2**20
MAX_PIXELS = 40_000_000
MIN_SIDE = 8
MAX_SECONDS = 300.0
MIN_RATE, MAX_RATE = 1000, 192_000  # samples a second
MAX_VALUES = 2 * int(MAX_SECONDS) * MAX_RATE  # samples of all channels
FORMATS = (
    *("AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000"),
    *("PCX", "PNG", "PPM", "PSD", "SGI", "TGA", "TIFF", "WEBP"),
)
"""Of pictures, by Pillow's names. Left out are those that run another program (EPS)."""
_DAMAGED = (
    *(OSError, SyntaxError, EOFError, ValueError, TypeError, RuntimeError, struct.error),
    *(LookupError, ArithmeticError, AttributeError),
)
"""What Pillow's decoders raise on damaged files; they have no common type."""

Pixels = NDArray[np.uint8]
Samples = NDArray[np.float32]
ImageSource = str | Path | bytes | Image.Image | Pixels
AudioSource = str | Path | bytes | Samples | tuple[NDArray[np.floating], int]


class MediaError(ValueError):
    """A picture or a sound that cannot be used; `code` is one of the tool error codes."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)  # as given, so that it can cross to another process
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message


# -- the door: pictures ---------------------------------------------------------------------------


def read_image(source: ImageSource, name: str = "the picture") -> tuple[Pixels, str | None]:
    """Decode any picture to upright (H, W, 3) uint8 RGB, and say what was changed, if anything.

    Transparent pixels are laid on white; 16-bit values are scaled to 8; of an animation the first
    frame is taken. EXIF orientation is applied here and nowhere else. Of what is no file of a path,
    messages speak by `name`.

    Raises:
        MediaError: `unsupported_media` or `limit_exceeded`, with what was given and what to do.
    """
    if isinstance(source, np.ndarray):
        if source.ndim != 3 or source.shape[2] != 3 or source.dtype != np.uint8:
            raise MediaError(
                "unsupported_media",
                f"the array has shape {source.shape} and type {source.dtype}; "
                "expected (height, width, 3) uint8 RGB",
            )
        _check_size(source.shape[1], source.shape[0], "the array")
        return np.ascontiguousarray(source), None
    file = b""
    if not isinstance(source, Image.Image):
        if not isinstance(source, (str, Path, bytes)):
            raise MediaError(
                "unsupported_media",
                f"a picture cannot be of type {type(source).__name__}; expected a path, bytes, a "
                "PIL image, or an array (height, width, 3) of uint8",
            )
        name, file = read_file(source, name)
    try:
        if isinstance(source, Image.Image):
            return _upright(source, name)
        with warnings.catch_warnings():
            # Our own limit speaks instead of Pillow's warning.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(file), formats=FORMATS) as picture:
                return _upright(picture, name)
    except Image.DecompressionBombError as error:
        raise MediaError(
            "limit_exceeded", f"{name} has more than {MAX_PIXELS:,} pixels; scale it down"
        ) from error
    except UnidentifiedImageError as error:
        raise MediaError(
            "unsupported_media", f"{name} is no picture that can be read (PNG, JPEG, WebP, ...)"
        ) from error
    except _DAMAGED as error:
        if isinstance(error, MediaError):
            raise
        raise MediaError(
            "unsupported_media", f"{name} is damaged or cut off ({error}); save it again"
        ) from error


def _upright(picture: Image.Image, name: str) -> tuple[Pixels, str | None]:
    _check_size(picture.width, picture.height, name)  # the header's size: nothing decoded yet
    frames = getattr(picture, "n_frames", 1)
    note = f"first of {frames} frames" if frames > 1 else None
    picture = ImageOps.exif_transpose(picture)
    if picture.mode in ("I;16", "I;16B", "I;16L", "I", "F"):
        values = np.asarray(picture).astype(np.float64)
        top = 65535.0 if values.max(initial=0) > 255 else 255.0
        grey = np.clip(values / top * 255, 0, 255).astype(np.uint8)
        picture = Image.fromarray(grey)
        note = note or "16-bit values scaled to 8 bits"
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return np.array(picture.convert("RGB")), note


def _check_size(width: int, height: int, name: str) -> None:
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


# -- the door: sounds -----------------------------------------------------------------------------


def read_audio(source: AudioSource, name: str = "the sound") -> tuple[Samples, str | None]:
    """Decode any sound to (samples,) float32 mono 16 kHz, and say what was changed, if anything.

    Of what is no file of a path, messages speak by `name`.

    Raises:
        MediaError: `unsupported_media`, `limit_exceeded` or `dependency_missing`.
    """
    if isinstance(source, (str, Path, bytes)):
        name, data = read_file(source, name)
        samples, rate = _decode(data, name)
    else:
        given, rate = _given(source)
        _check_length(len(given), rate, given.size, name)
        whole: Any = given.dtype  # integers: their largest value is 1.0
        top = np.iinfo(whole).max if np.issubdtype(whole, np.integer) else 1
        samples = np.asarray(given, dtype=np.float64) / top
    if samples.ndim > 2 or samples.size == 0:
        raise MediaError("unsupported_media", f"{name} is empty: it holds no samples")
    if not np.isfinite(samples).all():
        raise MediaError("unsupported_media", f"{name} holds values that are no numbers (NaN, inf)")
    notes = []
    if samples.ndim == 2:
        notes.append(f"{samples.shape[1]} channels mixed to one")
        samples = samples.mean(axis=1)
    if rate != SAMPLE_RATE:
        notes.append(f"{rate} Hz resampled to {SAMPLE_RATE} Hz")
        samples = _resample(samples, rate)
    if not np.abs(samples).max(initial=0.0) > 1e-4:
        notes.append("silent")
    return np.clip(samples, -1, 1).astype(np.float32), ", ".join(notes) or None


def _given(source: Any) -> tuple[NDArray[Any], int]:
    """Samples and their rate, as a program gives them."""
    given, rate = (
        source if isinstance(source, tuple) and len(source) == 2 else (source, SAMPLE_RATE)
    )
    is_samples = isinstance(given, np.ndarray) and given.ndim > 0 and given.dtype.kind in "iuf"
    if not is_samples:
        kind = f"{given.dtype} of shape {given.shape}" if isinstance(given, np.ndarray) else ""
        raise MediaError(
            "unsupported_media",
            f"a sound cannot be of type {kind or type(given).__name__}; expected a path, bytes, an "
            "array of samples at 16 kHz, or (array, samples a second)",
        )
    if not isinstance(rate, (int, float, np.integer, np.floating)) or rate % 1 != 0:
        raise MediaError(
            "unsupported_media", f"the sound has {rate!r} samples a second; give a whole number"
        )
    return given, int(rate)


def _decode(data: bytes, name: str) -> tuple[NDArray[np.float64], int]:
    try:
        import soundfile
    except (ImportError, OSError) as error:
        raise MediaError(
            "dependency_missing", f"reading sounds needs: pip install 'nuthatch[audio]' ({error})"
        ) from error
    try:
        about = soundfile.info(io.BytesIO(data))
        _check_length(about.frames, about.samplerate, about.frames * about.channels, name)
        samples, rate = soundfile.read(io.BytesIO(data), dtype="float64")
    except soundfile.LibsndfileError as error:
        raise MediaError(
            "unsupported_media", f"{name} is no sound that can be read (WAV, FLAC, OGG, MP3)"
        ) from error
    return samples, int(rate)


def _check_length(samples: int, rate: int, values: int, name: str) -> None:
    """By the header, before anything is decoded; `values` are those of all channels."""
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
    if values > MAX_VALUES:
        raise MediaError(
            "limit_exceeded",
            f"{name} has {values:,} samples in all channels, at most {MAX_VALUES:,} are read; mix "
            "them to one",
        )


def _resample(samples: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    try:
        from scipy.signal import resample_poly
    except ImportError as error:
        raise MediaError(
            "dependency_missing", f"a sound of {rate} Hz needs: pip install 'nuthatch[audio]'"
        ) from error
    common = int(np.gcd(rate, SAMPLE_RATE))
    resampled: NDArray[np.float64] = resample_poly(samples, SAMPLE_RATE // common, rate // common)
    return resampled


def encode_wav(samples: Samples) -> bytes:
    """(samples,) float32 at 16 kHz as a 16-bit PCM file with the plain 44-byte header."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE)
        out.writeframes(np.clip(np.round(samples * 32768), -32768, 32767).astype("<i2").tobytes())
    return file.getvalue()


def read_file(source: str | Path | bytes, name: str) -> tuple[str, bytes]:
    """The bytes of a file, and what to call it: its path, or `name` if it is given as bytes.

    Raises:
        MediaError: `asset_not_found`, `limit_exceeded`, or `unsupported_media` if it is empty.
    """
    if isinstance(source, bytes):
        data = source
    else:
        path = Path(source)
        name = str(path)
        try:
            if not path.is_file():
                raise MediaError("asset_not_found", f"there is no file {path}")
            if path.stat().st_size > MAX_FILE_BYTES:
                raise MediaError(
                    "limit_exceeded", f"{path} is larger than {MAX_FILE_BYTES:,} bytes"
                )
            data = path.read_bytes()
        except OSError as error:
            raise MediaError("asset_not_found", f"{name} cannot be read: {error}") from error
    if not data:
        raise MediaError("unsupported_media", f"{name} is empty (0 bytes)")
    return name, data
