"""A user's function becomes a tool, or an error says at once why not."""

import asyncio
import pickle
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from pydantic import BaseModel, Field

from nuthatch.agent.agent import Agent
from nuthatch.agent.planner import ScriptedPlanner
from nuthatch.tools.base import AudioRef, Context, ImageRef, Label, ToolCall, ToolResult
from nuthatch.tools.base.function_tool import FunctionTool, tool
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.faults import RetryCall
from nuthatch.tools.media.store import MediaStore
from nuthatch.tools.weights.store import Weights

GREY = np.full((16, 24, 3), 100, np.uint8)


@tool
def brightness(image: ImageRef, context: Context) -> float:
    """Say how bright a picture is,
    from 0 to 255.

    The mean over all pixels; this paragraph is for people.

    Args:
        image: the picture to measure.
        context: of the call.

    Returns:
        The mean.
    """
    return float(context.media.image(image).mean())


class Shade(BaseModel):
    name: str
    level: int


@tool(isolation="process", timeout=60)
def shade(level: int, image: ImageRef | None = None, *, context: Context) -> list[Shade]:
    """Name a shade, in a process of its own."""
    if image is not None:
        level = int(context.media.image(image).mean())
    return [Shade(name="dark" if level < 128 else "light", level=level)]


@tool(name="loudest", taint=["value"], effects="external", timeout=3)
def find_loudest(
    sounds: list[AudioRef],
    unit: Literal["dB", "sone"] = "dB",
    most: Annotated[int, Field(ge=1, le=9, description="how many")] = 2,
    label: Label | None = None,
) -> dict[str, int]:
    """Find the loudest sounds.

    Args:
        sounds (list): where to listen,
            one or several.
        unit: of loudness.
        most: at most this many.
    """
    return {unit: most}


def executor(tmp_path: Any, *tools: FunctionTool[..., Any]) -> ToolExecutor:
    media = MediaStore(tmp_path)
    media.add_image(GREY)
    media.add_audio(np.full(1600, 0.1, np.float32))
    return ToolExecutor(ToolSet(tools), media, Weights())


def call(executor: ToolExecutor, name: str, **arguments: Any) -> ToolResult:
    (result,) = executor.run([ToolCall("call_1", name, arguments)])
    return result


# -- what becomes of a function -------------------------------------------------------------------


def test_the_signature_and_the_docstring_are_the_schema() -> None:
    (schema,) = ToolSet([brightness]).schemas()
    assert schema["name"] == "brightness"
    assert schema["description"] == "Say how bright a picture is, from 0 to 255."
    assert schema["parameters"]["required"] == ["image"]
    assert schema["parameters"]["additionalProperties"] is False
    image = schema["parameters"]["properties"]["image"]
    assert set(schema["parameters"]["properties"]) == {"image"}
    assert image["x-media"] == "image"
    assert image["description"] == "the picture to measure; handle of a image, e.g. image_1"


def test_every_kind_of_annotation_is_kept() -> None:
    properties = ToolSet([find_loudest]).schemas()[0]["parameters"]["properties"]
    assert properties["sounds"]["items"]["x-media"] == "audio"
    assert properties["sounds"]["description"] == "where to listen, one or several."
    assert properties["unit"] == {
        "default": "dB",
        "description": "of loudness.",
        "enum": ["dB", "sone"],
        "title": "Unit",
        "type": "string",
    }
    assert properties["most"]["maximum"] == 9
    assert properties["most"]["default"] == 2
    assert properties["most"]["description"] == "at most this many; how many"
    assert properties["label"]["anyOf"][0]["maxLength"] == 48


def test_the_options_are_those_of_any_tool() -> None:
    assert (find_loudest.name, find_loudest.effects) == ("loudest", "external")
    assert (find_loudest.timeout, find_loudest.taint) == (3, ("value",))
    assert (brightness.effects, brightness.isolation, brightness.taint) == ("none", "thread", ())


def test_the_tool_can_still_be_called_like_the_function() -> None:
    assert find_loudest(["audio_1"], most=3) == {"dB": 3}


# -- at work --------------------------------------------------------------------------------------


