"""The home folder of runs: paths, run ids, locks, and the error of everything that can fail there.

    HOME/blobs/SHA256.SUFFIX           media of all runs, once by content
    HOME/runs/RUN_ID/journal.jsonl     run, turn, result, draft, answer | problem
    HOME/weights/NAME                  released weights that were fetched
    HOME/lock                          held while files are added or removed

HOME is NUTHATCH_HOME, or the user's data folder.
"""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from nuthatch.messages import shown
from nuthatch.tools.media.files import StoreError, open_file, try_to_lock, unlock

FORMAT = 3
READABLE = (2, 3)
"""Formats of journals that can be read; 2 had results in plain JSON."""
JOURNAL = "journal.jsonl"
RUN_ID = re.compile(r"(?!\.)[\w.-]{1,120}", re.ASCII)


class JournalError(ValueError):
    """A run that cannot be read or written; `code` is for machines."""

    def __init__(self, message: str, code: str = "run_not_found") -> None:
        super().__init__(message)
        self.code = code


@contextmanager
def as_journal_errors() -> Iterator[None]:
    """What is wrong with writing to a home, as a `JournalError`."""
    try:
        yield
    except StoreError as error:
        raise JournalError(error.message, error.code) from error


def home_folder(home: str | Path | None = None) -> Path:
    """Where runs live: as given, else NUTHATCH_HOME, else the user's data folder."""
    if home is None:
        home = os.environ.get("NUTHATCH_HOME")
    if not home:
        import platformdirs

        home = platformdirs.user_data_path("nuthatch")
    return Path(home).expanduser().absolute()


def new_run_id() -> str:
    """Sorts by time (UTC, microseconds); random at the end: `20260131-235959123456-4f2a9c`."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S%f}-{secrets.token_hex(3)}"


def run_folder(home: Path, run_id: str) -> Path:
    """The folder of a run, which may not be there.

    Raises:
        JournalError: this is no id of a run.
    """
    if not isinstance(run_id, str) or not RUN_ID.fullmatch(run_id):
        raise JournalError(f"{run_id!r:.80} is no run id; they look like {new_run_id()}")
    return home / "runs" / run_id


def run_folders(home: Path) -> list[Path]:
    """The folders of all runs, newest first.

    Raises:
        JournalError: they cannot be listed.
    """
    try:
        with os.scandir(home / "runs") as entries:
            names = [entry.name for entry in entries if os.path.isdir(entry)]
    except FileNotFoundError:
        return []
    except OSError as error:
        message = f"the runs under {shown(home)} cannot be listed: {error.strerror}"
        raise JournalError(message, "run_unreadable") from error
    return [home / "runs" / name for name in sorted(names, reverse=True)]


def is_at_work(folder: Path) -> bool:
    """Somebody holds its journal open for writing."""
    try:
        file = open_file(folder / JOURNAL)
    except OSError:
        return False
    with file:
        try:
            return not try_to_lock(file.fileno())
        finally:
            unlock(file.fileno())
