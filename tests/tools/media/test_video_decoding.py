"""Frames and sound of whatever video file a user has, or an error that says what is wrong."""

from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import soundfile
from av.stream import Disposition
from PIL import Image

from nuthatch.tools.media import container
from nuthatch.tools.media import video_decoding as video
from nuthatch.tools.media.video_decoding import (
    SAMPLE_RATE,
    VideoError,
    read_audio_track,
    read_frames,
)
from tests.tools.media.little_videos import seen, tone, write_video

FILES = [
    ("a.mp4", "mpeg4"),
    ("a.mp4", "libx264"),  # its packets are not in the order of showing
    ("a.mkv", "libx264"),
    ("a.webm", "libvpx"),
    ("a.avi", "mjpeg"),
    ("a.ts", "libx264"),
    ("a.h264", "libx264"),  # no times at all
]


def refusal(source: Path | bytes, *how: object) -> VideoError:
    with pytest.raises(VideoError) as caught:
        read_frames(source, *how)
    return caught.value


# -- which frames ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "codec"), FILES)
def test_the_frames_of_a_video_come_with_their_times(name, codec, tmp_path):
    clip = read_frames(write_video(tmp_path / name, 30, rate=10, codec=codec), 4)
    assert [seen(frame) for frame in clip.frames] == [3, 11, 19, 26]
    assert clip.times == pytest.approx([0.3, 1.1, 1.9, 2.6])
    assert {(frame.shape, frame.dtype.name) for frame in clip.frames} == {((48, 64, 3), "uint8")}
    assert (clip.width, clip.height, clip.total, clip.note) == (64, 48, 30, None)
    assert clip.seconds == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("total", "uniform", "quarters"),
    [
        (1, [0, 0, 0, 0], [0, 0, 0, 0]),
        (2, [0, 1, 1, 1], [0, 0, 1, 1]),
        (5, [0, 2, 3, 4], [0, 1, 2, 3]),
        (12, [1, 4, 7, 10], [0, 3, 6, 9]),
    ],
)
def test_four_frames_stand_for_a_video_of_any_length(total, uniform, quarters, tmp_path):
    path = write_video(tmp_path / "a.mkv", total)
    assert [seen(frame) for frame in read_frames(path, 4, "uniform").frames] == uniform
    assert [seen(frame) for frame in read_frames(path, 4, "quarters").frames] == quarters


def test_a_random_frame_of_each_run_stands_for_it_and_a_seed_draws_the_same_again(tmp_path):
    path = write_video(tmp_path / "a.mkv", 10, codec="libx264")
    drawn = [
        [seen(frame) for frame in read_frames(path, 3, "random", seed).frames]
        for seed in (*range(20), 0)
    ]
    assert drawn[0] == drawn[-1]
    for run, frames in enumerate([{0, 1, 2, 3}, {4, 5, 6}, {7, 8, 9}]):
        assert {choice[run] for choice in drawn} == frames
    short = write_video(tmp_path / "short.mkv", 2)
    assert [seen(frame) for frame in read_frames(short, 4, "random").frames] == [0, 1, 1, 1]


def test_numbers_of_frames_and_times_may_be_of_numpy(tmp_path):
    path = write_video(tmp_path / "a.mkv", 10)
    assert read_frames(path, np.int64(4)).times == read_frames(path, 4).times
    assert read_frames(path, np.array([0.2, 0.5])).times == read_frames(path, [0.2, 0.5]).times


@pytest.mark.parametrize("wanted", [4.0, np.float64(4), None, np.array(4.0), ["a", None]])
def test_what_is_no_number_of_frames_and_no_times_is_refused_with_what_is_expected(
    wanted, tmp_path
):
    with pytest.raises(ValueError, match="a whole number of frames, or times in seconds"):
        read_frames(write_video(tmp_path / "a.mkv", 10), wanted)


def test_with_a_variable_frame_rate_each_frame_keeps_its_own_time(tmp_path):
    path = write_video(tmp_path / "a.mp4", 4, codec="libx264", shown_at=[0, 100, 1100, 1200])
    assert read_frames(path, 4).times == pytest.approx([0, 0.1, 1.1, 1.2])
    clip = read_frames(path, [1.15, 0.0, 1.0, 0.1])
    assert [seen(frame) for frame in clip.frames] == [2, 0, 1, 1]  # what is on display then
    assert clip.times == pytest.approx([1.1, 0, 0.1, 0.1])


