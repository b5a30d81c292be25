"""Arguments of every type: what a grammar lets a planner write is what the tool takes."""

import datetime as dt
import enum
import json
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import numpy as np
import pytest
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    NaiveDatetime,
    RootModel,
    StringConstraints,
)
from pydantic.dataclasses import dataclass as checked_dataclass
from typing_extensions import TypedDict

from nuthatch import Agent, ScriptedPlanner, Toolbox
from nuthatch.agent.journal import load_run
from nuthatch.mllm.chat import parse_turn, prompt_ids
from nuthatch.mllm.generation.decoding import Decoder, Row
from nuthatch.mllm.generation.grammar import turn_grammar
from nuthatch.tools.base import (
    Arguments,
    AudioRef,
    Context,
    DetectionRef,
    ImageRef,
    Label,
    Tool,
    ToolCall,
)
from nuthatch.tools.base.arguments import parameters
from nuthatch.tools.base.function_tool import FunctionTool, tool
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.faults import RetryCall
from nuthatch.tools.media.geometry import Box
from nuthatch.tools.media.store import Detection, MediaStore
from nuthatch.tools.weights.store import Weights
from tests.mllm.generation.speakers import random_llama, tokenizer


class Side(enum.Enum):
    LEFT = "left"
    RIGHT = "right"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str | None = None


class Pair(BaseModel):
    left: ImageRef
    right: ImageRef


class Album(BaseModel):
    pairs: list[Pair]
    sounds: dict[str, AudioRef] = {}


class Gallery(RootModel[list[ImageRef]]):
    pass


class Renamed(BaseModel):
    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)
    picture: ImageRef = Field(alias="image")
    times: int = Field(3, validation_alias="n", serialization_alias="count")


class Row2(NamedTuple):
    x: int
    name: str


class Options(TypedDict):
    width: int


@checked_dataclass
class Point:
    x: int
    tags: set[str]


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    x: int


class Tree(BaseModel):
    children: list["Tree"] = []


MANY = Literal[tuple(f"choice number {n}" for n in range(300))]
QUICK: list[Any] = [
    set[str],
    dict[str, int],
    Path,
    bytes,
    Decimal,
    dt.datetime,
    dict[Side, int],
    tuple[ImageRef, ImageRef],
    Album,
    Renamed,
    Annotated[Cat | Dog, Field(discriminator="kind")],
    Annotated[float, Field(ge=0.001, le=0.002)],
    Annotated[int | float, Field(ge=0, le=1)],
    Annotated[list[str], Field(default_factory=list)],
]
SLOW: list[Any] = [
    frozenset[int],
    set[ImageRef],
    dict[int, str],
    dict[Literal["a", "b"], int],
    dict[Annotated[str, Field(max_length=3)], int],
    dict[Annotated[str, Field(pattern="^[a-c]+$")], int],
    dict[UUID, int],
    dict[dt.date, int],
    dict[ImageRef, str],
    dict[str, Pair],
    Annotated[dict[str, int], Field(min_length=1, max_length=3)],
    Annotated[Decimal, Field(ge=Decimal("0.1"), le=2)],
    Annotated[Decimal, Field(max_digits=5, decimal_places=2)],
    dt.date,
    dt.time,
    dt.timedelta,
    NaiveDatetime,
    AwareDatetime,
    UUID,
    HttpUrl,
    Side,
    Level,
    MANY,
    Literal[1, "a", None, True],
    tuple[()],
    tuple[int, ...],
    Sequence[int],
    Row2,
    Options,
    Point,
    Open,
    Pair,
    list[list[Pair]],
    list[set[int]],
    list[Gallery],
    dict[str, list[dict[str, int]]],
    ImageRef | None,
    list[ImageRef] | ImageRef,
    DetectionRef | tuple[int, int],
    Annotated[int | None, Field(ge=0, le=1)],
    Annotated[float, Field(gt=0, lt=1e-9)],
    Annotated[float, Field(ge=1e-5, le=2e-5)],
    Annotated[float, Field(ge=1e300, le=2e300)],
    Annotated[float, Field(le=1e300)],
    Annotated[float, Field(ge=0.5, le=0.5)],
    Annotated[int, Field(ge=10**17)],
    Annotated[int, Field(multiple_of=7)],
    Annotated[str, Field(pattern=r"^\d{4}-[A-Z]+$", max_length=12)],
    Annotated[str, Field(min_length=300)],
    Annotated[str, Field(max_length=10**6)],
    Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)],
    Annotated[list[int], Field(min_length=20)],
    int | Any,
    Label,
    list[Label],
    None,
]
HANDLES = {
    "image": ["image_1", "image_2"],
    "audio": ["audio_1"],
    "mask": [],
    "detection": ["detection_1", "detection_1.1"],
}


