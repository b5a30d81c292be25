"""How a tool fails: three kinds, as types.

- `RetryCall`: "you called me wrong, here is how"; goes back to the planner, a bounded number of
  times.
- `ToolUnavailable`: the tool cannot work here (no weights, no dependency, no memory); final for
  the run.
- `ToolFailed`: the call was right and came to nothing (timeout, cancelled, refused); the planner
  is told and goes on.

Any other exception is a bug of the tool (code `internal`): the planner is told what was raised and
may go on without the tool, the traceback is recorded, the siblings of the call are kept. Finding
nothing is a result, not a failure.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from nuthatch.extras import advice
from nuthatch.messages import as_unicode

ErrorCode = Literal[
    "invalid_arguments",
    "unknown_tool",
    "asset_not_found",
    "unsupported_media",
    "limit_exceeded",
    "weights_missing",
    "dependency_missing",
    "out_of_memory",
    "timeout",
    "cancelled",
    "refused",
    "internal",
]
RETRYABLE: frozenset[str] = frozenset(
    {"invalid_arguments", "unknown_tool", "asset_not_found", "unsupported_media", "limit_exceeded"}
)
FINAL: frozenset[str] = frozenset({"weights_missing", "dependency_missing", "out_of_memory"})


class ToolFault(Exception):
    """Base of the three kinds; `code` is an `ErrorCode`, `message` is for the planner."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class RetryCall(ToolFault):
    """The call was wrong; the message says how to call."""

    def __init__(self, message: str, code: str = "invalid_arguments") -> None:
        super().__init__(message, code)


class ToolUnavailable(ToolFault):
    """The tool cannot work in this installation; final for this run."""

    def __init__(self, message: str, code: str = "weights_missing") -> None:
        super().__init__(message, code)


class ToolFailed(ToolFault):
    """The call was right and came to nothing."""

    def __init__(self, message: str, code: str = "refused") -> None:
        super().__init__(message, code)


def clipped(text: str, most: int) -> str:
    """The text, or its beginning and a mark."""
    return text if len(text) <= most else f"{text[:most]} [...]"


def described(error: BaseException) -> str:
    """Type and message of any exception, on at most 400 characters, even if it cannot say its own.

    Of a group the first three members are told.
    """
    try:
        text = str(error)
    except BaseException as why:  # a user's class may raise anything
        text = f"its message cannot be read: {type(why).__name__}"
    said = clipped(f"{type(error).__name__}: {text}" if text else type(error).__name__, 300)
    if isinstance(error, BaseExceptionGroup):
        members = "; ".join(described(each) for each in error.exceptions[:3])
        said = clipped(f"{said}: {members}", 400)
    return said


def fault_of(code: str, message: str) -> ToolFault:
    """The kind of failure that belongs to an error code."""
    if code in RETRYABLE:
        return RetryCall(message, code)
    return ToolUnavailable(message, code) if code in FINAL else ToolFailed(message, code)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a call came to nothing; `detail` is for logs only."""

    code: str
    message: str
    detail: str = ""

    def __post_init__(self) -> None:
        for name in ("message", "detail"):  # an exception may quote what is no Unicode
            object.__setattr__(self, name, as_unicode(getattr(self, name)))

    @property
    def is_bug(self) -> bool:
        return self.code == "internal"

    @property
    def is_retryable(self) -> bool:
        """Calling again in another way may help."""
        return self.code in RETRYABLE

    @property
    def is_final(self) -> bool:
        """The tool cannot work in this run."""
        return self.code in FINAL


def raised(fault: Fault) -> ToolFault:
    """The exception that a fault is; the log of a bug is its note and so is printed with it."""
    error = fault_of(fault.code, fault.message)
    if fault.detail:
        error.add_note(fault.detail)
    return error


@contextmanager
def needed_for(what: str, extra: str | None = None) -> Iterator[None]:
    """Imports of modules that come with an extra.

    Raises:
        ToolUnavailable: one is missing; it says what to install.
    """
    try:
        yield
    except ImportError as error:
        message = advice(what, error, extra)
        if message is None:
            raise
        raise ToolUnavailable(message, "dependency_missing") from error
