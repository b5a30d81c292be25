"""Whatever file a user gives: one known form, or an error that says what is wrong with it."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from nuthatch.tools.media.ingest import SAMPLE_RATE, MediaError, read_audio, read_image


def picture(width: int = 20, height: int = 12) -> Image.Image:
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2] = (250, 130, 130)
    return Image.fromarray(pixels)


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def sound(samples: np.ndarray, rate: int = SAMPLE_RATE, form: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, subtype="FLOAT" if form == "WAV" else None)
    return file.getvalue()


def tone(seconds: float = 0.5, rate: int = SAMPLE_RATE) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)


def refusal(read, source) -> MediaError:
    with pytest.raises(MediaError) as caught:
        read(source)
    return caught.value


@pytest.mark.parametrize(("read", "given"), [(read_image, 5), (read_audio, 0.5)])
def test_another_kind_of_thing_says_what_was_expected(read, given):
    with pytest.raises(MediaError, match=r"cannot be of type .* expected a path"):
        read(given)


def test_a_missing_file_is_named(tmp_path):
    error = refusal(read_image, tmp_path / "no.png")
    assert error.code == "asset_not_found"
    assert "no.png" in error.message


def test_an_empty_file_is_called_empty(tmp_path):
    (tmp_path / "empty.png").write_bytes(b"")
    assert "empty (0 bytes)" in refusal(read_image, tmp_path / "empty.png").message


def test_a_truncated_picture_is_called_damaged():
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    whole = encoded(Image.fromarray(noise))
    error = refusal(read_image, whole[: len(whole) // 2])
    assert error.code == "unsupported_media"
    assert "damaged or cut off" in error.message


def test_a_text_file_is_no_picture(tmp_path):
    path = tmp_path / "notes.png"
    path.write_text("not a picture")
    assert "no picture that can be read" in refusal(read_image, path).message


def test_a_one_pixel_picture_is_too_small_to_see():
    error = refusal(read_image, encoded(Image.new("RGB", (1, 1))))
    assert "1x1 pixels" in error.message
    assert "at least 8" in error.message


def test_a_decompression_bomb_is_refused_by_its_header():
    bomb = encoded(Image.new("1", (30_000, 30_000)))
    error = refusal(read_image, bomb)
    assert error.code == "limit_exceeded"
    assert "40,000,000" in error.message


@pytest.mark.parametrize(
    ("image", "form"),
    [
        (picture().convert("CMYK"), "JPEG"),
        (picture().convert("P"), "PNG"),
        (picture().convert("L"), "PNG"),
        (picture().convert("RGBA"), "PNG"),
        (picture().convert("1"), "PNG"),
    ],
    ids=["cmyk", "palette", "grey", "alpha", "one bit"],
)
def test_every_colour_mode_becomes_rgb(image, form):
    pixels, _ = read_image(encoded(image, form))
    assert pixels.shape == (12, 20, 3)
    assert pixels.dtype == np.uint8
    assert pixels[6, 3].sum() > pixels[6, 16].sum()  # the left half is the bright one


def test_sixteen_bits_are_scaled_and_not_cut_off():
    deep = Image.fromarray(np.full((10, 10), 32768, np.uint16))
    pixels, note = read_image(encoded(deep))
    assert pixels[0, 0].tolist() == [127, 127, 127]
    assert "16-bit" in (note or "")


def test_transparent_pixels_lie_on_white():
    pixels, _ = read_image(encoded(Image.new("RGBA", (9, 9), (255, 0, 0, 0))))
    assert pixels.min() == 255


def test_of_an_animation_the_first_frame_is_taken_and_said_so():
    frames = [Image.new("RGB", (10, 10), colour) for colour in ("red", "blue", "green")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    pixels, note = read_image(data)
    assert pixels[5, 5, 0] > 200
    assert note == "first of 3 frames"


def test_a_rotated_photo_is_made_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate 90 degrees clockwise to see it upright
    pixels, _ = read_image(encoded(picture(), "JPEG", exif=exif))
    assert pixels.shape == (20, 12, 3)
    assert pixels[3, 6, 0] > 150  # the left half has become the upper half
    assert pixels[16, 6, 0] < 60


def test_an_array_of_another_shape_is_refused():
    assert "expected (height, width, 3) uint8" in refusal(read_image, np.zeros((9, 9, 2))).message


def test_stereo_at_8_khz_becomes_mono_at_16_khz():
    stereo = np.stack([tone(0.5, 8000), tone(0.5, 8000)], axis=1)
    samples, note = read_audio(sound(stereo, 8000))
    assert samples.dtype == np.float32
    assert len(samples) == SAMPLE_RATE // 2
    assert note == "2 channels mixed to one, 8000 Hz resampled to 16000 Hz"
    peak = np.abs(np.fft.rfft(samples)).argmax() * SAMPLE_RATE / len(samples)
    assert peak == pytest.approx(440, abs=4)


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG"])
def test_common_sound_formats_are_read(form):
    samples, _ = read_audio(sound(tone(), form=form))
    assert len(samples) == SAMPLE_RATE // 2


def test_a_sound_without_samples_is_called_empty():
    assert "no samples" in refusal(read_audio, sound(np.zeros(0))).message


def test_silence_is_a_sound_and_is_noted():
    samples, note = read_audio(sound(np.zeros(1600)))
    assert len(samples) == 1600
    assert note == "silent"


def test_values_that_are_no_numbers_are_refused():
    broken = tone()
    broken[100] = np.nan
    assert "no numbers" in refusal(read_audio, sound(broken)).message


def test_ten_minutes_are_more_than_is_heard():
    error = refusal(read_audio, (np.zeros(600 * 8000), 8000))
    assert error.code == "limit_exceeded"
    assert "600 s" in error.message
    assert "at most 300 s" in error.message


def test_a_picture_is_no_sound():
    assert "no sound that can be read" in refusal(read_audio, encoded(picture())).message


def test_the_size_of_a_file_is_checked_before_it_is_read(tmp_path):
    path = Path(tmp_path / "huge.wav")
    with path.open("wb") as file:
        file.truncate(65 * 2**20)
    assert refusal(read_audio, path).code == "limit_exceeded"
