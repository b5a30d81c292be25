"""A run, written down as it happens: one JSON line per event, flushed at once, never rewritten.

    HOME/blobs/SHA256.png              media of all runs, once by content
    HOME/runs/RUN_ID/journal.jsonl     run, turn, result, draft, answer | problem

A step costs the bytes of its calls and results; media are named, not copied. A call made inside
another one has a line of its own (`call_2.1`), so that a kill loses none that ended. What a killed
run leaves behind, down to a torn last line, can be read back and gone on with. HOME is
NUTHATCH_HOME, or the user's data folder.
"""

import json
import os
import secrets
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

from nuthatch.agent.answer import Answer
from nuthatch.tools.base import Provenance, ToolCall, ToolResult
from nuthatch.tools.faults import Fault
from nuthatch.tools.media import Detection, Media
from nuthatch.tools.toolset import ToolSet

FORMAT = 2
JOURNAL = "journal.jsonl"


class JournalError(ValueError):
    """A run that cannot be read or written; `code` is for machines."""

    def __init__(self, message: str, code: str = "run_not_found") -> None:
        super().__init__(message)
        self.code = code


class Recorded(BaseModel):
    """A value whose tool is not here any more, or gives another type now."""

    model_config = ConfigDict(extra="allow")


def not_writable(home: Path, error: OSError) -> JournalError:
    """What to do about a home that nothing can be written to."""
    message = f"cannot write under {home}: {error}; set NUTHATCH_HOME to a folder of yours"
    return JournalError(message, "home_not_writable")


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


# -- writing --------------------------------------------------------------------------------------


class Journal:
    """The open journal of one run; one process at a time may write it.

    Raises (on construction):
        JournalError: another process is at this run, or its folder cannot be written.
    """

    def __init__(self, home: Path, run_id: str) -> None:
        self.run_id = run_id
        self.folder = home / "runs" / run_id
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file = (self.folder / JOURNAL).open("ab", buffering=0)
        except OSError as error:
            raise not_writable(home, error) from error
        try:
            _lock(self._file.fileno())
        except BlockingIOError as error:
            self._file.close()
            raise JournalError(f"another process is at run {run_id}", "run_busy") from error
        if self._file.tell():
            _drop_torn_line(self.folder / JOURNAL)

    def write(self, event: str, **fields: Any) -> None:
        """Append one event and hand it to the operating system."""
        record = {"event": event, "at": time.time(), **fields}
        try:
            line = to_json(record, fallback=repr, bytes_mode="base64")
        except PydanticSerializationError:  # text that is no Unicode, e.g. a lone surrogate
            plain = to_jsonable_python(record, fallback=repr, bytes_mode="base64")
            line = json.dumps(plain).encode("ascii")
        line += b"\n"
        try:
            # A disk that is nearly full takes a part.
            while (written := self._file.write(line)) < len(line):
                line = line[written:]
        except OSError as error:
            message = f"run {self.run_id} cannot be written on: {error}; make room, then resume it"
            raise JournalError(message, "write_failed") from error

    def close(self) -> None:
        self._file.close()


def _lock(file: int) -> None:
    """Hold the file until it is closed, even by kill -9; where the system has no such lock, not."""
    try:
        import fcntl
    except ImportError:
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_at_work(folder: Path) -> bool:
    """Somebody holds its journal open for writing."""
    try:
        with (folder / JOURNAL).open("rb") as file:
            _lock(file.fileno())
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _drop_torn_line(path: Path) -> None:
    """Cut off what a killed writer left unfinished, so that the next event starts a line."""
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)


# -- reading --------------------------------------------------------------------------------------


