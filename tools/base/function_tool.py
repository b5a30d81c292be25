"""A user's function becomes a tool: `@tool` reads its signature and its docstring.

    @tool
    def brightness(image: ImageRef, context: Context) -> float:
        \"\"\"Say how bright a picture is, 0 to 255.

        Args:
            image: the picture to measure.
        \"\"\"
        return float(context.media.image(image).mean())

    agent = Agent.load("embedded", tools=default_tools().with_tools(brightness))

Annotations are the schema and the check, as pydantic reads them; `ImageRef`, `AudioRef`, `Label`
and the rest of `base` mean what they mean in any tool. What a planner is told is the first
paragraph of the docstring, and of each argument what "Args:" says of it. A parameter annotated
`Context` is no argument: it gets the context of the call. The tool can still be called like the
function it was. `tool(thing.look)`, `tool(partial(look, times=2))` and `tool(thing)` with a
`__call__` work too, and so do asynchronous functions; what a partial has bound is no argument.

Whatever is wrong with a function is a `TypeError` where it is decorated.
"""

import asyncio
import functools
import inspect
import pickle
import re
import sys
import threading
import typing
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Generic, Literal, ParamSpec, TypeVar, cast, overload

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo
from pydantic_core import SchemaError

from nuthatch.tools.base.arguments import SchemaGenerator, check_arguments
from nuthatch.tools.base.tool import Arguments, Context, Tool
from nuthatch.tools.workers import WORKERS

P = ParamSpec("P")
R = TypeVar("R")
Effects = Literal["none", "writes_media", "external"]
Isolation = Literal["thread", "process"]
_PLAIN = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_CHECKED = ConfigDict(validate_default=True)
_DOCUMENTED = re.compile(r"(?P<name>\w+)(?:\s*\([^)]*\))?:\s*(?P<text>.*)")


