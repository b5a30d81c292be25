"""Pictures in files and of PIL: every mode, 16 bits, orientations, and where they are decoded."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from nuthatch.tools.media import image_files
from nuthatch.tools.media.image_files import _is_quick
from nuthatch.tools.media.ingest import MediaError, read_image

RGB = np.random.default_rng(0).integers(0, 256, (12, 20, 3), np.uint8)
RGB[0, :2] = ((0,) * 3, (255,) * 3)
GREY = np.ascontiguousarray(RGB[..., 0])
DEEP = GREY.astype(np.uint16) * 257


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def png(values: np.ndarray, bits: int) -> bytes:
    """A PNG file of (height, width, channels)."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    height, width, channels = values.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = [b"\0" + row.astype(">u2" if bits == 16 else "u1").tobytes() for row in values]
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"".join(rows)))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def differs(source: object, expected: np.ndarray) -> int:
    pixels, _ = read_image(source)
    wanted = expected if expected.ndim == 3 else np.repeat(expected[..., None], 3, 2)
    return int(np.abs(pixels.astype(int) - wanted).max())


SIXTEEN = {
    "png": encoded(Image.fromarray(DEEP)),
    "tiff": encoded(Image.fromarray(DEEP), "TIFF"),
    "tiff big-endian": encoded(
        Image.frombytes("I;16B", (20, 12), DEEP.astype(">u2").tobytes()), "TIFF"
    ),
    "tiff 32": encoded(Image.fromarray(DEEP.astype(np.int32)), "TIFF"),
    "tiff 0 to 1": encoded(Image.fromarray((GREY / 255).astype(np.float32)), "TIFF"),
    "pgm": b"P5 20 12 65535\n" + DEEP.astype(">u2").tobytes(),
    "pgm of 12 bits": b"P5 20 12 4095\n" + (DEEP >> 4).astype(">u2").tobytes(),
    "png with alpha": png(np.stack([DEEP, np.full_like(DEEP, 65535)], 2), 16),
    "PIL I;16": Image.fromarray(DEEP),
    "PIL I;16B": Image.frombytes("I;16B", (20, 12), DEEP.astype(">u2").tobytes()),
    "PIL I": Image.fromarray(DEEP.astype(np.int32)),
    "PIL F": Image.fromarray((GREY / 255).astype(np.float32)),
    "8 in 16": encoded(Image.fromarray(GREY.astype(np.uint16))),
}


@pytest.mark.parametrize("source", SIXTEEN.values(), ids=SIXTEEN)
def test_16_bits_of_every_kind_become_8(source):
    assert differs(source, GREY) <= 1


@pytest.mark.parametrize("channels", [3, 4])
def test_16_bits_in_colour_become_8(channels):
    deep = np.dstack([RGB.astype(np.uint16) * 257, np.full(GREY.shape, 65535)])[..., :channels]
    assert differs(png(deep, 16), RGB) <= 1


@pytest.mark.parametrize(
    "source",
    [
        encoded(Image.fromarray(DEEP >> 4)),
        encoded(Image.fromarray(DEEP >> 4), "TIFF"),
        Image.fromarray(DEEP >> 2),
        png(RGB.astype(np.uint16) << 4, 16),
        png(RGB, 16),
    ],
    ids=["png", "tiff", "PIL", "colour", "8 in 16 in colour"],
)
def test_12_bits_in_16_are_not_taken_for_a_dark_picture(source):
    with pytest.raises(MediaError, match="10, 12 or 14 bits"):
        read_image(source)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LA"])
def test_every_mode_of_pil_is_a_picture(mode):
    image = Image.fromarray(RGB).convert(mode)
    assert differs(image, np.asarray(image.convert("RGB"))) <= 3


def test_colours_multiplied_by_alpha_are_divided_again():
    alpha = Image.fromarray(np.dstack([RGB, np.full(GREY.shape, 255, np.uint8)]))
    assert differs(alpha.convert("RGBa"), RGB) <= 1
    assert (
        differs(alpha.convert("LA").convert("La"), np.asarray(Image.fromarray(RGB).convert("L")))
        <= 1
    )


def test_the_given_image_stays_as_it_is():
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(io.BytesIO(encoded(Image.fromarray(RGB), "PNG", exif=exif))) as image:
        assert read_image(image)[0].shape == (20, 12, 3)
        assert image.size == (20, 12)
        assert read_image(image)[0].shape == (20, 12, 3)


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
def test_every_orientation_is_made_upright_as_pillow_does(turn, form):
    exif = Image.Exif()
    exif[0x0112] = turn
    options = {"lossless": True} if form == "WEBP" else {}
    data = encoded(Image.fromarray(RGB), form, exif=exif, **options)
    upright = {
        1: RGB,
        2: RGB[:, ::-1],
        3: RGB[::-1, ::-1],
        4: RGB[::-1],
        5: RGB.transpose(1, 0, 2),
        6: np.rot90(RGB, -1),
        7: RGB.transpose(1, 0, 2)[::-1, ::-1],
        8: np.rot90(RGB),
    }
    assert differs(data, upright[turn]) == 0


def test_damaged_exif_does_not_hide_the_picture():
    data = encoded(Image.fromarray(RGB), "JPEG", quality=100, exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert read_image(data)[0].shape == RGB.shape


def test_ordinary_files_are_decoded_at_once_and_odd_ones_elsewhere(monkeypatch):
    image = Image.fromarray(RGB)
    assert _is_quick(encoded(image, "PNG"))
    assert _is_quick(encoded(image, "JPEG"))
    assert _is_quick(encoded(image, "JPEG", progressive=True))
    assert _is_quick(encoded(image, "BMP"))
    assert _is_quick(encoded(image, "WEBP"))
    for form in ("GIF", "TIFF", "AVIF", "ICO", "TGA", "PPM"):
        assert not _is_quick(encoded(image, form))
    assert not _is_quick(encoded(image, "PNG")[:-20])  # cut off
    moving = encoded(image, "WEBP", save_all=True, append_images=[image.rotate(180)])
    assert not _is_quick(moving)
    monkeypatch.setattr(image_files, "decode", None)
    assert read_image(encoded(image, "PNG"))[0].shape == RGB.shape


def test_files_of_very_many_parts_are_not_decoded_here():
    jpeg = encoded(Image.fromarray(RGB), "JPEG")
    scan = jpeg[jpeg.index(b"\xff\xda") :]
    assert not _is_quick(jpeg[:2] + b"\xff\xfe\0\2" * 30_000 + jpeg[2:])
    assert not _is_quick(jpeg[:2] + b"\xff" * 999 + jpeg[2:])
    assert not _is_quick(jpeg[:-2] + scan * 40)
    whole = png(RGB, 8)
    empty = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    assert not _is_quick(whole[:33] + empty * 30_000 + whole[33:])


def test_a_bmp_packed_by_runs_is_not_decoded_here():
    plain = encoded(Image.fromarray(GREY), "BMP")
    assert _is_quick(plain)
    packed = plain[:30] + b"\1" + plain[31:]
    assert not _is_quick(packed)


def test_of_an_opened_animation_the_frame_on_display_is_taken():
    data = encoded(
        Image.fromarray(RGB), "PNG", save_all=True, append_images=[Image.new("RGB", (20, 12))]
    )
    with Image.open(io.BytesIO(data)) as image:
        assert read_image(image)[1] == "first of 2 frames"
        image.seek(1)
        pixels, note = read_image(image)
    assert (int(pixels.max()), note) == (0, "frame 2 of 2 frames")
