"""Blobs: the files of media, once by content, as `home/blobs/SHA256.SUFFIX`; and what they hold."""

import hashlib
import io
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from PIL import Image, PngImagePlugin

from nuthatch.messages import shown
from nuthatch.tools.media.files import (
    PARTIAL,
    StoreError,
    adding,
    open_file,
    remove_partial_files,
    removing,
    whole_file,
    writing,
)
from nuthatch.tools.media.geometry import Mask
from nuthatch.tools.media.ingest import (
    MediaError,
    Pixels,
    Samples,
    encode_wav,
    read_audio,
    read_image,
)

_NAMES = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_STARTS = {
    b"\x89PNG": "png",
    b"\xff\xd8\xff": "jpg",
    b"GIF8": "gif",
    b"BM": "bmp",
    b"fLaC": "flac",
    b"OggS": "ogg",
    b"ID3": "mp3",
}
_IN_RIFF = {b"WAVE": "wav", b"WEBP": "webp"}


class Blobs:
    """The blobs of one home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home / "blobs"

    def store(self, blob: bytes | Path, suffix: str) -> tuple[str, Path]:
        """Keep bytes, or a copy of a file that need not fit into memory; gives its sha256 and where
        it lies. Content that is here already keeps its name and counts as new.

        Raises:
            StoreError: it cannot be written.
            MediaError: the file cannot be read.
        """
        try:
            opened = blob.open("rb") if isinstance(blob, Path) else io.BytesIO(blob)
        except OSError as error:
            raise MediaError("asset_not_found", f"{blob!s} cannot be read: {error}") from error
        with opened as file, adding(self.home):
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            path = self.folder / f"{sha256}.{suffix}"
            if path.is_file():
                with writing(path):
                    os.utime(path)
            else:
                file.seek(0)
                with whole_file(path) as out:
                    shutil.copyfileobj(file, out, 2**20)
        return sha256, path

    def remove(self, names: Iterable[str], newer: float) -> int:
        """Remove the blobs of these sha256 that were not stored after `newer` (seconds since 1970);
        how many. For those who are `removing`."""
        gone = 0
        wanted = set(names)
        for path in self._files():
            if path.name.partition(".")[0] in wanted and path.stat().st_mtime < newer:
                with writing(path):
                    path.unlink()
                gone += 1
        return gone

    def names(self) -> set[str]:
        """The sha256 of all that is here."""
        return {path.name.partition(".")[0] for path in self._files()}

    def tidy(self) -> None:
        """Remove what killed processes left half written, unless others are adding right now."""
        if any(self.folder.glob(f"*{PARTIAL}")):
            try:
                with removing(self.home, seconds=0):
                    remove_partial_files(self.folder)
            except StoreError:
                return  # a later run will do it

    def _files(self) -> list[Path]:
        files = sorted(self.folder.glob("*"))
        return [path for path in files if path.is_file() and not path.name.endswith(PARTIAL)]


def named_in(journal: bytes) -> set[str]:
    """Every sha256 that stands in a journal, whatever else is wrong with it."""
    return {name.decode("ascii") for name in _NAMES.findall(journal)}


def suffix_of(content: bytes, otherwise: str) -> str:
    """The usual ending of a file, by its first bytes."""
    if content[:4] == b"RIFF":
        return _IN_RIFF.get(content[8:12], otherwise)
    return next((end for start, end in _STARTS.items() if content.startswith(start)), otherwise)


# -- what they hold -------------------------------------------------------------------------------


def read_pixels(path: Path) -> Pixels:
    """A picture from its blob: upright (height, width, 3) uint8 RGB.

    Raises:
        MediaError: the file is gone or damaged.
    """
    return read_image(_content(path), str(path))[0]


def read_samples(path: Path) -> Samples:
    """A sound from its blob: (samples,) float32 mono at 16 kHz, -1 to 1.

    Raises:
        MediaError: the file is gone or damaged, or needs a package that is not installed.
    """
    content = _content(path)
    if content[:4] + content[8:40] == _WAV[:4] + _WAV[8:40]:  # one of ours, which needs no package
        samples = np.frombuffer(content[44:], "<i2") if len(content) % 2 == 0 else np.empty(0)
        if 2 * len(samples) == int.from_bytes(content[40:44], "little") > 0:
            return samples.astype(np.float32) / np.float32(32768)
    return read_audio(content, str(path))[0]


def read_mask(path: Path) -> Mask:
    """A mask from its blob.

    Raises:
        MediaError: the file is gone or damaged.
    """
    try:
        return Mask.model_validate_json(_content(path))
    except ValueError as error:
        if isinstance(error, MediaError):
            raise
        raise MediaError("unsupported_media", f"{shown(path)} is no mask: {error}") from error


def encode_png(pixels: Pixels, texts: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """(height, width, 3) uint8 RGB as a PNG file that holds these texts and no other metadata."""
    encoded = io.BytesIO()
    inside = PngImagePlugin.PngInfo()
    for name, text in texts.items():
        inside.add_itxt(name, text)
    # Runs only (compress_type 3): a tenth smaller and faster than zlib's level 1 alone.
    picture = Image.fromarray(pixels)
    picture.save(encoded, "PNG", compress_level=1, compress_type=3, pnginfo=inside)
    return encoded.getvalue()


_WAV = encode_wav(np.zeros(0, np.float32))


def _content(path: Path) -> bytes:
    try:
        with open_file(path) as file:
            return file.read()
    except OSError as error:
        message = f"{shown(path)} cannot be read: {error.strerror}"
        raise MediaError("asset_not_found", message) from error
