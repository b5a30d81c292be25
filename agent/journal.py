"""The journal of a run: one JSON line per event, flushed at once, never rewritten.

A step costs the bytes of its calls and results; media are named, not copied. A call made inside
another one has a line of its own (`call_2.1`), so that a kill loses none that ended. What a killed
run leaves behind, down to a torn last line, can be read back (`record`) and resumed.
"""

import json
import shutil
import time
from contextlib import suppress
from dataclasses import replace
from io import FileIO
from pathlib import Path
from typing import Any, Self

from pydantic_core import to_jsonable_python

from nuthatch.agent.home import (
    FORMAT,
    JOURNAL,
    JournalError,
    as_journal_errors,
    home_folder,
    new_run_id,
    run_folder,
)
from nuthatch.agent.record import (
    LONGEST_LINE,
    Record,
    detections_by_set,
    read_events,
    read_run,
)
from nuthatch.agent.runs import RunLine, delete_run, list_runs, load_run, prune_runs
from nuthatch.tools.base.tool import Recorded, ToolCall, ToolResult
from nuthatch.tools.exact_json import encode
from nuthatch.tools.media.files import try_to_lock, unlock, writing

__all__ = [
    "FORMAT",
    "JOURNAL",
    "Journal",
    "JournalError",
    "Record",
    "Recorded",
    "RunLine",
    "delete_run",
    "detections_by_set",
    "home_folder",
    "list_runs",
    "load_run",
    "new_run_id",
    "prune_runs",
    "read_events",
    "read_run",
]


class Journal:
    """The open journal of one run; one process at a time may write it. `Journal.open` opens it."""

    def __init__(self, folder: Path, file: FileIO, size: int) -> None:
        self.run_id = folder.name
        self.folder = folder
        self._file = file
        self._bytes = size  # of whole lines
        self._error: JournalError | None = None

    @classmethod
    def open(cls, home: Path, run_id: str, *, create: bool = True) -> Self:
        """Open the journal of a run for writing, and lock it.

        Args:
            create: begin a run; False: resume one that is there.

        Raises:
            JournalError: another process is at this run, it is not there, or its folder cannot be
                written.
        """
        folder = run_folder(home, run_id)
        path = folder / JOURNAL
        with as_journal_errors(), writing(folder):
            if create:
                folder.mkdir(parents=True, exist_ok=True)
            file = FileIO(path, "ab" if create else "rb+")
        try:
            if not try_to_lock(file.fileno(), seconds=0.2):  # a look at it takes a moment
                raise JournalError(f"another process is at run {run_id}", "run_busy")
            with as_journal_errors(), writing(path):
                size = path.read_bytes().rfind(b"\n") + 1
                file.truncate(size)  # what a killed writer left unfinished
                file.seek(size)
        except JournalError:
            file.close()
            raise
        return cls(folder, file, size)

    def write(self, event: str, **fields: Any) -> None:
        """Append one event and hand it to the operating system.

        After an error nothing more is written: what follows it would be without its beginning.

        Raises:
            JournalError: it cannot be written, such as on a full disk.
        """
        if self._error is not None:
            raise self._error
        record = {"event": event, "at": time.time(), **fields}
        line = json.dumps(_jsonable(record), allow_nan=False).encode("ascii") + b"\n"
        try:
            if len(line) > LONGEST_LINE:
                message = f"an event of {len(line):,} bytes; at most {LONGEST_LINE:,} are kept"
                raise JournalError(f"run {self.run_id}: {message}", "write_failed")
            self._append(line)
        except JournalError as error:
            self._error = error
            raise

    def close(self) -> None:
        """Unlock and close it."""
        if not self._file.closed:
            unlock(self._file.fileno())
            self._file.close()

    def discard(self) -> None:
        """Close and remove a run that has no record yet."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.close()

    def _append(self, line: bytes) -> None:
        rest = line
        try:
            while rest:  # a disk that is nearly full takes a part
                rest = rest[self._file.write(rest) :]
        except (OSError, ValueError) as error:  # a ValueError: it is closed
            with suppress(OSError, ValueError):
                self._file.truncate(self._bytes)
            message = f"run {self.run_id} cannot be written on: {error}; make room, then resume it"
            raise JournalError(message, "write_failed") from error
        self._bytes += len(line)


def _jsonable(value: Any) -> Any:
    """An event in JSON's types; results and arguments so that they come back as they were."""
    if value is None or type(value) in (str, bool, int):
        return value
    if isinstance(value, ToolCall):
        return {
            "id": value.id,
            "tool": value.tool,
            "arguments": encode(value.arguments, fallback=repr),
        }
    if isinstance(value, ToolResult):
        made = value.provenance
        return {
            "call": _jsonable(value.call),
            "value": None if value.value is None else encode(value.value),
            "fault": _jsonable(value.fault),
            "ms": value.ms,
            "provenance": made
            and {
                **_jsonable(replace(made, parameters={})),
                "parameters": encode(made.parameters, fallback=repr),
            },
            "taint": value.taint,
            "notices": _jsonable([notice.model_dump() for notice in value.notices]),
        }
    if isinstance(value, list):
        return [_jsonable(part) for part in value]
    if type(value) is dict:
        return {name: _jsonable(part) for name, part in value.items()}
    return to_jsonable_python(value, fallback=repr, inf_nan_mode="strings", bytes_mode="base64")
