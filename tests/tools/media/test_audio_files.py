"""Sounds in files of every kind."""

import io
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from nuthatch.tools.media import audio_files
from nuthatch.tools.media.ingest import MediaError, read_audio
from tests.tools.media.little_videos import tone, write_video

FILES = [
    *(("ipod", "aac", 44_100), ("adts", "aac", 44_100), ("mp4", "aac", 44_100)),
    *(("webm", "libopus", 48_000), ("matroska", "libopus", 48_000), ("ogg", "libopus", 48_000)),
    *(("mp3", "libmp3lame", 44_100), ("flac", "flac", 44_100), ("ipod", "alac", 44_100)),
]


def encoded(form: str, codec: str, rate: int, seconds: float = 1.0) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout = "stereo"
        queue = av.AudioFifo()
        wanted = av.AudioResampler(stream.codec_context.format, "stereo", rate)
        for frame in (tone(seconds), None):
            for part in wanted.resample(frame):
                queue.write(part)
        size = stream.codec_context.frame_size or 1024
        while (frame := queue.read(size, partial=True)) is not None:
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def pitch(samples: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(samples)).argmax() * 16_000 / len(samples))


@pytest.mark.parametrize(("form", "codec", "rate"), FILES)
def test_a_sound_is_heard_whatever_container_it_is_in(form, codec, rate, tmp_path):
    samples, note = read_audio(encoded(form, codec, rate))
    assert len(samples) == pytest.approx(16_000, abs=2000)
    assert pitch(samples) == pytest.approx(440, abs=3)
    assert np.abs(samples[4000:8000]).max() == pytest.approx(0.5, abs=0.05)
    assert f"{rate} Hz resampled to 16000 Hz" in (note or "")


def test_of_a_video_the_sound_is_heard(tmp_path):
    path = write_video(tmp_path / "a.mp4", sound=1.0)
    assert pitch(read_audio(path)[0]) == pytest.approx(440, abs=3)
    assert "2 channels mixed to one" in (read_audio(path.read_bytes())[1] or "")


def test_a_silent_film_holds_no_sound(tmp_path):
    with pytest.raises(MediaError, match="holds no sound"):
        read_audio(write_video(tmp_path / "a.mp4"))


def test_floats_in_a_file_that_are_far_too_loud_are_int16_or_refused():
    wave = np.rint(9000 * np.sin(np.arange(8000) / 6))
    for samples, is_heard in ((wave, True), (wave * 0.37, False), (wave * 50, False)):
        file = io.BytesIO()
        soundfile.write(file, samples.astype(np.float32), 16_000, format="WAV", subtype="FLOAT")
        if is_heard:
            heard, note = read_audio(file.getvalue())
            assert np.abs(heard - samples / 32768).max() < 0.001
            assert note == "whole numbers read as int16"
        else:
            with pytest.raises(MediaError, match="expected -1 to 1"):
                read_audio(file.getvalue())


def test_a_file_that_claims_hours_is_refused_before_it_is_decoded():
    file = io.BytesIO()
    soundfile.write(file, np.zeros(8000), 16_000, format="FLAC")
    data = bytearray(file.getvalue())
    data[21:26] = bytes([data[21] | 0x0F]) + b"\xff" * 4  # STREAMINFO: 36 bits of samples
    with pytest.raises(MediaError, match="at most 300 s") as caught:
        read_audio(bytes(data))
    assert caught.value.code == "limit_exceeded"


def test_without_libsndfile_ffmpeg_reads_what_it_can(monkeypatch):
    monkeypatch.setattr(audio_files, "_soundfile", lambda: None)
    facts, [samples] = audio_files.decode_audio(encoded("flac", "flac", 44_100), "the sound")
    assert facts["rate"] == 16_000
    assert pitch(samples) == pytest.approx(440, abs=3)


def test_without_ffmpeg_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "nuthatch.tools.media.soundtrack", None)
    with pytest.raises(MediaError, match=r"needs av: pip install 'nuthatch\[audio\]'") as caught:
        audio_files.decode_audio(encoded("ipod", "aac", 44_100), "the sound")
    assert caught.value.code == "dependency_missing"
    facts, _ = audio_files.decode_audio(encoded("flac", "flac", 44_100), "the sound")
    assert facts["rate"] == 44_100


@pytest.mark.parametrize("content", [b"hello world\n" * 999, b"#EXTM3U\nhttp://example.org/a.ts\n"])
def test_a_text_is_no_sound(content, tmp_path):
    (tmp_path / "a.mp3").write_bytes(content)
    for source in (content, tmp_path / "a.mp3", Path(tmp_path / "a.mp3")):
        with pytest.raises(MediaError, match="no sound that can be read"):
            read_audio(source)
