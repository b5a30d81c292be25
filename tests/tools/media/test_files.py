"""Files are whole or not there; errors of a disk are told typed, with what to do."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from nuthatch.tools.media.files import (
    PARTIAL,
    HomeBusy,
    StoreError,
    adding,
    cache_folder,
    remove_partial_files,
    removing,
    whole_file,
    writing,
)
from nuthatch.tools.weights.released import weights_folder, weights_home


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "deep" / "a"
    with whole_file(path) as file:
        file.write(b"one")
        assert not path.exists()
    assert path.read_bytes() == b"one"
    assert list(path.parent.iterdir()) == [path]


def test_of_a_file_that_was_not_written_to_its_end_nothing_is_left(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"before")
    with pytest.raises(TypeError), whole_file(path) as file:
        file.write("no bytes")
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "code", "advice"),
    [
        (errno.ENOSPC, "write_failed", "make room there"),
        (errno.EDQUOT, "write_failed", "make room there"),
        (errno.EFBIG, "write_failed", "make room there"),
        (errno.EROFS, "home_not_writable", "set NUTHATCH_HOME"),
        (errno.EACCES, "home_not_writable", "set NUTHATCH_HOME"),
    ],
)
def test_an_error_of_the_disk_is_told_with_advice(number, code, advice, tmp_path):
    with pytest.raises(StoreError, match=advice) as caught, writing(tmp_path):
        raise OSError(number, "said by the system")
    assert caught.value.code == code
    assert "said by the system" in str(caught.value)


def test_who_removes_waits_for_those_who_add(tmp_path):
    with adding(tmp_path), adding(tmp_path), pytest.raises(HomeBusy), removing(tmp_path, seconds=0):
        pass
    with removing(tmp_path, seconds=0):
        pass


def test_half_written_files_are_removed_and_others_are_not(tmp_path):
    for name in (f"a.png.01{PARTIAL}", "a.png"):
        (tmp_path / name).touch()
    remove_partial_files(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_where_the_system_has_no_locks_all_of_it_works_without(tmp_path):
    code = """
import sys
sys.modules["fcntl"] = None
from nuthatch.tools.media.files import HAS_LOCKS, adding, removing
from nuthatch.tools.media.store import MediaStore
from nuthatch.agent.runs import list_runs, prune_runs
import numpy as np
assert not HAS_LOCKS
home = sys.argv[1]
item = MediaStore(home).add_image(np.zeros((9, 9, 3), np.uint8))
assert prune_runs(home) == list_runs(home) == []
assert item.path.is_file(), "nobody knows who is at work: what is young stays"
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def user_cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache" / name)
    for name in ("NUTHATCH_HOME", "NUTHATCH_CACHE", "NUTHATCH_WEIGHTS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache" / "nuthatch"


def test_a_home_that_is_named_holds_what_is_fetched(user_cache, tmp_path, monkeypatch):
    assert weights_home() == user_cache / "weights"
    assert cache_folder("atlas") == user_cache / "atlas"
    monkeypatch.setenv("NUTHATCH_HOME", str(tmp_path / "home"))
    assert weights_folder("sam-vit-b") == tmp_path / "home" / "weights" / "sam-vit-b"
    assert cache_folder("atlas") == tmp_path / "home" / "atlas"
    monkeypatch.setenv("NUTHATCH_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("NUTHATCH_CACHE", str(tmp_path / "mine"))
    assert weights_folder("sam-vit-b") == tmp_path / "weights" / "sam-vit-b"
    assert cache_folder("atlas") == tmp_path / "mine" / "atlas"


def test_what_was_fetched_before_is_found(user_cache, tmp_path, monkeypatch):
    for name in ("weights/sam-vit-b", "atlas"):
        (user_cache / name).mkdir(parents=True)
    monkeypatch.setenv("NUTHATCH_HOME", str(tmp_path / "home"))
    assert weights_folder("sam-vit-b") == user_cache / "weights" / "sam-vit-b"
    assert weights_folder("sam-vit-l") == tmp_path / "home" / "weights" / "sam-vit-l"
    assert cache_folder("atlas") == user_cache / "atlas"