class FunctionTool(Tool[Any, BaseModel], Generic[P, R]):
    """A tool made of a function; of each function there is a subclass, see `tool`."""

    def __init__(self, function: Callable[P, R], context: str | None, *, wraps: bool) -> None:
        self.function = function
        self._context = context  # the parameter that takes the context
        self._wraps = wraps  # what the function returns becomes `Result(value=...)`

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The function itself, unchecked: to try it out, or to use it in other code."""
        return self.function(*args, **kwargs)

    def run(self, args: BaseModel, context: Context) -> BaseModel:
        given = {name: getattr(args, name) for name in type(args).model_fields}
        if self._context is not None:
            given[self._context] = context
        returned: Any = cast(Callable[..., R], self.function)(**given)
        if inspect.isawaitable(returned):
            returned = _awaited(returned)
        if not self._wraps:
            return cast(BaseModel, returned)  # the executor holds it to what was promised
        try:
            return self.Result(value=returned)
        except ValidationError as error:
            raise TypeError(
                f"returned {type(returned).__name__} {str(returned)[:80]!r}, which is not what its "
                f"annotation promises: {_first(error)}"
            ) from error

    def __reduce__(self) -> str:
        """By its name, as functions are pickled: for a tool in a process of its own."""
        found: Any = sys.modules.get(self.__module__)
        for part in type(self).__qualname__.split("."):
            found = getattr(found, part, None)
        if found is not self:
            raise pickle.PicklingError(
                f"the tool '{self.name}' must stand as {type(self).__qualname__} in the module "
                f"{self.__module__} to run in a process of its own: decorate the function with "
                "@tool, and keep its name"
            )
        return type(self).__qualname__


@overload
def tool(function: Callable[P, R], /) -> FunctionTool[P, R]: ...
@overload
def tool(
    *,
    name: str | None = None,
    effects: Effects = "none",
    timeout: float = 60.0,
    isolation: Isolation = "thread",
    taint: Sequence[str] = (),
) -> Callable[[Callable[P, R]], FunctionTool[P, R]]: ...


def tool(
    function: Callable[P, R] | None = None,
    /,
    *,
    name: str | None = None,
    effects: Effects = "none",
    timeout: float = 60.0,
    isolation: Isolation = "thread",
    taint: Sequence[str] = (),
) -> FunctionTool[P, R] | Callable[[Callable[P, R]], FunctionTool[P, R]]:
    """Make a tool of an annotated function with a docstring, or of anything that calls one: a
    method of an object or class, a partial, an object with `__call__`.

    Args:
        name: how planners call it; default: the function's name.
        effects, timeout, isolation: as of any tool (`base.Tool`).
        taint: fields of the result that hold text read from media: `("value",)` where the function
            returns no model.

    Returns:
        A tool whose `Args` has a field for each parameter, and whose `Result` is the pydantic
        model that the function returns; any other return type is wrapped into a model with the
        one field `value`.

    Raises:
        TypeError: the function cannot become a tool; the message says why and what to change.
    """

    def made(function: Callable[P, R]) -> FunctionTool[P, R]:
        return _made(
            function,
            {"effects": effects, "timeout": timeout, "isolation": isolation, "taint": tuple(taint)},
            name,
        )

    return made if function is None else made(function)


# -- inside ---------------------------------------------------------------------------------------


def _awaited(awaitable: Awaitable[Any]) -> Any:
    """What an asynchronous function returns, in a loop of its own."""

    async def wait() -> Any:
        return await awaitable

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(wait())
    # An asynchronous tool has called this one, and its loop runs in this thread.
    return WORKERS.run(lambda: asyncio.run(wait()), threading.TIMEOUT_MAX)


def _made(
    function: Callable[P, R], options: dict[str, Any], name: str | None
) -> FunctionTool[P, R]:
    inner, bound = _inner(function)
    name = name or _name(inner)
    _check_options(function, name, options)
    description, documented = _documentation(inner)
    hints = _hints(inner)
    parameters = inspect.signature(function).parameters
    contexts = [each for each in parameters if hints.get(each) is Context]
    if len(contexts) > 1:
        raise _wrong(inner, f"has {len(contexts)} parameters of type Context; keep one")
    if strange := documented.keys() - parameters.keys() - bound:
        raise _wrong(
            inner,
            f"documents {', '.join(sorted(strange))} under 'Args:', which it does not take",
        )
    arguments = {p: parameters[p] for p in parameters if p not in contexts and p not in bound}
    fields = {
        each: _field(inner, parameter, hints, documented.get(each, ""))
        for each, parameter in arguments.items()
    }
    args = _model(inner, "Args", fields, Arguments)
    try:
        check_arguments(name, args)
    except TypeError as error:
        raise _wrong(inner, str(error)) from error
    result, wraps = _result(inner, hints)
    if lacking := [each for each in options["taint"] if each not in result.model_fields]:
        raise _wrong(
            inner,
            f"has taint={lacking}, but its result has the fields {list(result.model_fields)}",
        )
    members = {
        "__doc__": description,
        "__module__": inner.__module__,
        "__qualname__": inner.__qualname__,
        "name": name,
        "Args": args,
        "Result": result,
        **options,
    }
    kind = type(name, (FunctionTool,), members)
    return cast(FunctionTool[P, R], kind(function, contexts[0] if contexts else None, wraps=wraps))


def _name(inner: Any) -> str:
    """The function's; of an object with `__call__` its class's."""
    name = str(inner.__name__)
    return type(inner.__self__).__name__ if name == "__call__" else name


def _inner(function: Callable[..., Any]) -> tuple[Any, set[str]]:
    """The function or method with the annotations and the docstring, and the names of what partials
    around it have bound.

    Raises:
        TypeError: there is none.
    """
    inner: Any = function
    bound: set[str] = set()
    while isinstance(inner, functools.partial):
        bound |= inner.keywords.keys()
        inner = inner.func
    if inspect.isclass(inner):
        raise TypeError(f"{inner.__name__} is a class; @tool takes a function that makes one")
    if isinstance(inner, classmethod | staticmethod | property):
        raise TypeError(
            f"@tool takes what can be called, given a {type(inner).__name__}; leave @tool out in "
            "the class, and write tool(Class.method) or tool(thing.method) behind it"
        )
    if not callable(inner):
        raise TypeError(f"@tool takes a function, given {inner!r:.80}")
    if not inspect.isroutine(inner) and not hasattr(inner, "__qualname__"):
        inner = inner.__call__
    if inspect.isbuiltin(inner) or not hasattr(inner, "__annotations__"):
        raise TypeError(f"@tool takes a function written with def, given {inner!r:.80}")
    if getattr(inner, "__name__", "") == "<lambda>":
        raise _wrong(inner, "has neither annotations nor a docstring; write it with def")
    if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        raise _wrong(inner, "yields what it finds one by one; return it all, as a list")
    return inner, bound


def _check_options(function: Callable[..., Any], name: str, options: dict[str, Any]) -> None:
    if not re.fullmatch(r"[A-Za-z]\w{0,63}", name, re.ASCII):
        raise _wrong(function, f"would be called {name!r}; use letters, digits and _")
    for option, kind in (("effects", Effects), ("isolation", Isolation)):
        allowed = typing.get_args(kind)
        if options[option] not in allowed:
            raise _wrong(function, f"has {option}={options[option]!r}; expected one of {allowed}")
    if not options["timeout"] > 0:
        raise _wrong(function, f"has timeout={options['timeout']}; expected seconds above 0")
    if options["isolation"] == "process":
        if not inspect.isfunction(function):
            raise _wrong(
                function,
                "has isolation='process', where only a plain function can be found again; write "
                "one that calls it",
            )
        main = sys.modules["__main__"]
        by_hand = function.__module__ == "__main__" and not hasattr(main, "__file__")
        if by_hand or "<locals>" in function.__qualname__:
            raise _wrong(
                function,
                "has isolation='process' and cannot be imported by another process; write it at "
                "the top of a file",
            )


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except (NameError, AttributeError, TypeError, SyntaxError) as error:
        raise _wrong(function, f"has an annotation that cannot be read: {error}") from error


def _field(
    function: Callable[..., Any],
    parameter: inspect.Parameter,
    hints: dict[str, Any],
    documented: str,
) -> tuple[Any, Any]:
    """Annotation and default of one argument, as `create_model` takes them."""
    name = parameter.name
    if parameter.kind not in _PLAIN:
        raise _wrong(function, f"takes {parameter}; a planner gives arguments by name, each once")
    if name in ("self", "cls") and name not in hints:
        raise _wrong(function, "is a method of no object; write tool(thing.method)")
    if name not in hints:
        raise _wrong(
            function, f"has no annotation for '{name}'; write e.g. {name}: str, or an ImageRef"
        )
    if name.startswith("_") or hasattr(Arguments, name):
        raise _wrong(function, f"has an argument '{name}', which pydantic needs; call it otherwise")
    annotation = hints[name]
    if documented:
        own = FieldInfo.from_annotation(annotation).description
        text = f"{documented.rstrip('.')}; {own}" if own else documented
        annotation = Annotated[annotation, Field(description=text)]
    if parameter.default is parameter.empty:
        given = FieldInfo.from_annotation(annotation)
        return annotation, ... if given.is_required() else given
    default = parameter.default
    if isinstance(default, FieldInfo):
        raise _wrong(
            function, f"gives '{name}' a Field as default; write Annotated[..., Field(...)]"
        )
    try:
        create_model(name, __config__=_CHECKED, **{name: (annotation, default)})()  # type: ignore[call-overload]
    except ValidationError as error:
        raise _wrong(
            function, f"has {name}={default!r}, which its annotation forbids: {_first(error)}"
        ) from error
    except (PydanticUserError, SchemaError, TypeError):
        pass  # `_model` comes upon it again
    return annotation, default


def _result(function: Callable[..., Any], hints: dict[str, Any]) -> tuple[type[BaseModel], bool]:
    """The model that a function's results are, and whether they must be wrapped into it."""
    if hints.get("return") in (None, type(None)):
        raise _wrong(
            function, "says not what it returns; annotate it, with what a planner shall read"
        )
    returned = hints["return"]
    if inspect.isclass(returned) and issubclass(returned, BaseModel):
        return returned, False
    return _model(function, "Result", {"value": (returned, ...)}, BaseModel), True