@dataclass(slots=True)
class Record:
    """All that a journal says of its run."""

    run_id: str
    folder: Path
    at: datetime
    question: str
    given: list[str]  # handles of the media that came with the question
    after: str | None  # the run whose talk goes on
    media: list[Media]  # of the talk up to here
    turns: list[list[ToolCall]] = field(default_factory=list)
    results: dict[str, ToolResult] = field(default_factory=dict)  # by call, as they ended
    inner: dict[str, ToolResult] = field(default_factory=dict)  # in calls that have no result
    draft: str | None = None
    answer: dict[str, Any] | None = None
    problem: str | None = None  # the last one, if the run broke off

    @property
    def state(self) -> str:
        """`answered`, `stopped` (budget, a tool's bug), `broken` or `open`: resume the last two."""
        if self.answer is not None:
            return "answered" if self.answer["finished"] else "stopped"
        return "broken" if self.problem else "open"


def read_run(run_id: str, tools: ToolSet, home: Path) -> Record:
    """Read a run back; a torn last line is left out. Values get the types of `tools`.

    Raises:
        JournalError: there is no such run, nothing was recorded yet, or a line is damaged.
    """
    folder = home / "runs" / run_id
    if Path(run_id).name != run_id:
        raise JournalError(f"'{run_id}' is no run id; they look like {new_run_id()}")
    events = read_events(folder)
    first = events[0]
    if first.get("event") != "run" or first.get("format") != FORMAT:
        raise JournalError(f"{folder / JOURNAL} is no journal of format {FORMAT}", "run_damaged")
    record = Record(
        run_id=run_id,
        folder=folder,
        at=datetime.fromtimestamp(first["at"], UTC),
        question=first["question"],
        given=first["given"],
        after=first["after"],
        media=[_media(item, home) for item in first["media"]],
    )
    ended: dict[str, ToolResult] = {}
    for event in events[1:]:
        match event["event"]:
            case "turn":
                record.turns.append([ToolCall(**call) for call in event["calls"]])
            case "result":
                result = _result(event["result"], tools)
                ended[result.call.id] = result
                record.media += [_media(item, home) for item in event["media"]]
            case "draft":
                record.draft = event["text"]
            case "answer":
                record.answer = event["answer"]
            case "problem":
                record.problem = event["message"]
    _sort_in(record, ended)
    return record


def _sort_in(record: Record, ended: dict[str, ToolResult]) -> None:
    """Put inner results into those of their outer calls; they were written before them."""
    inside: dict[str, list[ToolResult]] = {}
    for call_id, result in ended.items():
        whole = replace(result, children=tuple(inside.pop(call_id, ())))
        outer, inner, _ = call_id.rpartition(".")
        if inner:
            inside.setdefault(outer, []).append(whole)
        else:
            record.results[call_id] = whole
    record.inner = {each.call.id: each for group in inside.values() for each in group}


def read_events(folder: Path) -> list[dict[str, Any]]:
    """The lines of a journal as they are, without a torn last one.

    Raises:
        JournalError: no journal, an empty one, or a damaged line in the middle.
    """
    path = folder / JOURNAL
    if not path.is_file():
        raise JournalError(f"there is no run {folder.name} under {folder.parent}")
    lines = path.read_bytes().split(b"\n")[:-1]  # what follows the last line end is torn
    events = []
    for number, line in enumerate(lines, start=1):
        try:
            events.append(json.loads(line))
        except ValueError as error:
            message = f"{path}, line {number} is damaged: {error}"
            raise JournalError(message, "run_damaged") from error
    if not events:
        raise JournalError(f"run {folder.name} was stopped before anything was recorded")
    return events


def detections_by_set(results: Iterable[ToolResult]) -> dict[str, list[Detection]]:
    """What the media store called the detections of these results, inner calls included.

    Sets that came to nothing are kept as empty ones, so that no name is given twice.
    """
    found: dict[int, list[Detection]] = {}

    def collect(result: ToolResult) -> None:
        for item in getattr(result.value, "detections", ()):
            if isinstance(item, Detection) and item.handle:
                number = int(item.handle.split(".")[0].removeprefix("detection_"))
                members = found.setdefault(number, [])
                if item not in members:
                    members.append(item)
        for child in result.children:
            collect(child)

    for result in results:
        collect(result)
    return {f"detection_{n}": found.get(n, []) for n in range(1, max(found, default=0) + 1)}


