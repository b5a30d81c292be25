"""Videos in any form: frames and sound, or an error of the tools' own kind."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest

from nuthatch.tools.media import video_files
from nuthatch.tools.media.ingest import MediaError, encode_wav
from nuthatch.tools.media.video import read_video
from tests.tools.media.little_videos import seen, write_video


def test_another_kind_of_thing_says_what_was_expected():
    with pytest.raises(MediaError, match=r"cannot be of type int; expected a path, bytes"):
        read_video(5, 4)


def test_what_the_reader_refuses_keeps_its_code(tmp_path):
    with pytest.raises(MediaError, match="there is no file") as caught:
        read_video(tmp_path / "gone.mp4", 4)
    assert caught.value.code == "asset_not_found"


def test_frames_that_are_too_small_to_see_are_refused(tmp_path):
    with pytest.raises(MediaError, match="at least 8 a side"):
        read_video(write_video(tmp_path / "a.mp4", 1, size=(16, 4)), 4)


@pytest.mark.parametrize("kind", [str, Path.read_bytes, Path.as_uri, lambda path: path.open("rb")])
def test_a_path_bytes_an_address_and_an_open_file_are_the_same_video(kind, tmp_path):
    source = kind(write_video(tmp_path / "a.mp4", 30, sound=1.0))
    clip, sound = read_video(source, 4)
    if isinstance(source, io.IOBase):
        source.close()
    assert [seen(frame) for frame in clip.frames] == [3, 11, 19, 26]
    assert (clip.width, clip.height, clip.total, clip.note) == (64, 48, 30, None)
    assert np.abs(sound).max() > 0.4


def test_a_short_video_repeats_its_last_frame_which_is_one_array(tmp_path):
    clip, sound = read_video(write_video(tmp_path / "a.mp4", 2), 4)
    assert [seen(frame) for frame in clip.frames] == [0, 1, 1, 1]
    assert clip.frames[1] is clip.frames[2] is clip.frames[3]
    assert sound is None


def test_a_sound_is_a_video_without_frames():
    wave = (0.5 * np.sin(np.arange(16_000) / 6)).astype(np.float32)
    clip, sound = read_video(encode_wav(wave), 4)
    assert (clip.frames, clip.total, clip.seconds, clip.note) == ([], 0, 1.0, "sound only")
    assert np.abs(sound - wave).max() < 0.001


def test_of_a_video_whose_sound_has_no_decoder_the_frames_are_seen(tmp_path):
    whole = write_video(tmp_path / "a.mkv", sound=1.0).read_bytes()
    clip, sound = read_video(whole.replace(b"A_AAC", b"A_QQQ"), 2)
    assert (len(clip.frames), sound, clip.note) == (2, None, "its sound cannot be decoded")
    with pytest.raises(MediaError, match="no decoder for the pictures"):
        read_video(whole.replace(b"V_MPEG4/ISO/ASP", b"V_XXXX4/ISO/ASP"), 2)


def test_a_picture_is_no_video():
    with pytest.raises(MediaError, match="no video that can be read"):
        read_video("examples/kitchen.png", 4)


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nuthatch.tools.media.video_decoding", None)
    with pytest.raises(MediaError, match=r"pip install 'nuthatch\[vision\]'") as caught:
        video_files.decode_video(b"0", "the video", 4)
    assert caught.value.code == "dependency_missing"
