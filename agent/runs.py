"""Lists, loads, deletes and prunes the runs of a home. One that is damaged hides no other."""

import json
import math
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict

from nuthatch.agent.answer import Answer
from nuthatch.agent.home import (
    JOURNAL,
    RUN_ID,
    JournalError,
    as_journal_errors,
    home_folder,
    is_at_work,
    run_folder,
    run_folders,
)
from nuthatch.agent.record import LONGEST_LINE, read_run
from nuthatch.messages import shown
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.media.blobs import Blobs, named_in
from nuthatch.tools.media.files import (
    HAS_LOCKS,
    open_file,
    remove_partial_files,
    removing,
    try_to_lock,
    unlock,
    writing,
)

GRACE = 3600.0  # seconds that `prune_runs` leaves a blob alone: others than runs may be using it


class RunLine(TypedDict):
    """One run in a list of runs."""

    run_id: str
    at: str  # ISO 8601, UTC
    question: str
    state: str  # see `Record.state`; `unreadable` if nothing can be read of it
    finished: bool
    answer: str  # of an unreadable run the reason


def load_run(
    run_id: str, home: str | Path | None = None, *, tools: ToolSet | None = None
) -> Answer:
    """The answer of a run, rebuilt from its journal with no model.

    `tools` give the results their types; by default those of the package.

    Raises:
        JournalError: there is no such run, or its journal is damaged.
    """
    if tools is None:
        from nuthatch.tools.catalogue import default_tools

        tools = default_tools()
    return read_run(run_id, tools, home_folder(home)).answer


def list_runs(home: str | Path | None = None) -> list[RunLine]:
    """All runs, newest first; those that cannot be read with the reason.

    Raises:
        JournalError: the folder of the runs cannot be listed.
    """
    root = home_folder(home)
    lines = []
    for folder in run_folders(root):
        at, question, state, text = "", "", "unreadable", ""
        try:
            record = read_run(folder.name, ToolSet([]), root)
        except JournalError as error:
            text = str(error)
        else:
            at, question, state = record.at.isoformat(), record.question, record.state
            if record.said is not None:
                text = record.said.text or record.said.reason or ""
        lines.append(
            RunLine(
                run_id=folder.name,
                at=at,
                question=question,
                state=state,
                finished=state == "answered",
                answer=text,
            )
        )
    return lines


def delete_run(run_id: str, home: str | Path | None = None) -> int:
    """Remove a run and the blobs that no other run names; gives how many blobs went.

    What another run names stays, also where that run continues the conversation of this one. A run
    that does so can be shown and resumed; only what came before it is lost.

    Raises:
        JournalError: there is no such run, a process is at it, or it cannot be removed.
    """
    root = home_folder(home)
    folder = run_folder(root, run_id)
    if not os.path.isdir(folder):  # neither if the name is too long for any file
        raise JournalError(f"there is no run {run_id} under {shown(folder.parent)}")
    with as_journal_errors(), removing(root):
        named = _named(folder) or set()
        with _alone_at(folder):
            _remove(folder)
        return _remove_blobs(root, named, math.inf)


def prune_runs(home: str | Path | None = None, *, keep: int = 20) -> list[str]:
    """Remove all but the newest `keep` runs, and blobs that no run names any more; gives the ids.

    Runs whose conversation continues in a kept one are kept too, and runs at work. Blobs younger
    than an hour are left alone, and all of them while a kept run cannot be opened.

    Raises:
        JournalError: something cannot be removed.
    """
    if keep < 0:
        raise ValueError(f"keep={keep}: expected 0 or more runs to keep")
    root = home_folder(home)
    if not os.path.isdir(root):
        return []
    removed = []
    with as_journal_errors(), removing(root):
        folders = run_folders(root)
        kept: set[str] = set()
        for folder in (*folders[:keep], *filter(is_at_work, folders[keep:])):
            run_id: str | None = folder.name
            while run_id and run_id not in kept:
                kept.add(run_id)
                run_id = _after(root / "runs" / run_id)
        for folder in folders:
            if folder.name in kept:
                with writing(folder):
                    remove_partial_files(folder)
            elif not is_at_work(folder):
                _remove(folder)
                removed.append(folder.name)
        blobs = Blobs(root)
        with writing(blobs.folder):
            remove_partial_files(blobs.folder)
        _remove_blobs(root, blobs.names(), time.time() - GRACE)
    return removed


# -- inside ---------------------------------------------------------------------------------------


def _remove_blobs(root: Path, names: set[str], newer: float) -> int:
    """Remove of these blobs those that no run names, and that were stored before `newer` and before
    any run at work began, since that one may be about to name them."""
    left = set(names)
    for folder in run_folders(root):
        named = _named(folder)
        if named is None:
            return 0
        left -= named
        if is_at_work(folder):
            newer = min(newer, _began(folder))
    if not HAS_LOCKS:  # nobody knows who is at work
        newer = min(newer, time.time() - GRACE)
    return Blobs(root).remove(left, newer)


def _named(folder: Path) -> set[str] | None:
    """The blobs that a run names, however damaged it is; None: its journal cannot be opened."""
    try:
        with open_file(folder / JOURNAL) as file:
            return named_in(file.read())
    except (FileNotFoundError, IsADirectoryError):
        return set()
    except OSError:
        return None


def _first(folder: Path) -> dict[str, Any]:
    """The first line of a journal; empty where it cannot be read."""
    try:
        with open_file(folder / JOURNAL) as file:
            first = json.loads(file.readline(LONGEST_LINE))
    except (OSError, ValueError, RecursionError):
        return {}
    return first if isinstance(first, dict) else {}


def _after(folder: Path) -> str | None:
    """The run whose conversation this one continues."""
    after = _first(folder).get("after")
    return after if isinstance(after, str) and RUN_ID.fullmatch(after) else None


def _began(folder: Path) -> float:
    """Seconds since 1970; 0 where nobody knows."""
    at = _first(folder).get("at")
    return at - 1.0 if isinstance(at, float) else 0.0


def _remove(folder: Path) -> None:
    with writing(folder):
        if folder.is_symlink():
            folder.unlink()
        else:
            shutil.rmtree(folder)


@contextmanager
def _alone_at(folder: Path) -> Iterator[None]:
    """Lock the journal of a run, so that no other process resumes it.

    Raises:
        JournalError: another process is at it.
    """
    try:
        file = open_file(folder / JOURNAL)
    except OSError:  # there is none
        yield
        return
    with file:
        try:
            if not try_to_lock(file.fileno()):
                message = f"a process is at run {folder.name}; wait for its end, or end it"
                raise JournalError(message, "run_busy")
            yield
        finally:
            unlock(file.fileno())