@pytest.mark.parametrize("time", [-0.1, 3.5, float("nan")])
def test_a_time_outside_the_video_is_refused_with_its_length(time, tmp_path):
    error = refusal(write_video(tmp_path / "a.mp4"), [1.0, time])
    assert error.code == "invalid_arguments"
    assert "it lasts 3.00 s" in error.message


@pytest.mark.parametrize(("wanted", "how"), [(0, "uniform"), ([], "uniform"), (4, "thirds")])
def test_no_frames_and_an_unknown_way_to_choose_are_refused(wanted, how, tmp_path):
    with pytest.raises(ValueError, match="expected"):
        read_frames(write_video(tmp_path / "a.mp4"), wanted, how)


def test_the_bytes_of_a_file_are_as_good_as_its_path(tmp_path):
    path = write_video(tmp_path / "a.mp4")
    for of_path, of_bytes in zip(
        read_frames(path).frames, read_frames(path.read_bytes()).frames, strict=True
    ):
        assert np.array_equal(of_path, of_bytes)


def test_only_frames_that_are_asked_for_become_pixels(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(video, "_upright", lambda frame: made.append(frame.pts) or frame)
    read_frames(write_video(tmp_path / "a.mkv", 30), 3)
    assert len(made) == 3


@pytest.mark.parametrize("wanted", [4, [1.0, 2.0]])
def test_a_file_that_keeps_its_promises_is_decoded_once(wanted, tmp_path, monkeypatch):
    decode, passes = video._decode, []
    monkeypatch.setattr(video, "_decode", lambda *given: passes.append(1) or decode(*given))
    read_frames(write_video(tmp_path / "a.mp4", codec="libx264"), wanted)
    assert len(passes) == 1


@pytest.mark.parametrize(("name", "codec"), FILES)
def test_in_a_long_video_few_frames_are_found_without_decoding_all(
    name, codec, tmp_path, monkeypatch
):
    path = write_video(tmp_path / name, 60, rate=10, codec=codec)
    whole = read_frames(path, 4)
    monkeypatch.setattr(video, "LONG", 0)
    decoded, decode = [], video.decoded
    monkeypatch.setattr(
        video, "decoded", lambda *given: (decoded.append(1) or one for one in decode(*given))
    )
    clip = read_frames(path, 4)
    assert clip.times == whole.times
    assert clip.total == whole.total
    assert clip.seconds == pytest.approx(whole.seconds)
    for frame, same in zip(clip.frames, whole.frames, strict=True):
        assert np.array_equal(frame, same)
    assert (len(decoded) < 60) == (name not in ("a.ts", "a.h264"))  # these have no index


def test_a_frame_that_is_damaged_is_left_out_in_a_long_video_too(tmp_path, monkeypatch):
    data = bytearray(write_video(tmp_path / "a.avi", 30, codec="mjpeg").read_bytes())
    start = data.find(b"\xff\xd8", len(data) // 2)
    end = data.find(b"\xff\xd9", start)
    data[start:end] = bytes(end - start)
    whole = [read_frames(bytes(data), [time / 10]).times for time in range(30)]
    monkeypatch.setattr(video, "LONG", 0)
    found = [read_frames(bytes(data), [time / 10]).times for time in range(30)]
    assert found == whole
    assert len({*map(tuple, whole)}) == 29  # one is not there


# -- upright --------------------------------------------------------------------------------------

TURNS = {
    "clockwise": ((0, 1, -1, 0), lambda pixels: np.rot90(pixels, -1)),
    "upside down": ((-1, 0, 0, -1), lambda pixels: np.rot90(pixels, 2)),
    "anticlockwise": ((0, -1, 1, 0), lambda pixels: np.rot90(pixels, 1)),
    "mirrored": ((-1, 0, 0, 1), lambda pixels: pixels[:, ::-1]),
    "transposed": ((0, 1, 1, 0), lambda pixels: pixels.transpose(1, 0, 2)),
}


@pytest.mark.parametrize("turn", TURNS)
def test_a_video_is_turned_as_its_file_asks_for(turn, tmp_path):
    matrix, turned = TURNS[turn]
    lying = read_frames(write_video(tmp_path / "lying.mp4", 1), 1).frames[0]
    clip = read_frames(write_video(tmp_path / "turned.mp4", 1, matrix=matrix), 1)
    assert np.array_equal(clip.frames[0], turned(lying))
    assert clip.frames[0].shape == (clip.height, clip.width, 3)


# -- sound ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_the_sound_becomes_16_khz_mono(name, tmp_path):
    samples = read_audio_track(write_video(tmp_path / name, sound=2.0))
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(2 * SAMPLE_RATE, abs=0.05 * SAMPLE_RATE)
    peak = np.abs(np.fft.rfft(samples)).argmax() * SAMPLE_RATE / len(samples)
    assert peak == pytest.approx(440, abs=2)
    assert np.abs(samples[8000:16000]).max() == pytest.approx(0.5, abs=0.03)


def test_a_sound_that_begins_late_begins_with_silence(tmp_path):
    samples = read_audio_track(write_video(tmp_path / "a.mkv", sound=1.0, sound_at=1.5))
    assert np.argmax(np.abs(samples) > 0.05) / SAMPLE_RATE == pytest.approx(1.5, abs=0.03)


def test_frames_that_begin_after_the_sound_are_timed_by_the_same_clock(tmp_path):
    late = [500 + 100 * index for index in range(10)]
    path = write_video(tmp_path / "a.mkv", 10, shown_at=late, sound=1.0)
    assert read_frames(path, 1).times == pytest.approx([0.9], abs=0.03)


def test_a_silent_film_has_no_sound(tmp_path):
    assert read_audio_track(write_video(tmp_path / "a.mp4")) is None


# -- files that lack something --------------------------------------------------------------------


def test_a_file_without_a_duration_in_its_header_is_measured(tmp_path):
    path = write_video(tmp_path / "a.mkv", codec="libx264", live="1")
    with av.open(str(path)) as file:
        assert file.duration is None
    assert read_frames(path).seconds == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {"movflags": "faststart"}),
        ("a.mkv", {}),
    ],  # the index comes first, or is not needed
)
def test_of_a_file_that_is_cut_off_the_whole_frames_are_read(name, options, tmp_path):
    path = write_video(tmp_path / name, 30, codec="libx264", **options)
    path.write_bytes(path.read_bytes()[:-200])
    clip = read_frames(path, 4)
    assert 4 < clip.total < 30
    assert clip.note == f"frames end at {clip.seconds:.2f} s of 3.00 s"
    for frame, time in zip(clip.frames, clip.times, strict=True):
        assert seen(frame) == round(10 * time)
    runs = np.array_split(np.arange(clip.total), 4)
    with_all = read_frames(path, clip.total).times  # chosen among the frames that are left
    assert clip.times == [with_all[run[(len(run) - 1) // 2]] for run in runs]


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "mjpeg"), ("a.ts", "libx264")])
def test_half_a_frame_is_no_frame(name, codec, tmp_path):
    path = write_video(tmp_path / name, 10, codec=codec, size=(128, 96), noise=True)
    whole = read_frames(path, 10)
    cut = read_frames(path.read_bytes()[: int(0.93 * path.stat().st_size)], 8)
    assert 8 <= cut.total < 10
    for frame, time in zip(cut.frames, cut.times, strict=True):
        assert np.array_equal(frame, whole.frames[whole.times.index(time)])