def test_what_a_function_returns_is_the_value_of_its_result(tmp_path: Any) -> None:
    result = call(executor(tmp_path, brightness), "brightness", image="image_1")
    assert result.fault is None
    assert result.value is not None
    assert result.value.model_dump() == {"value": 100.0}
    assert result.provenance is not None
    assert list(result.provenance.inputs) == ["image_1"]


def test_a_model_that_a_function_returns_is_its_result(tmp_path: Any) -> None:
    @tool
    def twice(level: int) -> Shade:
        """Double a level."""
        return Shade(name="twice", level=2 * level)

    assert twice.Result is Shade
    assert call(executor(tmp_path, twice), "twice", level=4).value == Shade(name="twice", level=8)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"image": "image_7"}, "no medium 'image_7'"),
        ({"image": "audio_1"}, "type audio, not image"),
        ({}, "image: Field required"),
        ({"image": "image_1", "context": "mine"}, "context: Extra inputs"),
    ],
)
def test_wrong_arguments_never_reach_the_function(
    tmp_path: Any, arguments: dict[str, Any], says: str
) -> None:
    fault = call(executor(tmp_path, brightness), "brightness", **arguments).fault
    assert fault is not None
    assert fault.is_retryable
    assert says in fault.message


def test_a_function_may_say_that_it_was_called_wrong(tmp_path: Any) -> None:
    @tool
    def half(number: int) -> int:
        """Halve an even number."""
        if number % 2:
            raise RetryCall(f"{number} is odd; give an even number")
        return number // 2

    at_work = executor(tmp_path, half)
    fault = call(at_work, "half", number=3).fault
    assert fault is not None
    assert (fault.code, fault.message) == ("invalid_arguments", "3 is odd; give an even number")
    assert call(at_work, "half", number=8).ok


def test_a_result_that_breaks_its_promise_is_a_bug_that_says_so(tmp_path: Any) -> None:
    @tool
    def number() -> int:
        """Give a number."""
        return "seven"  # type: ignore[return-value]

    fault = call(executor(tmp_path, number), "number").fault
    assert fault is not None
    assert fault.is_bug
    assert "returned str 'seven', which is not what its annotation promises" in fault.message


def test_a_tool_in_a_process_of_its_own_returns_its_result(tmp_path: Any) -> None:
    assert pickle.loads(pickle.dumps(shade)) is shade
    result = call(executor(tmp_path, shade), "shade", level=0, image="image_1")
    assert result.fault is None, result.fault
    assert result.value is not None
    assert result.value.model_dump() == {"value": [{"name": "dark", "level": 100}]}


def test_a_tool_that_no_other_process_would_find_says_so() -> None:
    renamed = tool(shade.function)
    with pytest.raises(pickle.PicklingError, match="decorate the function with @tool"):
        pickle.dumps(renamed)


def test_an_agent_calls_it_like_its_own_tools(tmp_path: Any) -> None:
    planner = ScriptedPlanner([("brightness", {"image": "image_1"}), "It is rather dark."])
    agent = Agent(planner, [brightness], verify=False, home=tmp_path)
    answer = agent.ask("How bright is it?", image=GREY)
    assert [result.call.tool for result in answer.calls] == ["brightness"]
    assert planner.received[1] == "call_1 brightness: value: 100.00"
    assert answer.text == "It is rather dark."


# -- everything that can be called ----------------------------------------------------------------


def scaled(level: int, factor: int = 2, *, context: Context) -> int:
    """Scale a level.

    Args:
        level: what is there.
        factor: how much larger it gets.
    """
    return level * factor


async def waiting(level: int) -> int:
    """Wait, and give it back."""
    await asyncio.sleep(0)
    return level


