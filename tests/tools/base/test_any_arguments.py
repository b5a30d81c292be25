"""Whatever a planner writes into a call, a tool answers, or refuses with an error of its own."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nuthatch.mllm.chat import SPECIAL_TOKENS
from nuthatch.tools.base import ToolCall
from nuthatch.tools.execution.executor import ToolExecutor
from tests.tools.every_model import OTHERS, TOOLS, little_media, others, shipped

CASES = [("shipped", name) for name in TOOLS.names] + [("others", name) for name in OTHERS]
HANDLES = ["image_1", "image_2", "audio_1", "mask_1", "mask_2", "detection_1.1", "detection_1.2"]
HANDLES += ["detection_1", "image_9"]
WORDS = [
    "cup",
    "Cup ",
    "a . b",
    "",
    " ",
    "猫",
    "tasse à café",
    "cup " * 500,
    "cup\ncup",
    "\x00",
    "🐈",
    "\ud800",
    "en",
    "german",
    "1 + 1",
    *SPECIAL_TOKENS,
]
USUAL = ["cup", "a red mug", "two dogs", "1 + 1", "eng", "There is a cup."]
NUMBERS = [0, 1, -1, 3, 40, 64, 10**6, 2**40, 10**400, 0.5, -0.5, 1e-9, 1e300, math.nan, math.inf]

leaf = st.one_of(
    st.sampled_from(HANDLES),
    st.sampled_from(WORDS),
    st.sampled_from(NUMBERS),
    st.none(),
    st.booleans(),
    st.text(max_size=12),
)
value = st.recursive(leaf, lambda inner: st.lists(inner, max_size=5), max_leaves=12)


def drawn(schema: dict[str, Any], definitions: dict[str, Any], how: str) -> st.SearchStrategy[Any]:
    """Values that a schema asks for: "right" ones, "near" ones of its type, or "wild"."""
    if how == "wild":
        return drawn(schema, definitions, "near") | value
    if "$ref" in schema:
        return drawn(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions, how)
    if "anyOf" in schema:
        return st.one_of(*(drawn(part, definitions, how) for part in schema["anyOf"]))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if kind := schema.get("x-media"):
        fitting = [handle for handle in HANDLES[:-1] if handle.startswith(kind)]
        return st.sampled_from(fitting if how == "right" else HANDLES)
    if "prefixItems" in schema:
        return st.tuples(*(drawn(part, definitions, how) for part in schema["prefixItems"])).map(
            list
        )
    match schema.get("type"):
        case "array":
            least = schema.get("minItems", 0) if how == "right" else 0
            inner = drawn(schema.get("items", {}), definitions, how)
            return st.lists(inner, min_size=least, max_size=max(least, 3))
        case "number" | "integer" if how == "right":
            low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
            high = min(low + 60, schema.get("maximum", schema.get("exclusiveMaximum", low + 60)))
            step = schema.get("multipleOf", 1)
            whole = st.integers(low // step, high // step).map(lambda number: number * step)
            return whole if schema["type"] == "integer" else whole | st.floats(low, high)
        case "number" | "integer":
            return st.one_of(st.sampled_from(NUMBERS), st.floats(-20, 120).map(round))
        case "boolean":
            return st.booleans()
        case "string" if how == "right":
            return st.sampled_from(USUAL)
        case "string":
            return st.one_of(st.sampled_from(WORDS), st.text(max_size=12))
        case "object" if "properties" in schema:
            return arguments(schema, definitions, how)
    return st.none() if how == "right" else value


def arguments(
    schema: dict[str, Any], definitions: dict[str, Any], how: str
) -> st.SearchStrategy[Any]:
    """Arguments of a schema; wild ones hold what nobody asked for."""
    properties = schema.get("properties", {})
    parts = {name: drawn(part, definitions, how) for name, part in properties.items()}
    required = {name: parts.pop(name) for name in schema.get("required", ())}
    choices = [each["required"][0] for each in schema.get("oneOf", ())]
    if choices and how == "right":
        choice = st.sampled_from(choices).flatmap(
            lambda name: st.fixed_dictionaries({name: drawn(properties[name], definitions, how)})
        )
        rest = {name: part for name, part in parts.items() if name not in choices}
        return st.builds(lambda a, b: a | b, st.fixed_dictionaries(required, optional=rest), choice)
    return st.fixed_dictionaries(required, optional=parts | ({"x": leaf} if how == "wild" else {}))


@pytest.fixture(scope="module")
def executors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ToolExecutor]]:
    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUTHATCH_CACHE", str(folder / "cache"))
        patch.setenv("OMP_THREAD_LIMIT", "1")  # of tesseract, whose threads wait for each other
        media = little_media(folder / "media")
        models = {"shipped": shipped(folder), "others": others(folder)}
        yield {name: ToolExecutor(TOOLS, media, weights) for name, weights in models.items()}


@pytest.mark.parametrize(("models", "name"), CASES)
@settings(derandomize=True, max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_arguments_bring_out_a_bug(
    executors: dict[str, ToolExecutor], models: str, name: str, data: st.DataObject
) -> None:
    schema = TOOLS[name].Args.model_json_schema()
    how = data.draw(st.sampled_from(["right", "right", "near", "wild"]))
    given_arguments = data.draw(arguments(schema, schema.get("$defs", {}), how))
    result = executors[models].execute(ToolCall("call_1", name, given_arguments))
    assert result.fault is None or not result.fault.is_bug, result.fault