def _media(record: dict[str, Any], home: Path) -> Media:
    """Blobs are looked for under the present home: a moved home stays readable."""
    media = Media.model_validate(record)
    return media.model_copy(update={"path": home / "blobs" / media.path.name})


def _result(record: dict[str, Any], tools: ToolSet) -> ToolResult:
    """One line's result, without its inner ones: they have lines of their own."""
    call = ToolCall(**record["call"])
    value = record["value"]
    return ToolResult(
        call=call,
        value=None if value is None else _value(call.tool, value, tools),
        fault=Fault(**record["fault"]) if record["fault"] else None,
        ms=record["ms"],
        provenance=Provenance(**record["provenance"]) if record["provenance"] else None,
        taint=tuple(record["taint"]),
    )


def _value(tool: str, value: Any, tools: ToolSet) -> BaseModel:
    if tool in tools:
        try:
            typed: BaseModel = tools[tool].Result.model_validate(value)
        except ValidationError:
            return Recorded.model_validate(value)  # the tool has changed since
        return typed
    return Recorded.model_validate(value)


# -- the runs of a home ---------------------------------------------------------------------------


class RunLine(TypedDict):
    """One run in a list of runs."""

    run_id: str
    at: str  # ISO 8601, UTC
    question: str
    state: str  # see `Record.state`; `unreadable` if nothing can be read of it
    finished: bool
    answer: str


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
    record = read_run(run_id, tools, home_folder(home))
    said = record.answer or {
        "text": "",
        "draft": record.draft or "",
        "finished": False,
        "verified": False,
        "reason": record.problem or f"not ended; go on with Agent.resume('{run_id}')",
        "verdicts": [],
        "edits": [],
        "timing": {},
    }
    asked = [call.id for turn in record.turns for call in turn]
    order = [*asked, *(call for call in record.results if call not in asked)]
    return Answer(
        **said,
        calls=[record.results[call] for call in order if call in record.results],
        media=record.media,
        run_id=run_id,
        run_folder=record.folder,
    )


def list_runs(home: str | Path | None = None) -> list[RunLine]:
    """All runs, newest first."""
    root = home_folder(home)
    lines = []
    for folder in sorted((root / "runs").glob("*/"), reverse=True):
        at, question, state, text = "", "", "unreadable", ""
        try:
            record = read_run(folder.name, ToolSet([]), root)
        except JournalError as error:
            text = str(error)
        else:
            at, question, state = record.at.isoformat(), record.question, record.state
            if record.answer is not None:
                text = record.answer["text"] or record.answer["reason"] or ""
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


def prune_runs(home: str | Path | None = None, *, keep: int = 20) -> list[str]:
    """Remove all but the newest `keep` runs, and media that no run names any more.

    Runs whose talk goes on in a kept one are kept too, and runs at work. Blobs younger than an
    hour are left alone: a run that is just starting may name them; so are all of them while a
    kept run cannot be read.
    """
    if keep < 0:
        raise ValueError(f"keep={keep}: expected 0 or more runs to keep")
    root = home_folder(home)
    folders = sorted((root / "runs").glob("*/"), reverse=True)
    kept: set[str] = set()
    named: set[str] = set()
    whole = True
    for folder in (*folders[:keep], *filter(_is_at_work, folders[keep:])):
        run_id: str | None = folder.name
        while run_id is not None and run_id not in kept:
            kept.add(run_id)
            try:
                record = read_run(run_id, ToolSet([]), root)
            except JournalError:
                whole = False  # kept, and nobody knows which media it names
                break
            named.update(media.path.name for media in record.media)
            run_id = record.after
    gone = [folder for folder in folders if folder.name not in kept]
    for folder in gone:
        shutil.rmtree(folder)
    for blob in (root / "blobs").glob("*") if whole else ():
        if blob.name not in named and time.time() - blob.stat().st_mtime > 3600:
            blob.unlink()
    return [folder.name for folder in gone]
