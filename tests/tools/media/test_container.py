"""Streams that no decoder here knows, and names in messages."""

import pytest

from nuthatch.tools.media.soundtrack import read_audio_track, read_track
from nuthatch.tools.media.video_decoding import VideoError, read_frames
from tests.tools.media.little_videos import write_video


def test_a_stream_without_a_decoder_says_so(tmp_path):
    whole = write_video(tmp_path / "a.mkv", sound=1.0).read_bytes()
    with pytest.raises(VideoError, match="no decoder for the pictures"):
        read_frames(whole.replace(b"V_MPEG4/ISO/ASP", b"V_XXXX4/ISO/ASP"))
    with pytest.raises(VideoError, match="no decoder for the samples"):
        read_audio_track(whole.replace(b"A_AAC", b"A_QQQ"))


def test_a_track_knows_what_its_file_has(tmp_path):
    track = read_track(write_video(tmp_path / "a.mkv", sound=1.0), "the sound")
    assert (track.rate, track.channels) == (44_100, 2)
    assert len(track.samples) == pytest.approx(16_000, abs=800)


def test_a_long_name_is_cut_in_messages(tmp_path):
    with pytest.raises(VideoError, match="there is no file") as caught:
        read_frames(tmp_path / ("x" * 200 + ".mp4"))
    assert len(str(caught.value)) < 120
