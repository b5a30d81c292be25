"""What a tool is: typed arguments in, a typed result or a typed fault out.

A tool is a class with a name, a pydantic `Args`, a pydantic `Result`, its effects, a timeout and
`run(args, context)`. It declares each thing once: the annotations are the schema and the check.
How a tool says that it cannot answer: `faults`.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, SerializeAsAny

from nuthatch.tools.base.arguments import check_arguments
from nuthatch.tools.base.notices import Notice
from nuthatch.tools.exact_json import plain
from nuthatch.tools.faults import Fault, ToolFailed, ToolFault, raised
from nuthatch.tools.media.geometry import Mask
from nuthatch.tools.media.ingest import ImageSource
from nuthatch.tools.media.store import Detection, Media, MediaStore
from nuthatch.tools.weights.store import Weights


def _handle(kind: str, example: str) -> Any:
    """A string that names a live medium; the schema carries the kind so that a turn's grammar can
    list the handles that exist."""
    return Field(
        description=f"handle of a {kind}, e.g. {example}", json_schema_extra={"x-media": kind}
    )


ImageRef = Annotated[str, _handle("image", "image_1")]
AudioRef = Annotated[str, _handle("audio", "audio_1")]
MaskRef = Annotated[str, _handle("mask", "mask_1")]
DetectionRef = Annotated[str, _handle("detection", "detection_1.2")]

# Quoted: a planner may be held to what stands in the user's own turns, words or numbers; text that
# tools read never counts.
QUOTED: Any = Field(json_schema_extra={"x-quoted": "user"})
Quoted = Annotated[str, QUOTED]
_BLANK = r"\x00-\x20\x7f-\xa0\u1680\u2000-\u206f\u3000"  # white space and control characters
_SHORT = {"maxLength": 48, "pattern": rf"^[^.{_BLANK}]+( [^.{_BLANK}]+){{0,7}}$"}
Label = Annotated[Quoted, Field(json_schema_extra=_SHORT)]  # a short noun phrase


# A result's field that people and programs read; a planner is not told of it.
FOR_PEOPLE: Any = Field(json_schema_extra={"x-reader": "people"})


class Recorded(BaseModel):
    """A result whose type is not known here: its tool is gone or has changed, or it was JSON."""

    model_config = ConfigDict(extra="allow")


def _result(value: Any) -> Any:
    return Recorded.model_validate(value) if isinstance(value, dict) else value


# Of any type, and in JSON as everyone reads it.
_PLAIN: Any = PlainSerializer(plain, when_used="json")
Values = Annotated[dict[str, Any], _PLAIN]


class Arguments(BaseModel):
    """Base of every tool's `Args`: a name it does not know is an error, never ignored. Of a field
    with an alias both names are known."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def exactly_one_of(*names: str) -> ConfigDict:
    """A `model_config` whose schema says that one of these arguments is given, and no other."""
    return ConfigDict(json_schema_extra={"oneOf": [{"required": [name]} for name in names]})


class DetectionSet(BaseModel):
    """Base of results that hold new detections: the executor gives each one its handle."""

    detections: list[Detection]  # best first


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A request to run a tool; `arguments` are as the planner wrote them, not yet checked."""

    id: str
    tool: str
    arguments: Values


@dataclass(frozen=True, slots=True)
class Provenance:
    """All that is needed to say what made a result."""

    version: str
    models: dict[str, str]  # weights name -> sha256 of the file
    parameters: Values  # after defaults
    inputs: dict[str, str]  # handle -> sha256
    parent: str | None = None  # the call inside which this one was made
    cached: bool = False  # the result of an earlier call with the same inputs


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What became of a call: a value or a fault, who made it, at what cost."""

    call: ToolCall
    value: Annotated[SerializeAsAny[BaseModel] | None, BeforeValidator(_result), _PLAIN]
    fault: Fault | None
    ms: float
    provenance: Provenance | None = None
    taint: tuple[str, ...] = ()  # fields of the value that hold text read from media
    children: tuple[ToolResult, ...] = ()  # calls made inside this one, in order
    notices: tuple[Notice, ...] = ()  # what must be known of it, and of calls made inside

    @property
    def ok(self) -> bool:
        return self.fault is None

    @property
    def detections(self) -> list[Detection]:
        """The new detections that the value holds, also of a tool that is not known here."""
        found = dict(self.value or ()).get("detections")
        found = found if isinstance(found, list | tuple) else ()
        return [each for each in found if isinstance(each, Detection)]


class Executor(Protocol):
    """What runs a call inside a call: see `tools.execution.executor.ToolExecutor`."""

    def execute(self, call: ToolCall, *, parent: Context | None = None) -> ToolResult: ...


