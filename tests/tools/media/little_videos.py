"""Small real video files: frame i is grey, 8 i of 255, with a white corner at its upper left."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

MILLISECOND = Fraction(1, 1000)
RATE = 44_100


def write_video(
    path: Path,
    frames: int = 30,
    *,
    rate: int = 10,
    codec: str = "mpeg4",
    size: tuple[int, int] = (64, 48),
    noise: bool = False,
    shown_at: Sequence[int] = (),
    sound: float = 0.0,
    sound_at: float = 0.0,
    matrix: tuple[int, int, int, int] | None = None,
    **options: str,
) -> Path:
    """Write a video of `size` (width, height).

    Args:
        noise: frames of noise, which take many bytes.
        shown_at: milliseconds, for a variable frame rate.
        sound, sound_at: seconds of a stereo tone of 440 Hz, and when it begins.
        matrix: a, b, c, d of the display matrix.
        options: of the container.
    """
    with av.open(str(path), "w", options=options) as container:
        video = container.add_stream(codec, rate=rate)
        video.width, video.height = size
        video.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if shown_at:
            video.codec_context.time_base = MILLISECOND
        if matrix is not None:
            a, b, c, d = (side << 16 for side in matrix)
            video.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        audio = container.add_stream("aac", rate=RATE) if sound else None
        container.start_encoding()
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(_pixels(index, size, noise), format="rgb24")
            if shown_at:
                frame.pts, frame.time_base = shown_at[index], MILLISECOND
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            container.mux(audio.encode(tone(sound, sound_at)))
            container.mux(audio.encode(None))
    return path


def seen(pixels: Any) -> int:
    """Which frame this is."""
    return round(float(np.median(pixels)) / 8)


def _pixels(index: int, size: tuple[int, int], noise: bool) -> Any:
    if noise:
        draw = np.random.default_rng(index)
        return draw.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    pixels = np.full((size[1], size[0], 3), 8 * index % 256, np.uint8)
    pixels[: size[1] // 4, : size[0] // 4] = 255
    return pixels


def tone(seconds: float, begins: float = 0.0) -> av.AudioFrame:
    """A stereo tone of 440 Hz that begins at some second."""
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * RATE)) / RATE)
    stereo = np.stack([wave, wave]).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(stereo, format="fltp", layout="stereo")
    frame.rate, frame.pts, frame.time_base = RATE, round(begins * RATE), Fraction(1, RATE)
    return frame
