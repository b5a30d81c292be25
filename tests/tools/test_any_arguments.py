"""Whatever a planner writes into a call, a tool answers, or refuses with an error of its own."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nuthatch.tools.base import ToolCall
from nuthatch.tools.catalogue import default_tools
from nuthatch.tools.geometry import Box, Mask
from nuthatch.tools.media import Detection, MediaStore
from nuthatch.tools.weights import Weights
from nuthatch.tools.workbench import Workbench

TOOLS = default_tools()
HANDLES = ["image_1", "image_2", "audio_1", "mask_1", "detection_1.1", "detection_1", "image_9"]
WORDS = [
    "cup",
    "Cup ",
    "a . b",
    "",
    " ",
    "猫",
    "tasse à café",
    "cup " * 200,
    "cup\ncup",
    "\x00",
    "🐈",
]
NUMBERS = [0, 1, -1, 3, 40, 64, 10**6, 2**40, 0.5, -0.5, 1e-9, 1e300, math.nan, math.inf]

leaf = st.one_of(
    st.sampled_from(HANDLES),
    st.sampled_from(WORDS),
    st.sampled_from(NUMBERS),
    st.none(),
    st.booleans(),
    st.text(max_size=12),
)
value = st.recursive(leaf, lambda inner: st.lists(inner, max_size=5), max_leaves=12)


def plausible(schema: dict[str, Any], definitions: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that are nearly what a schema asks for."""
    if "$ref" in schema:
        return plausible(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions)
    if "anyOf" in schema:
        return st.one_of(*(plausible(part, definitions) for part in schema["anyOf"]))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "x-media" in schema:
        return st.sampled_from(HANDLES)
    if "prefixItems" in schema:
        return st.tuples(*(plausible(part, definitions) for part in schema["prefixItems"])).map(
            list
        )
    match schema.get("type"):
        case "array":
            return st.lists(plausible(schema.get("items", {}), definitions), max_size=5)
        case "number" | "integer":
            return st.one_of(st.sampled_from(NUMBERS), st.floats(-20, 120).map(round))
        case "boolean":
            return st.booleans()
        case "string":
            return st.one_of(st.sampled_from(WORDS), st.text(max_size=12))
        case "object" if "properties" in schema:
            return arguments(schema, definitions)
    return value


def arguments(schema: dict[str, Any], definitions: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Some arguments of a schema, most of them plausible, at times one that nobody asked for."""
    properties = schema.get("properties", {})
    required = {
        name: st.one_of(plausible(properties[name], definitions), value)
        for name in schema.get("required", ())
    }
    optional = {
        name: st.one_of(plausible(part, definitions), value)
        for name, part in properties.items()
        if name not in required
    }
    return st.fixed_dictionaries(required, optional=optional | {"more": leaf})


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    folder: Path = tmp_path_factory.mktemp("media")
    media = MediaStore(folder)
    noise = np.random.default_rng(0)
    media.add_image(noise.integers(0, 256, (40, 60, 3), dtype=np.uint8))
    media.add_image(noise.integers(0, 256, (9, 300, 3), dtype=np.uint8))
    media.add_audio(noise.uniform(-0.3, 0.3, 16_000).astype(np.float32))
    media.add_mask(Mask.of(np.eye(40, 60, dtype=bool)), made_by=None, parents=("image_1",))
    found = Detection(
        image="image_1",
        label="cup",
        score=0.5,
        score_kind="detector score",
        box=Box(x1=2, y1=3, x2=20, y2=30),
    )
    media.add_detections(media.reserve_detections(), [found])
    return Workbench(TOOLS, media, Weights())


@pytest.mark.parametrize("name", TOOLS.names)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_arguments_bring_out_a_bug(bench: Workbench, name: str, data: st.DataObject) -> None:
    schema = TOOLS[name].Args.model_json_schema()
    given_arguments = data.draw(arguments(schema, schema.get("$defs", {})))
    result = bench.execute(ToolCall("call_1", name, given_arguments))
    assert result.fault is None or not result.fault.is_bug, result.fault
