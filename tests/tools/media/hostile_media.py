"""Files that are damaged at random, or whose headers lie; made here, kept nowhere."""

import io
import random
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image

from tests.tools.media.little_videos import write_video
from tests.tools.media.test_audio_files import encoded as sound_in

NOISE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
TONE = 0.3 * np.sin(np.arange(4000) / 7)
PICTURES = (
    *("AVIF", "BMP", "GIF", "ICO", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "SGI", "TGA"),
    *("TIFF", "WEBP"),
)
SOUNDS = ("AIFF", "AU", "CAF", "FLAC", "MP3", "OGG", "RF64", "VOC", "W64", "WAV")
STREAMS = (("ipod", "aac", 44_100), ("adts", "aac", 44_100), ("webm", "libopus", 48_000))
ENDLESS = b"\x7f\xef" + b"\xff" * 6  # the largest float of 8 bytes
VIDEOS = {
    "mp4": "libx264",
    "mkv": "libx264",
    "webm": "libvpx",
    "avi": "mjpeg",
    "ts": "libx264",
    "h264": "libx264",
    "flv": "flv",
}


def hostile_files(folder: Path, rounds: int = 7) -> Iterator[tuple[str, bytes]]:
    """Name and content of each; `rounds` of every whole file are damaged at random."""
    whole = whole_files(folder)
    for name, data in whole.items():
        for number in range(rounds):
            yield f"{name} damaged {number}", damaged(data, number)
    yield from lies(whole).items()


def whole_files(folder: Path) -> dict[str, bytes]:
    """One file of every format that can be written here."""
    files = {form: picture(form) for form in PICTURES}
    files["JPEG of scans"] = picture("JPEG", progressive=True)
    files["GIF that moves"] = picture("GIF", frames=5)
    files["WEBP that moves"] = picture("WEBP", frames=5)
    files["PNG that moves"] = picture("PNG", frames=5)
    files["TIFF of pages"] = picture("TIFF", frames=5)
    files |= {form: sound(form) for form in SOUNDS}
    files |= {form: sound_in(form, codec, rate, 0.3) for form, codec, rate in STREAMS}
    for ending, codec in VIDEOS.items():
        silent = ending in ("h264", "webm")
        path = write_video(
            folder / f"a.{ending}", 5, codec=codec, noise=True, sound=0.0 if silent else 0.5
        )
        files[ending] = path.read_bytes()
    return files


def picture(form: str, frames: int = 1, **more: Any) -> bytes:
    file = io.BytesIO()
    images = [Image.fromarray(np.roll(NOISE, 3 * number, 0)) for number in range(frames)]
    if frames > 1:
        more |= {"save_all": True, "append_images": images[1:]}
    images[0].save(file, form, **more)
    return file.getvalue()


def sound(form: str, samples: Any = TONE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, format=form)
    return file.getvalue()