def test_a_damaged_frame_is_left_out_and_the_others_are_read(tmp_path):
    data = bytearray(write_video(tmp_path / "a.avi", 30, codec="mjpeg").read_bytes())
    start = data.find(b"\xff\xd8", len(data) // 2)  # a picture in the middle
    end = data.find(b"\xff\xd9", start)
    data[start:end] = bytes(end - start)
    clip = read_frames(bytes(data), 29)
    assert clip.total == 29
    assert [seen(frame) for frame in clip.frames] == [round(10 * time) for time in clip.times]


def test_packets_come_as_far_as_the_file_goes():
    def demux(stream):
        yield SimpleNamespace(size=1, is_corrupt=False)
        raise av.error.InvalidDataError(1, "Invalid data found")

    assert len(list(container.packets(SimpleNamespace(demux=demux), None))) == 1


@pytest.mark.parametrize("part", [0.9, 0.5])
def test_a_file_whose_index_is_cut_off_says_so(part, tmp_path):
    whole = write_video(tmp_path / "a.mp4").read_bytes()  # the index comes last
    error = refusal(whole[: int(part * len(whole))])
    assert error.code == "unsupported_media"
    assert "cut off" in error.message


@pytest.mark.parametrize(
    ("name", "words"),
    [("a.mp4", "not one whole frame"), ("a.mkv", "cut off"), ("a.avi", "not one whole frame")],
)
def test_a_video_without_a_frame_says_so(name, words, tmp_path):
    error = refusal(write_video(tmp_path / name, 0))
    assert error.code == "unsupported_media"
    assert words in error.message
    assert "save it again" in error.message
    assert "sound" not in error.message


@pytest.mark.parametrize("cover", [False, True])
def test_a_sound_is_no_video_even_with_a_cover(cover, tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        audio = container.add_stream("aac", rate=44_100)
        if cover:
            picture = container.add_stream("mjpeg", rate=1)
            picture.width, picture.height, picture.pix_fmt = 64, 48, "yuvj420p"
            picture.disposition = Disposition.attached_pic
            container.mux(picture.encode(av.VideoFrame(64, 48, "yuvj420p")))
            container.mux(picture.encode(None))
        container.mux(audio.encode(tone(0.5)))
        container.mux(audio.encode(None))
    assert "no moving pictures" in refusal(tmp_path / "a.mp4").message


def test_what_is_no_video_is_refused(tmp_path):
    Image.new("RGB", (32, 24)).save(tmp_path / "a.png")
    soundfile.write(tmp_path / "a.wav", np.zeros(1600), SAMPLE_RATE)
    (tmp_path / "a.txt").write_text("hello\n" * 99)
    for name in ("a.png", "a.wav", "a.txt"):
        assert "no video that can be read" in refusal(tmp_path / name).message
    (tmp_path / "empty.mp4").write_bytes(b"")
    assert "empty (0 bytes)" in refusal(tmp_path / "empty.mp4").message
    for missing in ("gone.mp4", ".", "x" * 999):
        assert refusal(tmp_path / missing).code == "asset_not_found"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:3.0,\n{}\n#EXT-X-ENDLIST\n"),
        ("a.txt", "ffconcat version 1.0\nfile {}\n"),
    ],
)
def test_a_list_of_other_files_is_refused(name, text, tmp_path):
    other = write_video(tmp_path / "other.ts", codec="libx264")
    (tmp_path / name).write_text(text.format(other.name))
    assert "no video that can be read" in refusal(tmp_path / name).message


