"""What users give as a medium: paths, bytes, open files and `data:` addresses become one file.

Nothing is fetched: an address of the web is refused.
"""

import base64
import binascii
import os
import re
from pathlib import Path
from typing import TypeGuard
from urllib.parse import unquote_to_bytes
from urllib.request import url2pathname

from nuthatch.messages import shown
from nuthatch.tools.media.types import File, MediaError

EXPECTED = "a path, bytes, an open binary file, a data: address"
# Scheme, user and password, host, rest; `Path` makes one slash of two.
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):/+([^/?#]*@)?([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_BASE64 = re.compile(r"[A-Za-z0-9+/_\s-]{256,}=*\s*")


def is_file(source: object) -> TypeGuard[File]:
    """Whether a medium is given as a file, whether or not that can be read."""
    kinds = (str, os.PathLike, bytes, bytearray, memoryview)
    return isinstance(source, kinds) or hasattr(source, "read")


def file_of(source: object, name: str, most: int) -> bytes | Path | None:
    """The file that somebody gave: its path, or its bytes. None: it is no file (an array, say).

    Args:
        source: a path as text or `Path`, bytes, an open binary file (read from its beginning), or a
            `data:` address (RFC 2397).
        name: what messages call it if it has no path: "the picture".
        most: bytes that are read at most; what is in memory already may be larger.

    Raises:
        MediaError: no such file, nothing in it, too large, or an address that is not fetched.
    """
    if isinstance(source, str) and source[:5].lower() == "data:":
        source = _of_data_address(source, name, most)
    if isinstance(source, (str, os.PathLike)):
        return _checked(_path(os.fsdecode(source)), most)
    if hasattr(source, "read"):
        source = _read(source, name, most)
    if not isinstance(source, (bytes, bytearray, memoryview)):
        return None
    data = bytes(source)
    if not data:
        raise MediaError("unsupported_media", f"{name} is empty (0 bytes)")
    return data


def name_of(file: bytes | Path, name: str) -> str:
    """What messages call a file: its path, or `name`."""
    return name if isinstance(file, bytes) else shown(file)


def bytes_of(file: bytes | Path) -> bytes:
    """
    Raises:
        MediaError: the file cannot be read.
    """
    if isinstance(file, bytes):
        return file
    try:
        return file.read_bytes()
    except OSError as error:
        raise _unreadable(file, error) from error


def _path(text: str) -> Path:
    """
    Raises:
        MediaError: the text is an address.
    """
    address = _ADDRESS.match(text)
    if address is None:
        return Path(text)
    scheme, _, host, _ = address.groups()
    if scheme.lower() == "file" and text[5:8] == "///":
        return Path(url2pathname(text[7:]))
    raise MediaError(
        "unsupported_media",
        f"an address ({scheme}, {shown(host, 60)}) is given, and nothing is fetched; download the "
        "file and give its path",
    )


def _checked(path: Path, most: int) -> Path:
    if not os.path.lexists(path):  # neither if the name is too long for any file
        message = f"there is no file {shown(path)}"
        if _BASE64.fullmatch(str(path)):
            message += "; base64 is given as a data: address: data:image/png;base64,..."
        raise MediaError("asset_not_found", message)
    try:
        is_file, size = path.is_file(), path.stat().st_size
    except OSError as error:
        raise _unreadable(path, error) from error
    if not is_file:
        found = "is a folder" if path.is_dir() else "is no ordinary file"
        raise MediaError("asset_not_found", f"{shown(path)} {found}")
    if not size:
        raise MediaError("unsupported_media", f"{shown(path)} is empty (0 bytes)")
    if size > most:
        raise _too_large(shown(path), most)
    return path


def _read(file: object, name: str, most: int) -> bytes:
    """An open file from its beginning, whatever was read of it or written to it before."""
    source: object = getattr(file, "name", None)
    try:
        if getattr(file, "seekable", lambda: False)():
            file.seek(0)  # type: ignore[attr-defined]
        data = file.read(most + 1)  # type: ignore[attr-defined]
    except (OSError, ValueError, TypeError, AttributeError) as error:  # closed, not for reading
        raise MediaError(
            "unsupported_media", f"{name} is an open file that cannot be read: {shown(error)}"
        ) from error
    if isinstance(data, (bytes, bytearray, memoryview)):
        if len(data) > most:
            raise _too_large(name, most)
        return bytes(data)
    raise MediaError(
        "unsupported_media",
        f"{name} is an open file that gives {type(data).__name__} instead of bytes"
        + (f": open {shown(source)} in binary mode" if isinstance(data, str) else ""),
    )


def _of_data_address(text: str, name: str, most: int) -> bytes:
    """The bytes in `data:[type][;base64],...`."""
    header, comma, body = text.partition(",")
    if not comma:
        raise MediaError(
            "unsupported_media", f"{name} is a data: address without a comma before its data"
        )
    is_base64 = header.lower().endswith(";base64")
    if len(body) > (2 if is_base64 else 3) * most:  # more than the longest way to write them
        raise _too_large(name, most)
    if not is_base64:
        data = unquote_to_bytes(body)
        if len(data) > most:
            raise _too_large(name, most)
        return data
    packed = b"".join(unquote_to_bytes(body).split()).translate(bytes.maketrans(b"-_", b"+/"))
    if 3 * len(packed) // 4 > most:
        raise _too_large(name, most)
    try:
        return base64.b64decode(packed + b"=" * (-len(packed) % 4), validate=True)
    except binascii.Error as error:
        raise MediaError(
            "unsupported_media",
            f"{name} is a data: address with damaged base64 ({shown(error)})",
        ) from error


def _too_large(name: str, most: int) -> MediaError:
    return MediaError("limit_exceeded", f"{name} is larger than {most:,} bytes")


def _unreadable(path: Path, error: OSError) -> MediaError:
    return MediaError("asset_not_found", f"{shown(path)} cannot be read: {shown(error.strerror)}")
