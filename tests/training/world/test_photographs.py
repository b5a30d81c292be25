"""Which photographs are learnt from, and which are for measuring."""

import pytest

from nuthatch.training.world import photographs
from nuthatch.training.world.photographs import PHOTOGRAPHS, read, read_wallpaper


def test_some_photographs_are_not_learnt_from():
    names = {path.name for path in photographs.photographs()}
    assert set(PHOTOGRAPHS) < names
    assert len(names - set(PHOTOGRAPHS)) >= 5
    assert read("astronaut.png").shape == (512, 512, 3)


def test_missing_wallpapers_are_said_with_their_packages(monkeypatch, tmp_path):
    monkeypatch.setattr(photographs, "WALLPAPERS", tmp_path)
    with pytest.raises(FileNotFoundError, match="apt-get install mate-backgrounds"):
        read_wallpaper("none.jpg")