@pytest.mark.parametrize(
    ("function", "name", "found"),
    [
        (lambda: Meter(3).read, "read", 7),
        (lambda: Meter.twice, "twice", 8),
        (lambda: Meter(3).later, "later", 7),
        (lambda: Meter(3), "Meter", "7 mm"),
        (lambda: partial(scaled, factor=5), "scaled", 20),
        (lambda: partial(Meter(3), unit="cm"), "Meter", "7 cm"),
        (lambda: partial(partial(scaled), factor=5), "scaled", 20),
        (lambda: lru_cache(Meter.twice), "twice", 8),
        (lambda: waiting, "waiting", 4),
    ],
)
def test_whatever_can_be_called_may_stand_among_the_tools_as_it_is(
    tmp_path: Any, function: Callable[[], Any], name: str, found: object
) -> None:
    planner = ScriptedPlanner([(name, {"level": 4}), "Done."])
    agent = Agent(planner, [function()], verify=False, home=tmp_path)
    (result,) = agent.ask("?").calls
    assert result.fault is None, result.fault
    assert result.value is not None
    assert result.value.model_dump() == {"value": found}
    assert "level" in agent.tools.schemas()[0]["parameters"]["properties"]


def test_what_a_partial_has_bound_is_no_argument() -> None:
    (schema,) = ToolSet([partial(scaled, factor=5)]).schemas()
    assert list(schema["parameters"]["properties"]) == ["level"]
    assert schema["parameters"]["properties"]["level"]["description"] == "what is there."
    assert schema["description"] == "Scale a level."


def test_an_object_that_is_called_is_described_by_its_class() -> None:
    assert ToolSet([Meter(3)]).schemas()[0]["description"] == "Measures with an offset."


def test_an_asynchronous_tool_runs_in_a_loop_that_runs_and_calls_another(tmp_path: Any) -> None:
    @tool
    async def outer(level: int, context: Context) -> int:
        """Ask another."""
        await asyncio.sleep(0)
        return int(context.call("waiting", level=level).value) + 1

    at_work = executor(tmp_path, outer, tool(waiting))

    async def talk() -> ToolResult:
        (here,) = at_work.run([ToolCall("call_1", "waiting", {"level": 1})])
        assert here.ok, here.fault
        (result,) = await at_work.arun([ToolCall("call_2", "outer", {"level": 4})])
        return result

    result = asyncio.run(talk())
    assert result.fault is None, result.fault
    assert result.value is not None
    assert result.value.model_dump() == {"value": 5}


def test_an_asynchronous_tool_may_work_in_a_process_of_its_own(tmp_path: Any) -> None:
    result = call(executor(tmp_path, away), "away", level=3)
    assert result.fault is None, result.fault


@tool(isolation="process")
async def away(level: int) -> int:
    """Give it back."""
    return level


def test_no_method_runs_in_a_process_of_its_own() -> None:
    with pytest.raises(TypeError, match="only a plain function can be found again"):
        tool(isolation="process")(Meter(3).read)


def test_what_is_no_tool_is_refused_where_tools_are_given() -> None:
    with pytest.raises(TypeError, match="given 'detect'"):
        ToolSet(["detect"])  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"give one: FunctionTool\(\)"):
        ToolSet([FunctionTool])
    with pytest.raises(TypeError, match=r"no_docstring .* has no docstring"):
        ToolSet([brightness]).with_tools(no_docstring)


def test_defaults_may_be_made_for_each_call(tmp_path: Any) -> None:
    @tool
    def count(names: Annotated[list[str], Field(default_factory=lambda: ["a", "b"])]) -> int:
        """Count names."""
        return len(names)

    result = call(executor(tmp_path, count), "count")
    assert result.value is not None
    assert result.value.model_dump() == {"value": 2}


# -- what cannot become a tool --------------------------------------------------------------------


def no_docstring(image: ImageRef) -> float:
    return 0.0


def only_arguments(image: ImageRef) -> float:
    """
    Args:
        image: what to look at.
    """
    return 0.0


def no_annotation(image) -> float:  # type: ignore[no-untyped-def]
    """Look."""
    return 0.0


def no_return(image: ImageRef):  # type: ignore[no-untyped-def]
    """Look."""


def returns_nothing(image: ImageRef) -> None:
    """Look."""


def many(*images: ImageRef) -> float:
    """Look."""
    return 0.0


def anything(**images: ImageRef) -> float:
    """Look."""
    return 0.0


def by_place(image: ImageRef, /) -> float:
    """Look."""
    return 0.0


def array(pixels: np.random.Generator) -> float:
    """Look."""
    return 0.0


