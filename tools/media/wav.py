"""WAV files: written plainly, and their sizes put right where the recorder never did.

A recorder writes the sizes last. Where it was stopped before, they are 0 or the largest number
there is, or more than the file holds (RIFF; RF64 of EBU Tech 3306).
"""

import io
import struct
import wave
from collections.abc import Iterator

import numpy as np

from nuthatch.tools.media.types import SAMPLE_RATE, Samples

_MAX_CHUNKS = 1000
_UNKNOWN = 0xFFFFFFFF
_CODECS = {1, 3, 6, 7}  # PCM, floats, A-law, mu-law: as many bytes for every sample
_EXTENSIBLE = 0xFFFE


def encode_wav(samples: Samples) -> bytes:
    """(samples,) float32 at 16 kHz as a 16-bit PCM file with the plain 44-byte header."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE)
        out.writeframes(np.clip(np.round(samples * 32768), -32768, 32767).astype("<i2").tobytes())
    return file.getvalue()


def is_wav(data: bytes) -> bool:
    """Whether these are the bytes of a WAV file, RF64 included."""
    return data[:4] in (b"RIFF", b"RF64") and data[8:12] == b"WAVE"


def is_plain(data: bytes) -> bool:
    """Whether every sample takes as many bytes, so that a decoder has nothing to unpack."""
    for name, place, size in _chunks(data, 12):
        if name == b"fmt " and size >= 16:
            codec = int.from_bytes(data[place : place + 2], "little")
            if codec == _EXTENSIBLE and size >= 26:
                codec = int.from_bytes(data[place + 24 : place + 26], "little")
            return codec in _CODECS
    return False


def mended(data: bytes) -> tuple[bytes, str | None]:
    """A WAV file with sizes that are true, and what was wrong with them, if anything."""
    if not is_wav(data):
        return data, None
    promised = None  # bytes of samples in an RF64 file
    for name, place, size in _chunks(data, 12):
        if name == b"ds64" and size >= 24 and data[:4] == b"RF64":
            promised = int.from_bytes(data[place + 8 : place + 16], "little")
        if name != b"data":
            continue
        there = len(data) - place
        size = promised if promised is not None and size == _UNKNOWN else size
        if size == 0 and (there == 0 or _is_well_formed(data, place)):
            return data, None  # it is empty, and other chunks follow
        if 0 < size <= there:
            return data, None
        head = b"RIFF" + struct.pack("<I", len(data) - 8) + data[8 : place - 4]
        note = "length taken from the file's end: its header says " + (
            "none" if size in (0, _UNKNOWN) else "more"
        )
        return head + struct.pack("<I", there) + data[place:], note
    return data, None


def _chunks(data: bytes, start: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, place of the content, and size of each chunk, as far as they go."""
    place = start
    for _ in range(_MAX_CHUNKS):
        if place + 8 > len(data):
            return
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        yield data[place : place + 4], place + 8, size
        place += 8 + size + size % 2


def _is_well_formed(data: bytes, start: int) -> bool:
    """Whether chunks follow that end where the file ends."""
    end = start
    for name, place, size in _chunks(data, start):
        if not name.isascii():
            return False
        end = place + size
    return len(data) - end in (0, 1) and end > start