def damaged(whole: bytes, number: int) -> bytes:
    """The end cut off, bytes changed, runs repeated or left out, or largest numbers in a header."""
    draw, data = random.Random(number), bytearray(whole)
    way = number % 7
    if way == 0:
        return bytes(data[: draw.randrange(1, len(data))])
    if way == 1:
        start = draw.randrange(len(data))
        return bytes(data[:start] + data[start + draw.randrange(1, 99) :])
    if way == 2:
        start = draw.randrange(len(data))
        return bytes(data[:start] + data[start : start + 64] * 50 + data[start:])
    if way == 3:
        start = draw.randrange(min(len(data), 400) // 4) * 4
        data[start : start + 4] = draw.choice((b"\xff" * 4, b"\0" * 4, b"\x7f" + b"\xff" * 3))
        return bytes(data)
    for _ in range(draw.choice((1, 4, 16, 64))):
        place = draw.randrange(min(len(data), draw.choice((40, 300, len(data)))))
        data[place] = draw.choice((0, 127, 128, 255, draw.randrange(256)))
    return bytes(data)


# -- headers that lie -----------------------------------------------------------------------------


def lies(whole: dict[str, bytes]) -> dict[str, bytes]:
    """Sizes, lengths, rates and counts that are not those of the content."""
    big = {
        f"{form} of {side} a side": with_side(whole[form], form, side)
        for form in ("BMP", "GIF", "JPEG", "PNG", "TGA", "WEBP that moves", "PPM")
        for side in (0, 6000, 20_000, 65_535)
    }
    png, jpeg = whole["PNG"], whole["JPEG"]
    many = replaced(whole["JPEG of scans"], b"\xff\xc2", 3, struct.pack(">HH", 6000, 6000))
    wav = {
        f"WAV with {at}: {value}": put(whole["WAV"], at, value.to_bytes(size, "little"))
        for at, size in ((22, 2), (24, 4), (28, 4), (32, 2), (34, 2), (40, 4), (4, 4), (16, 4))
        for value in (0, 1, 256**size - 1)
    }
    inside_itself = b""
    for _ in range(2000):
        inside_itself = struct.pack(">I", len(inside_itself) + 8) + b"moov" + inside_itself
    return {
        **big,
        **wav,
        "PNG of 4 billion a side": put(png, 16, b"\xff" * 8),
        "PNG whose text is a bomb": png[:33] + chunk(b"zTXt", b"c\0\0" + bomb()) + png[33:],
        "PNG whose profile is a bomb": png[:33] + chunk(b"iCCP", b"c\0\0" + bomb()) + png[33:],
        "PNG of a billion frames": png[:33] + chunk(b"acTL", b"\x3b\x9a\xca\0" * 2) + png[33:],
        "PNG of 300,000 empty parts": png[:33] + chunk(b"IDAT", b"") * 300_000 + png[33:],
        "PNG whose pixels are a bomb": with_side(png[:33], "PNG", 6000)
        + chunk(b"IDAT", zlib.compress(bytes(10**8)))
        + chunk(b"IEND", b""),
        "JPEG of 3000 scans": many[:-2] + many[many.rindex(b"\xff\xda") : -2] * 3000,
        "JPEG that begins with a million FF": b"\xff\xd8" + b"\xff" * 10**6 + jpeg[2:],
        "GIF of 200,000 frames": whole["GIF"][:-1] + gif_frame() * 200_000 + b";",
        "TIFF whose pages go round": round_tiff(whole["TIFF"]),
        "ICO with a large PNG": with_png(whole["ICO"], with_side(png, "PNG", 20_000)),
        "FLAC of 2**36 samples": put(whole["FLAC"], 21, b"\x0f\xff\xff\xff\xff"),
        "AU of 4 GB": put(whole["AU"], 8, b"\xff" * 4),
        "mp4 of a long time": replaced(whole["mp4"], b"mvhd", 16, b"\x7f" + b"\xff" * 3),
        "mp4 whose clock stands": replaced(whole["mp4"], b"mdhd", 12, bytes(4)),
        "mp4 of 4 billion samples": replaced(whole["mp4"], b"stsz", 8, b"\xff" * 4),
        "mp4 whose times are 4 billion": replaced(whole["mp4"], b"stts", 4, b"\xff" * 4),
        "mp4 of 65535 a side": replaced(whole["mp4"], b"avc1", 24, b"\xff" * 4),
        "avi of a billion frames": replaced(whole["avi"], b"avih", 20, struct.pack("<I", 10**9)),
        "avi without a rate": replaced(whole["avi"], b"strh", 24, bytes(8)),
        "avi of 4 billion a side": replaced(whole["avi"], b"avih", 36, b"\xff\xff\xff\x7f" * 2),
        "mkv that is endless": replaced(whole["mkv"], b"\x44\x89\x88", 0, ENDLESS),
        "mkv of no number": replaced(whole["mkv"], b"\x44\x89\x88", 0, b"\x7f\xf8" + bytes(6)),
        "boxes in boxes": whole["mp4"][:32] + inside_itself,
        "zeros": bytes(10**6),
        "ones": b"\xff" * 10**6,
        "chance": random.Random(0).randbytes(10**6),
        "text": b"There are two cups.\n" * 5000,
        "page": b"<html><img src='cup.png'></html>" * 100,
        "archive": b"PK\3\4" + random.Random(1).randbytes(9999),
        "playlist": b"#EXTM3U\n#EXTINF:3,\nhttp://example.org/a.ts\n",
        "list of files": b"ffconcat version 1.0\nfile /etc/hostname\n",
        "drawing": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc'/></svg>",
    }


def with_side(data: bytes, form: str, side: int) -> bytes:
    """The header says that width and height are this."""
    side16 = min(side, 65_535)
    if form == "PPM":
        return b"P6 %d %d 255\n" % (side, side) + data[13:]
    if form == "JPEG":
        return put(data, data.index(b"\xff\xc0") + 5, struct.pack(">HH", side16, side16))
    if form == "PNG":
        head = put(data, 16, struct.pack(">II", side, side))
        return put(head, 29, struct.pack(">I", zlib.crc32(head[12:29])))
    if form == "WEBP that moves":
        return put(data, 24, (max(side16, 1) - 1).to_bytes(3, "little") * 2)
    place = {"BMP": 18, "GIF": 6, "TGA": 12}[form]
    sizes = struct.pack("<II", side, side) if form == "BMP" else struct.pack("<HH", *(side16,) * 2)
    return put(data, place, sizes)


def put(data: bytes, place: int, part: bytes) -> bytes:
    return data[:place] + part + data[place + len(part) :]


def replaced(data: bytes, name: bytes, behind: int, part: bytes) -> bytes:
    """With this part so many bytes behind the end of a name."""
    return put(data, data.index(name) + len(name) + behind, part)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def bomb() -> bytes:
    return zlib.compress(bytes(3 * 10**8), 9)


def gif_frame() -> bytes:
    return b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2\x4c\1\0"


def round_tiff(data: bytes) -> bytes:
    """The offset of the next page leads back to this one."""
    first = struct.unpack("<I", data[4:8])[0]
    entries = struct.unpack("<H", data[first : first + 2])[0]
    return put(data, first + 2 + 12 * entries, data[4:8])


def with_png(icon: bytes, png: bytes) -> bytes:
    return put(icon[:22], 14, struct.pack("<II", len(png), 22)) + png