def taking(kind: Any) -> FunctionTool[..., str]:
    """A tool with one argument of this type."""

    def look(x):  # type: ignore[no-untyped-def]
        """Look at it."""
        return type(x).__name__

    look.__annotations__ = {"x": kind, "return": str}
    return tool(look)


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> MediaStore:
    store = MediaStore(tmp_path_factory.mktemp("media"))
    for shade in (0, 255):
        store.add_image(np.full((16, 16, 3), shade, np.uint8))
    store.add_audio(np.full(1600, 0.1, np.float32))
    box = Box(x1=0, y1=0, x2=4, y2=4)
    found = Detection(image="image_1", label="cup", score=0.5, score_kind="one", box=box)
    store.add_detections(store.reserve_detections(), [found])
    return store


def written(tools: ToolSet, seeds: int) -> list[tuple[str, dict[str, Any]]]:
    """Calls that a planner of random weights writes."""
    grammar = turn_grammar(tools.schemas(), HANDLES, allow="calls", max_calls=1)
    wild = Decoder(random_llama(), tokenizer(), max_new_tokens=96, temperature=2.0)
    prompt = prompt_ids(tokenizer(), [{"role": "user", "content": "?"}], ())
    turns = wild.generate([Row(prompt, grammar, seed=seed) for seed in range(seeds)])
    calls = [parse_turn(tokenizer(), turn) for turn in turns]
    return [call for turn in calls if not isinstance(turn, str) for call in turn]


def check_written(kind: Any, media: MediaStore, seeds: int) -> None:
    tools = ToolSet([taking(kind)])
    executor = ToolExecutor(tools, media, Weights())
    for name, arguments in written(tools, seeds):
        result = executor.execute(ToolCall("call_1", name, arguments))
        assert result.fault is None, (arguments, result.fault)
        assert result.provenance is not None
        json.dumps(result.provenance.parameters)


@pytest.mark.parametrize("kind", QUICK, ids=str)
def test_what_a_planner_may_write_the_tool_takes(kind: Any, media: MediaStore) -> None:
    check_written(kind, media, seeds=1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*QUICK, *SLOW], ids=lambda kind: str(kind)[:60])
def test_what_a_planner_may_write_the_tool_takes_every_time(kind: Any, media: MediaStore) -> None:
    check_written(kind, media, seeds=6)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (Any, "'x': it may be anything; name what it may be"),
        (object, "it may be anything"),
        (list, r"it is a list of anything; write e.g. list\[str\]"),
        (set, "list of anything"),
        (dict, r"it is a dict of anything; write e.g. dict\[str, int\]"),
        (dict | None, "dict of anything"),
        (dict[str, Any], "dict of anything"),
        (Tree, "'x.children': 'Tree' holds itself"),
        (Iterable[int], r"read only once; write list\[...\]"),
        (Callable[[int], int], "pydantic does not know"),
        (np.ndarray, "pydantic does not know"),
        (Annotated[str, Field(pattern="(?<=a)b")], "pydantic refuses.*look-around"),
        (Annotated[int, Field(ge=3, le=2)], "minimum 3 is above maximum 2"),
        (Annotated[int, Field(ge=10**30)], "take a str of digits"),
        (Annotated[int, Field(ge=3, le=4, multiple_of=7)], "the grammar engine refuses"),
    ],
    ids=str,
)
def test_a_type_that_no_planner_can_be_held_to_is_refused_where_the_tool_is_made(
    kind: Any, says: str
) -> None:
    with pytest.raises(TypeError, match=f"(?s)look.*test_arguments.py, line.*{says}"):
        taking(kind)


