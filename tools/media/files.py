"""Files that are whole or not there, locks, and typed errors of full or read-only disks."""

import errno
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from nuthatch.messages import shown

try:
    import fcntl
except ImportError:  # a system without locks that end with the process
    HAS_LOCKS = False
else:
    HAS_LOCKS = True

PARTIAL = ".partial"
_LOCK = "lock"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class StoreError(ValueError):
    """A home that cannot be written to; `code` is `write_failed` or `home_not_writable`."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message, code)
        self.message = message
        self.code = code

    def __str__(self) -> str:
        return self.message


class HomeBusy(StoreError):
    """Another process holds what is asked for."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the system says against writing at `path` becomes a `StoreError` with advice."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            advice, code = "make room there, then resume the run or ask again", "write_failed"
        else:
            advice, code = "set NUTHATCH_HOME to a folder of yours", "home_not_writable"
        said = error.strerror or str(error)
        raise StoreError(f"cannot write {shown(path)}: {said}; {advice}", code) from error


def open_file(path: Path) -> BinaryIO:
    """An ordinary file, opened for reading; a pipe or a device in its place might never end.

    Raises:
        OSError: it cannot be opened, or is something else.
    """
    if not (path.is_file() or path.is_dir()) and path.exists():
        raise OSError(errno.EINVAL, "it is no ordinary file", str(path))
    return path.open("rb")


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which appears at `path` when all is written, and not at all otherwise.

    Only a killed process leaves a partial file behind, for `remove_partial_files`.

    Raises:
        StoreError: it cannot be written.
    """
    # Random from the system, since forked processes share all other state.
    partial = path.with_name(f"{path.name}.{secrets.token_hex(8)}{PARTIAL}")
    with writing(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("xb") as file:
                yield file
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


@contextmanager
def adding(home: Path) -> Iterator[None]:
    """Hold the lock of those who add files to a home: nobody removes any meanwhile.

    Raises:
        HomeBusy: another process is removing files for longer than a minute.
        StoreError: the home cannot be written to.
    """
    with writing(home):
        home.mkdir(parents=True, exist_ok=True)
        held = os.open(home / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if not try_to_lock(held, shared=True, seconds=60.0):
            raise HomeBusy(
                f"another process is removing files from {shown(home)}; try again", "run_busy"
            )
        yield
    finally:
        unlock(held)
        os.close(held)


@contextmanager
def removing(home: Path, seconds: float = 10.0) -> Iterator[None]:
    """Hold the lock of those who remove files from a home, alone.

    Raises:
        HomeBusy: others are adding files for longer than `seconds`.
        StoreError: the home cannot be written to.
    """
    with writing(home):
        held = os.open(home / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if not try_to_lock(held, seconds=seconds):
            raise HomeBusy(
                f"another process is adding files to {shown(home)}; try again", "run_busy"
            )
        yield
    finally:
        unlock(held)
        os.close(held)


def remove_partial_files(folder: Path) -> None:
    """Remove what killed processes left; for those who are `removing`."""
    for path in folder.glob(f"*{PARTIAL}"):
        if HAS_LOCKS or time.time() - path.stat().st_mtime > 3600:
            path.unlink(missing_ok=True)


def try_to_lock(file: int, *, shared: bool = False, seconds: float = 0.0) -> bool:
    """Hold an open file until it is closed, even by kill -9; False: another process holds it.

    Where there are no such locks, everyone gets them.
    """
    if not HAS_LOCKS:
        return True
    how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.01)
        except OSError:  # a file system without locks
            return True
        else:
            return True


def unlock(file: int) -> None:
    """Let others have a file, even while a forked process still has it open."""
    if HAS_LOCKS:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)


def cache_folder(name: str) -> Path:
    """Where something lives that was fetched, or can be computed anew: in NUTHATCH_CACHE, else in
    NUTHATCH_HOME, else in the user's cache; what is there from before NUTHATCH_HOME held it is
    used."""
    import platformdirs

    chosen, home = os.environ.get("NUTHATCH_CACHE"), os.environ.get("NUTHATCH_HOME")
    if chosen:
        return Path(chosen).expanduser() / name
    earlier = platformdirs.user_cache_path("nuthatch") / name
    if not home or (earlier.is_dir() and not (Path(home) / name).is_dir()):
        return earlier
    return Path(home).expanduser().absolute() / name