# -- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"live": "1"}], ids=["by the header", "by the frames"])
def test_six_minutes_are_more_than_is_read(options, tmp_path):
    path = write_video(tmp_path / "a.mkv", 360, rate=1, size=(16, 16), **options)
    error = refusal(path)
    assert error.code == "limit_exceeded"
    assert "at most 300 s" in error.message


@pytest.mark.parametrize(
    ("limit", "value", "words"),
    [
        ("MAX_FRAMES", 29, "more than 29 frames"),
        ("MAX_FRAME_PIXELS", 64 * 48 - 1, "frames of 64x48"),
        ("MAX_PIXELS", 4 * 64 * 48 - 1, "4 frames of 64x48 are 12,288 pixels"),
        ("MAX_FILE_BYTES", 1000, "larger than 1,000 bytes"),
    ],
)
def test_what_is_too_large_is_refused_with_the_limit(limit, value, words, tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4")
    monkeypatch.setattr(container if limit == "MAX_FILE_BYTES" else video, limit, value)
    error = refusal(path)
    assert error.code == "limit_exceeded"
    assert words in error.message


def test_frames_that_are_larger_than_the_header_says_are_not_decoded(tmp_path, monkeypatch):
    small = write_video(tmp_path / "small.h264", 10, codec="libx264")
    large = write_video(tmp_path / "large.h264", 10, codec="libx264", size=(256, 192))
    both = small.read_bytes() + large.read_bytes()
    sizes = [frame.shape[:2] for frame in read_frames(both, 20).frames]
    assert sizes == [(48, 64)] * 10 + [(192, 256)] * 10
    monkeypatch.setattr(video, "MAX_FRAME_PIXELS", 128 * 96)
    assert {frame.shape[:2] for frame in read_frames(both, 20).frames} == {(48, 64)}


def test_a_sound_that_is_longer_than_the_pictures_has_the_same_limit(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mkv", 2, sound=2.0, live="1")
    monkeypatch.setattr(container, "MAX_SECONDS", 1.0)
    with pytest.raises(VideoError, match="at most 1 s"):
        read_audio_track(path)