class Wide(Arguments):
    x: dict[str, Any]


def test_a_class_of_tools_is_refused_where_it_is_written() -> None:
    with pytest.raises(TypeError, match=r"the tool Look cannot be called.*a dict of anything"):

        class Look(Tool[Wide, Wide]):
            """Look."""

            name, Args, Result = "look", Wide, Wide


def test_schemas_of_the_packages_own_tools_are_kept_by_a_grammar() -> None:
    from nuthatch.tools.base.arguments import check_arguments
    from nuthatch.tools.catalogue import all_tools

    for each in all_tools():
        check_arguments(each.name, each.Args)


# -- media at any depth ---------------------------------------------------------------------------


class Out(BaseModel):
    difference: float


def differing(kind: Any, parts: Callable[[Any], tuple[str, str]]) -> Tool[Any, Out]:
    args: Any = type("Args", (Arguments,), {"__annotations__": {"pair": kind}})

    class Differ(Tool[args, Out]):
        """Say how much two pictures differ."""

        name, Args, Result, caches = "differ", args, Out, True

        def run(self, given: Any, context: Context) -> Out:
            one, other = (context.media.image(h).astype(float) for h in parts(given.pair))
            return Out(difference=float(abs(one - other).mean()))

    return Differ()


BLACK, WHITE = np.zeros((16, 16, 3), np.uint8), np.full((16, 16, 3), 255, np.uint8)
NESTS: list[tuple[Any, Any, Callable[[Any], Any]]] = [
    (Pair, {"left": "image_1", "right": "image_2"}, lambda p: (p.left, p.right)),
    (tuple[ImageRef, ImageRef], ["image_1", "image_2"], tuple),
    (dict[str, ImageRef], {"l": "image_1", "r": "image_2"}, lambda p: tuple(p.values())),
    (dict[ImageRef, str], {"image_1": "a", "image_2": "b"}, tuple),
    (list[Pair], [{"left": "image_1", "right": "image_2"}], lambda p: (p[0].left, p[0].right)),
    (
        Pair | list[ImageRef],
        {"left": "image_1", "right": "image_2"},
        lambda p: (p.left, p.right),
    ),
    (set[ImageRef], ["image_1", "image_2"], sorted),
    (Gallery, ["image_1", "image_2"], lambda p: p.root),
    (dict[str, Gallery | Pair], {"a": ["image_1", "image_2"]}, lambda p: p["a"].root),
    (
        Renamed | tuple[int, str, ImageRef, ImageRef],
        [1, "image_1", "image_1", "image_2"],
        lambda p: p[2:],
    ),
]


@pytest.mark.parametrize(("kind", "given", "parts"), NESTS, ids=range(len(NESTS)))
def test_a_result_is_known_by_what_its_pictures_show_wherever_they_stand(
    kind: Any, given: Any, parts: Any, tmp_path: Path
) -> None:
    looks = ("differ", {"pair": given})
    planner = ScriptedPlanner([looks, "done.", looks, "done."])
    agent = Agent(planner, [differing(kind, parts)], verify=False, home=tmp_path)
    agent.ask("Compare.", image=[BLACK, BLACK + 1])
    (call,) = agent.ask("Compare.", image=[BLACK, WHITE]).calls
    assert call.value == Out(difference=255.0)
    assert call.provenance is not None
    assert list(call.provenance.inputs) == ["image_1", "image_2"]


def test_a_dead_handle_inside_a_model_is_told_by_its_path(media: MediaStore) -> None:
    executor = ToolExecutor(ToolSet([taking(Album)]), media, Weights())
    album = {"pairs": [{"left": "image_1", "right": "image_7"}]}
    fault = executor.execute(ToolCall("call_1", "look", {"x": album})).fault
    assert fault is not None
    assert (fault.code, fault.message[:20]) == ("asset_not_found", "look.x.pairs.right: ")