def _model(
    function: Callable[..., Any],
    name: str,
    fields: dict[str, tuple[Any, Any]],
    base: type[BaseModel],
) -> type[BaseModel]:
    """A model that is found under the function's name, since the tool stands there."""
    try:
        model: type[BaseModel] = create_model(  # type: ignore[call-overload]
            name, __base__=base, __module__=function.__module__, **fields
        )
        model.model_json_schema(schema_generator=SchemaGenerator)
    except PydanticUserError as error:
        raise _wrong(function, f"has a type that pydantic does not know: {error.message}") from None
    except (SchemaError, TypeError) as error:
        raise _wrong(function, f"has an annotation that pydantic refuses: {error}") from error
    model.__qualname__ = f"{function.__qualname__}.{name}"
    return model


def _documentation(inner: Any) -> tuple[str, dict[str, str]]:
    """The first paragraph of the docstring, and what "Args:" says of each argument; of an object
    that is called, of its class where `__call__` has none."""
    of_class = inner.__name__ == "__call__" and not inner.__doc__
    text = inspect.getdoc(type(inner.__self__) if of_class else inner) or ""
    description = " ".join(text.split("\n\n")[0].split())
    if not description or description.startswith(("Args:", "Arguments:", "Returns:", "Raises:")):
        raise _wrong(inner, "has no docstring; its first paragraph is what a planner reads")
    documented: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        if line.rstrip() in ("Args:", "Arguments:"):
            break
    margin, name = None, ""
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if not line.strip():
            continue
        if indent == 0:
            break
        margin = indent if margin is None else margin
        match = _DOCUMENTED.fullmatch(line.strip())
        if indent <= margin and match:
            name = match["name"]
            documented[name] = match["text"]
        elif name:
            documented[name] = f"{documented[name]} {line.strip()}".strip()
    return description, documented


def _wrong(function: Callable[..., Any], what: str) -> TypeError:
    name = getattr(function, "__name__", type(function).__name__)
    code = getattr(inspect.unwrap(function), "__code__", None)
    where = f" ({code.co_filename}, line {code.co_firstlineno})" if code else ""
    return TypeError(f"{name}{where} {what}")


def _first(error: ValidationError) -> str:
    return str(error.errors()[0]["msg"])
