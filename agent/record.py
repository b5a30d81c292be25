"""Reads journals: each line is validated, so that all damage is one kind of error."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from nuthatch.agent.answer import Answer, Timing
from nuthatch.agent.home import JOURNAL, READABLE, RUN_ID, JournalError, run_folder
from nuthatch.messages import shown
from nuthatch.tools.base.notices import Notice
from nuthatch.tools.base.tool import Provenance, Recorded, ToolCall, ToolResult
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.exact_json import cleaned, decode, restore
from nuthatch.tools.faults import Fault
from nuthatch.tools.media.files import open_file
from nuthatch.tools.media.store import Detection, Media

LONGEST_LINE = 64 * 2**20
_MOST_SETS = 100_000
_YEAR_10000 = 253_402_300_800
_FOUND = re.compile(r"detection_([1-9]\d{0,8})\.[1-9]\d{0,8}", re.ASCII)


# -- the lines ------------------------------------------------------------------------------------

CallId = Annotated[str, Field(pattern=r"^(call|check)_[1-9][0-9]{0,8}(\.[1-9][0-9]{0,8}){0,20}$")]
Handle = Annotated[str, Field(pattern=r"^(image|audio|video|mask)_[1-9][0-9]{0,8}$")]


class _Call(BaseModel):
    id: CallId
    tool: str
    arguments: Any  # a planner may have given what is no dict

    def call(self) -> ToolCall:
        return ToolCall(self.id, self.tool, self.arguments)


class _Result(BaseModel):
    call: _Call
    value: dict[str, Any] | None
    fault: Fault | None
    ms: float
    provenance: Provenance | None
    taint: tuple[str, ...]
    notices: tuple[Notice, ...] = ()

    @model_validator(mode="after")
    def _is_a_value_or_a_fault(self) -> Self:
        if self.value is None and self.fault is None:
            raise ValueError("a result needs a value or a fault")
        return self


class _Media(Media):
    handle: Handle
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    width: int | None = Field(default=None, ge=1, le=10**9)
    height: int | None = Field(default=None, ge=1, le=10**9)
    seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _is_of_its_kind(self) -> Self:
        if self.handle.partition("_")[0] != self.type:
            raise ValueError(f"'{self.handle}' is no handle of a medium of type {self.type}")
        if self.path.name.partition(".")[0] != self.sha256:
            raise ValueError(f"the file of '{self.handle}' is not named by its sha256")
        if self.type in ("image", "mask") and None in (self.width, self.height):
            raise ValueError(f"'{self.handle}' has no size")
        if self.type == "audio" and self.seconds is None:
            raise ValueError(f"'{self.handle}' has no length")
        return self


class _Line(BaseModel):
    at: float = Field(ge=0, lt=_YEAR_10000)


class _Run(_Line):
    event: Literal["run"]
    format: int
    question: str
    given: list[Handle]
    after: str | None
    media: list[_Media]

    @field_validator("after")
    @classmethod
    def _is_a_run_id(cls, after: str | None) -> str | None:
        if after is not None and not RUN_ID.fullmatch(after):
            raise ValueError("no run id")
        return after


class _Turn(_Line):
    event: Literal["turn"]
    calls: list[_Call] = Field(min_length=1)


class _Ended(_Line):
    event: Literal["result"]
    result: _Result
    media: list[_Media]


class _Draft(_Line):
    event: Literal["draft"]
    text: str


class _Answer(_Line):
    event: Literal["answer"]
    answer: dict[str, Any]


class _Problem(_Line):
    event: Literal["problem"]
    message: str


_Event = _Run | _Turn | _Ended | _Draft | _Answer | _Problem
_EVENT: TypeAdapter[_Event] = TypeAdapter(Annotated[_Event, Field(discriminator="event")])


# -- the record -----------------------------------------------------------------------------------


@dataclass(slots=True)
class Record:
    """A run as its journal records it."""

    run_id: str
    folder: Path
    at: datetime
    question: str
    given: list[str]  # handles of the media that came with the question
    after: str | None  # the run whose conversation is continued
    media: list[Media]  # of the conversation up to here
    turns: list[list[ToolCall]] = field(default_factory=list)
    results: dict[str, ToolResult] = field(default_factory=dict)  # by call, as they ended
    inner: dict[str, ToolResult] = field(default_factory=dict)  # in calls that have no result
    draft: str | None = None
    said: Answer | None = None  # without its calls and media
    problem: str | None = None  # the last one, if the run broke off

    @property
    def state(self) -> str:
        """`answered`, `stopped` (budget, a tool's bug), `broken` or `open`: resume the last two."""
        if self.said is not None:
            return "answered" if self.said.finished else "stopped"
        return "broken" if self.problem else "open"

    @property
    def answer(self) -> Answer:
        """What was answered; of a run that has not ended, what there is of it."""
        said = self.said or Answer(
            text="",
            draft=self.draft or "",
            finished=False,
            verified=False,
            reason=self.problem or f"not ended; continue it with Agent.resume('{self.run_id}')",
            verdicts=[],
            edits=[],
            calls=[],
            media=[],
            timing=Timing(),
            run_id=self.run_id,
            run_folder=self.folder,
        )
        asked = [call.id for turn in self.turns for call in turn]
        order = [*asked, *(call for call in self.results if call not in asked)]
        calls = [self.results[call] for call in order if call in self.results]
        return said.model_copy(update={"calls": calls, "media": self.media})


def read_run(run_id: str, tools: ToolSet, home: Path) -> Record:
    """Read a run back; a torn last line is left out. Values get the types of `tools`.

    Raises:
        JournalError: there is no such run, nothing is recorded yet, or a line is damaged.
    """
    folder = run_folder(home, run_id)
    path = folder / JOURNAL
    events = read_events(folder)
    if events[0].get("event") != "run" or events[0].get("format") not in READABLE:
        formats = " or ".join(map(str, READABLE))
        raise JournalError(f"{shown(path)} is no journal of format {formats}", "run_damaged")
    record: Record | None = None
    ended: dict[str, ToolResult] = {}
    for number, event in enumerate(events, start=1):
        try:
            line = _EVENT.validate_python(event)
            if isinstance(line, _Run) == (record is not None):
                raise ValueError("a journal begins with the one event 'run'")
            if isinstance(line, _Run):
                record = _begun(line, folder, home)
            else:
                assert record is not None
                exact = events[0]["format"] != 2
                _add(line, record, ended, tools, home, exact=exact)
        except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
            message = f"{shown(path)}, line {number} is damaged: {_said(error)}"
            raise JournalError(message, "run_damaged") from error
    assert record is not None
    _sort_in(record, ended)
    return record


def _begun(line: _Run, folder: Path, home: Path) -> Record:
    media = _located(line.media, [], home)
    if unknown := set(line.given) - {item.handle for item in media}:
        raise ValueError(f"there is no medium {', '.join(sorted(unknown))}")
    at = datetime.fromtimestamp(line.at, UTC)
    return Record(folder.name, folder, at, line.question, line.given, line.after, media)


def _add(
    line: _Event,
    record: Record,
    ended: dict[str, ToolResult],
    tools: ToolSet,
    home: Path,
    *,
    exact: bool,
) -> None:
    """One more line of a run."""
    match line:
        case _Turn(calls=calls):
            known = {call.id for turn in record.turns for call in turn}
            ids = [call.id for call in calls]
            if len({*ids} - known) < len(ids) or any("." in each for each in ids):
                raise ValueError(f"the calls {', '.join(ids)} are not new ones of the planner")
            record.turns.append([_exact_call(call, exact=exact) for call in calls])
        case _Ended(result=result, media=media):
            ended[result.call.id] = _result(result, tools, exact=exact)
            record.media += _located(media, record.media, home)
        case _Draft(text=text):
            record.draft = text
        case _Answer(answer=answer):
            missing = {"calls": [], "media": [], "run_id": record.run_id}
            record.said = Answer.model_validate({**answer, **missing, "run_folder": record.folder})
        case _Problem(message=message):
            record.problem = message


def _said(error: Exception) -> str:
    """The first fault, on one line."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error) or type(error).__name__


def _located(items: Sequence[Media], known: Sequence[Media], home: Path) -> list[Media]:
    """Media with their blobs under the present home: a moved home stays readable.

    Raises:
        ValueError: a handle is given twice, or a parent is not known before.
    """
    handles = {item.handle for item in known}
    located = []
    for item in items:
        origins = {*item.parents, *([] if item.video is None else [item.video])}
        if item.handle in handles or not origins <= handles:
            raise ValueError(f"'{item.handle}' is there twice, or before what it was made of")
        handles.add(item.handle)
        fields = dict(item) | {"path": home / "blobs" / item.path.name}
        located.append(Media.model_construct(**fields))
    return located


def _exact_call(call: _Call, *, exact: bool) -> ToolCall:
    return ToolCall(call.id, call.tool, decode(call.arguments) if exact else call.arguments)


def _result(written: _Result, tools: ToolSet, *, exact: bool) -> ToolResult:
    """One line's result, without its inner ones: they have lines of their own."""
    value, made = written.value, written.provenance
    if exact:
        value = None if value is None else decode(value)
        made = made and replace(made, parameters=decode(made.parameters))
    return ToolResult(
        call=_exact_call(written.call, exact=exact),
        value=None if value is None else _value(written.call.tool, value, tools),
        fault=written.fault,
        ms=written.ms,
        provenance=made,
        taint=written.taint,
        notices=written.notices,
    )


def _value(tool: str, fields: Any, tools: ToolSet) -> BaseModel:
    if tool in tools:
        try:
            typed: BaseModel = restore(fields, tools[tool].Result)
        except Exception:  # the tool has changed since; a user's validators may raise anything
            return Recorded.model_validate(fields)
        return typed
    return Recorded.model_validate(fields)


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
        JournalError: no journal, one that cannot be read, an empty one, or a line that is no JSON
            object.
    """
    path = folder / JOURNAL
    events: list[dict[str, Any]] = []
    try:
        with open_file(path) as file:
            while (line := file.readline(LONGEST_LINE)).endswith(b"\n"):  # else it is torn
                events.append(_event(line))
            if len(line) == LONGEST_LINE:
                raise ValueError(f"it has more than {LONGEST_LINE:,} bytes")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise JournalError(f"there is no run {folder.name} under {shown(folder.parent)}") from error
    except OSError as error:
        raise JournalError(
            f"{shown(path)} cannot be read: {error.strerror}", "run_unreadable"
        ) from error
    except (ValueError, RecursionError) as error:
        message = f"{shown(path)}, line {len(events) + 1} is damaged: {error}"
        raise JournalError(message, "run_damaged") from error
    if not events:
        message = f"run {folder.name} was stopped before anything was recorded"
        raise JournalError(message, "run_empty")
    return events


def _event(line: bytes) -> dict[str, Any]:
    event = cleaned(json.loads(line))
    if not isinstance(event, dict):
        raise ValueError(f"it holds {type(event).__name__}, expected an object")
    return event


def detections_by_set(results: Iterable[ToolResult]) -> dict[str, list[Detection]]:
    """What the media store called the detections of these results, inner calls included.

    Sets of failed calls are kept as empty ones, so that no name is given twice.

    Raises:
        JournalError: a detection has a name that no store gives.
    """
    found: dict[int, list[Detection]] = {}

    def collect(result: ToolResult) -> None:
        for item in result.detections:
            if item.handle:
                name = _FOUND.fullmatch(item.handle)
                if name is None or int(name[1]) > _MOST_SETS:
                    message = f"{result.call.id} found '{item.handle}': no name of a detection"
                    raise JournalError(message, "run_damaged")
                members = found.setdefault(int(name[1]), [])
                if item not in members:
                    members.append(item)
        for child in result.children:
            collect(child)

    for result in results:
        collect(result)
    return {f"detection_{n}": found.get(n, []) for n in range(1, max(found, default=0) + 1)}