def test_where_a_handle_or_a_text_may_stand_a_live_handle_is_one(media: MediaStore) -> None:
    executor = ToolExecutor(ToolSet([taking(str | ImageRef)]), media, Weights())
    for text, inputs in (("image_2", ["image_2"]), ("hello", [])):
        result = executor.execute(ToolCall("call_1", "look", {"x": text}))
        assert result.provenance is not None
        assert list(result.provenance.inputs) == inputs


def test_pictures_and_sounds_may_be_given_as_they_are_at_any_depth() -> None:
    @tool
    def shades(albums: dict[str, Album], extra: list[Renamed], context: Context) -> list[float]:
        """Mean shades of all pictures."""
        pairs = [pair for album in albums.values() for pair in album.pairs]
        handles = [handle for pair in pairs for handle in (pair.left, pair.right)]
        handles += [each.picture for each in extra]
        return [float(context.media.image(handle).mean()) for handle in handles]

    box = Toolbox([shades])
    album = {"pairs": [{"left": BLACK, "right": WHITE}], "sounds": {"a": np.zeros(1600, "f4")}}
    found = box.run(
        "shades", albums={"mine": album}, extra=[{"image": WHITE}, {"picture": "image_1"}]
    )
    assert found.value.value == [0, 255, 255, 0]


def test_an_argument_may_have_another_name_for_planners() -> None:
    @tool
    def width(
        image: Annotated[ImageRef, Field(alias="picture")],
        context: Context,
        times: Annotated[int, Field(alias="n")] = 1,
    ) -> int:
        """Say how wide a picture is, n times."""
        return int(context.media.image(image).shape[1]) * times

    schema = ToolSet([width]).schemas()[0]["parameters"]
    assert list(schema["properties"]) == ["picture", "n"]
    found = Toolbox([width]).run("width", picture=BLACK, n=3)
    assert found.value.value == 48
    assert Toolbox([width]).run("width", image=BLACK, times=2).value.value == 32
    assert found.result.provenance is not None
    assert found.result.provenance.parameters == {"image": "image_1", "times": 3}


def test_an_argument_that_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(RetryCall, match="look: an argument holds itself"):
        Toolbox([taking(list[list[Pair]])]).run("look", x=loop)


# -- what is written down -------------------------------------------------------------------------


def test_equal_arguments_have_equal_parameters() -> None:
    class Args(Arguments):
        names: set[str]
        raw: bytes
        at: Path
        price: Decimal = Decimal("1.50")

    one = Args(names={"b", "a", "c"}, raw=b"\xff", at=Path("x"))
    assert parameters(one) == {
        "names": ["a", "b", "c"],
        "raw": "_w==",
        "at": "x",
        "price": "1.50",
    }


@pytest.mark.parametrize(
    ("kind", "given", "found"),
    [
        (set[str], ["b", "a"], "set"),
        (Path, "a/b", "PosixPath"),
        (bytes, "abc", "bytes"),
        (Decimal, 1.5, "Decimal"),
        (dt.timedelta, "P3D", "timedelta"),
        (Side, "left", "Side"),
        (dict[str, Cat], {"größe": {"kind": "cat"}}, "dict"),
    ],
    ids=str,
)
def test_a_call_is_the_same_after_the_journal(
    kind: Any, given: Any, found: str, tmp_path: Path
) -> None:
    planner = ScriptedPlanner([("look", {"x": given}), "done."])
    agent = Agent(planner, [taking(kind)], verify=False, home=tmp_path)
    answer = agent.ask("?")
    assert answer.calls[0].value.value == found  # type: ignore[union-attr]
    (again,) = load_run(answer.run_id, tmp_path, tools=agent.tools).calls
    assert again.call == answer.calls[0].call
    assert again.provenance == answer.calls[0].provenance