def arrays(image: ImageRef) -> np.random.Generator:
    """Look."""
    return np.random.default_rng()


def stream(level: int) -> Iterable[int]:
    """Look."""
    return iter([level])


def function(look: Callable[[int], int]) -> float:
    """Look."""
    return 0.0


def wrong_default(image: ImageRef = None) -> float:  # type: ignore[assignment]
    """Look."""
    return 0.0


def field_default(times: int = Field(3, ge=1)) -> int:
    """Look."""
    return times


def two_contexts(a: Context, b: Context) -> float:
    """Look."""
    return 0.0


def unknown_annotation(image: "Imgae") -> float:  # type: ignore[name-defined]  # noqa: F821
    """Look."""
    return 0.0


def unknown_argument(image: ImageRef) -> float:
    """Look.

    Args:
        picture: what to look at.
    """
    return 0.0


def taken_name(model_fields: int) -> float:
    """Look."""
    return 0.0


def one_by_one(image: ImageRef) -> list[int]:  # type: ignore[misc]
    """Look."""
    yield 0


class Meter:
    """Measures with an offset."""

    def __init__(self, offset: int) -> None:
        self.offset = offset

    def read(self, level: int) -> int:
        """Read a level off.

        Args:
            level: what is there.
        """
        return level + self.offset

    @classmethod
    def twice(cls, level: int) -> int:
        """Double a level."""
        return 2 * level

    async def later(self, level: int) -> int:
        """Read a level off, later."""
        await asyncio.sleep(0)
        return level + self.offset

    def __call__(self, level: int, unit: str = "mm") -> str:
        return f"{level + self.offset} {unit}"


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (no_docstring, "has no docstring"),
        (only_arguments, "has no docstring"),
        (no_annotation, "has no annotation for 'image'; write e.g. image: str"),
        (no_return, "says not what it returns"),
        (returns_nothing, "says not what it returns"),
        (many, r"takes \*images"),
        (anything, r"takes \*\*images"),
        (by_place, "takes image"),
        (array, "type that pydantic does not know.*Generator"),
        (arrays, "type that pydantic does not know.*Generator"),
        (function, "type that pydantic does not know"),
        (stream, r"read only once; write list\[...\]"),
        (wrong_default, "has image=None, which its annotation forbids"),
        (field_default, r"Annotated\[..., Field\(...\)\]"),
        (two_contexts, "has 2 parameters of type Context"),
        (unknown_annotation, "annotation that cannot be read: name 'Imgae'"),
        (unknown_argument, "documents picture under 'Args:', which it does not take"),
        (taken_name, "'model_fields', which pydantic needs"),
        (len, "takes a function written with def"),
        (lambda: 1, "has neither annotations nor a docstring; write it with def"),
        (Shade, "Shade is a class"),
        (3, "@tool takes a function, given 3"),
        (classmethod(brightness.function), r"tool\(Class.method\)"),
        (one_by_one, "yields what it finds one by one; return it all, as a list"),
        (Meter.read, r"is a method of no object; write tool\(thing.method\)"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_function_that_cannot_become_a_tool_is_refused_where_it_is_written(
    function: Any, says: str
) -> None:
    with pytest.raises(TypeError, match=says):
        tool(function)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"name": "how bright?"}, "use letters, digits and _"),
        ({"effects": "some"}, "has effects='some'; expected one of"),
        ({"isolation": "room"}, "has isolation='room'; expected one of"),
        ({"timeout": 0}, "expected seconds above 0"),
        (
            {"taint": ["text"]},
            "has taint=\\['text'\\], but its result has",
        ),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(TypeError, match=says):
        tool(**options)(brightness.function)


def test_a_function_inside_another_cannot_run_in_a_process_of_its_own() -> None:
    with pytest.raises(TypeError, match="cannot be imported by another process"):

        @tool(isolation="process")
        def inner(level: int) -> int:
            """Give it back."""
            return level


def test_an_error_says_which_function_it_is_about() -> None:
    line = many.__code__.co_firstlineno
    with pytest.raises(TypeError, match=rf"many \(.*test_function_tool\.py, line {line}\)"):
        tool(many)
