"""The door for videos says what is wrong in the words of the house."""

import sys

import pytest

from nuthatch.tools.ingest import MediaError
from nuthatch.tools.video import read_video
from tests.mllm.little_videos import write_video


def test_another_kind_of_thing_says_what_was_expected():
    with pytest.raises(MediaError, match=r"cannot be of type int; expected a path or bytes"):
        read_video(5, 4)


def test_what_the_reader_refuses_keeps_its_code(tmp_path):
    with pytest.raises(MediaError, match="there is no file") as caught:
        read_video(tmp_path / "gone.mp4", 4)
    assert caught.value.code == "asset_not_found"


def test_frames_that_are_too_small_to_see_are_refused(tmp_path):
    with pytest.raises(MediaError, match="at least 8 a side"):
        read_video(write_video(tmp_path / "a.mp4", 1, size=(16, 4)), 4)


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nuthatch.mllm.video", None)
    with pytest.raises(MediaError, match=r"pip install 'nuthatch\[vision\]'") as caught:
        read_video(tmp_path / "a.mp4", 4)
    assert caught.value.code == "dependency_missing"