@dataclass(slots=True)
class Context:
    """What a running tool may use: media, weights, and other tools.

    A call that was given up (timeout, cancelled) can no longer add media: late results of a
    worker that nobody waits for leave no trace.
    """

    call_id: str
    media: MediaStore
    weights: Weights
    executor: Executor
    parent: Context | None = None  # of the call inside which this one was made
    children: list[ToolResult] = field(default_factory=list)
    group: str = ""  # the set its detections will be named after, e.g. detection_2
    given_up: bool = False

    @property
    def bench(self) -> Executor:
        """The name of `executor` in the previous release."""
        warnings.warn("Context.bench is deprecated: use executor", DeprecationWarning, stacklevel=2)
        return self.executor

    @property
    def cancelled(self) -> bool:
        """Nobody waits for this call, or for the one it was made in, any more."""
        return self.given_up or (self.parent is not None and self.parent.cancelled)

    def call(self, tool: str, **arguments: Any) -> Any:
        """Run another tool inside this call; returns its `Result`, raises its fault.

        The inner call is recorded under the outer one's id, e.g. `call_2.1`.
        """
        self.check()
        call = ToolCall(f"{self.call_id}.{len(self.children) + 1}", tool, arguments)
        result = self.executor.execute(call, parent=self)
        self.children.append(result)
        if result.fault is None:
            return result.value
        raise raised(result.fault)

    def add_image(
        self,
        source: ImageSource,
        *,
        parents: tuple[str, ...],
        texts: Mapping[str, str] = MappingProxyType({}),
    ) -> Media:
        """Keep a picture this call made, with these texts in its PNG."""
        self.check()
        return self.media.add_image(source, made_by=self.call_id, parents=parents, texts=texts)

    def add_mask(self, mask: Mask, *, parents: tuple[str, ...]) -> Media:
        """Keep a mask this call made."""
        self.check()
        return self.media.add_mask(mask, made_by=self.call_id, parents=parents)

    def check(self) -> None:
        """Stop here if nobody waits any more; call it between the parts of long work.

        Raises:
            ToolFailed: the call was given up.
        """
        if self.cancelled:
            raise ToolFailed("the call was given up", "cancelled")


def in_package(tool: type) -> bool:
    """Whether a class of tools is one of the package's own: tests hold their schemas to a grammar,
    so that nobody pays for it at each start."""
    return tool.__module__.startswith("nuthatch.")


ArgsT = TypeVar("ArgsT", bound=BaseModel)
ResultT = TypeVar("ResultT", bound=BaseModel)


class Tool(ABC, Generic[ArgsT, ResultT]):
    """Base of all tools. The first paragraph of a subclass's docstring is what planners read."""

    name: ClassVar[str]
    version: ClassVar[str] = "1"
    effects: ClassVar[Literal["none", "writes_media", "external"]] = "none"
    timeout: ClassVar[float] = 60.0  # seconds
    isolation: ClassVar[Literal["thread", "process"]] = "thread"
    weights: ClassVar[tuple[str, ...]] = ()  # names in `weights.LOADERS`
    taint: ClassVar[tuple[str, ...]] = ()  # result fields that hold text read from media
    caches: ClassVar[bool] = False  # equal inputs give equal results: they need not be made again
    merges: ClassVar[bool] = False  # `run_many` is cheaper than the calls of a turn one by one
    Args: type[ArgsT]
    Result: type[ResultT]

    def __init_subclass__(cls, **options: Any) -> None:
        """
        Raises:
            TypeError: no planner can be held to the schema of `Args`.
        """
        super().__init_subclass__(**options)
        args: Any = vars(cls).get("Args")
        if getattr(args, "__pydantic_complete__", False) and not in_package(cls):
            try:
                check_arguments(cls.__name__, args)
            except TypeError as error:
                raise TypeError(f"the tool {cls.__name__} {error}") from error

    @abstractmethod
    def run(self, args: ArgsT, context: Context) -> ResultT:
        """Do the work.

        Raises:
            RetryCall, ToolUnavailable, ToolFailed: see the module's docstring.
        """

    def run_many(self, calls: Sequence[tuple[ArgsT, Context]]) -> list[ResultT | ToolFault]:
        """Several calls together: of each its result, or the fault that `run` would raise.

        Override it, and say `merges = True`, where calls can share work: a picture that is looked
        at once, a model that takes batches.
        """
        results: list[ResultT | ToolFault] = []
        for args, context in calls:
            try:
                results.append(self.run(args, context))
            except ToolFault as fault:
                results.append(fault)
        return results

    def lack(self, weights: Weights) -> str:
        """What keeps this tool from working with these weights, as far as can be told without
        loading a model, and what to do about it; empty: nothing.

        Override it where not all of `weights` are needed, or something else is.
        """
        return next((lack for name in self.weights if (lack := weights.lack(name))), "")

    @property
    def description(self) -> str:
        """The first paragraph of the docstring, on one line."""
        return " ".join((type(self).__doc__ or self.name).split("\n\n")[0].split())
