"""Thousands of calls with arguments of every kind: each ends in a result or a typed fault."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nuthatch.tools.base import ToolCall
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.faults import ToolFault
from nuthatch.tools.media.ingest import MediaError
from nuthatch.tools.toolbox import Toolbox
from tests.tools.base.test_any_arguments import CASES, arguments
from tests.tools.every_model import OTHERS, TOOLS, little_media, others, shipped

EACH = 50
"""Calls of each tool with each kind of models; half as many again by way of a toolbox."""
LONGEST = 20.0  # seconds
WIDE = [
    np.zeros((1, 1, 3), np.uint8),
    np.full((1, 900, 3), 255, np.uint8),
    np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3),
]
SOUNDS = [
    np.zeros(1, np.float32),
    np.full(400, 1.0, np.float32),
    (np.zeros(8000, np.float32), 8000),
]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def executors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ToolExecutor]]:
    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUTHATCH_CACHE", str(folder / "cache"))
        patch.setenv("OMP_THREAD_LIMIT", "1")  # of tesseract, whose threads wait for each other
        media = little_media(folder / "media")
        models = {"shipped": shipped(folder), "others": others(folder)}
        yield {name: ToolExecutor(TOOLS, media, weights) for name, weights in models.items()}


FUZZED = settings(
    max_examples=EACH,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)


@pytest.mark.parametrize(("models", "name"), CASES)
@FUZZED
@given(data=st.data())
def test_every_call_on_a_bench_ends_in_a_result_or_a_fault(
    executors: dict[str, ToolExecutor], models: str, name: str, data: st.DataObject
) -> None:
    schema = TOOLS[name].Args.model_json_schema()
    how = data.draw(st.sampled_from(["right", "near", "wild"]))
    drawn = data.draw(arguments(schema, schema.get("$defs", {}), how))
    began = time.monotonic()
    (result,) = executors[models].run([ToolCall("call_1", name, drawn)])
    assert time.monotonic() - began < LONGEST
    assert result.fault is None or not result.fault.is_bug, result.fault
    assert result.fault is None or result.fault.code != "timeout", result.fault


def with_media(value: Any, data: st.DataObject) -> Any:
    """The same with pictures and sounds in the place of some handles."""
    if isinstance(value, dict):
        return {name: with_media(part, data) for name, part in value.items()}
    if isinstance(value, list):
        return [with_media(part, data) for part in value]
    if isinstance(value, str) and value.startswith(("image_", "audio_")):
        media = WIDE if value.startswith("image") else SOUNDS
        return data.draw(st.sampled_from([value, *media]))
    return value


@pytest.mark.parametrize("name", TOOLS.names)
@settings(FUZZED, max_examples=EACH // 2)
@given(data=st.data())
def test_every_call_by_way_of_a_toolbox_gives_a_view_or_raises_what_it_promises(
    executors: dict[str, ToolExecutor], name: str, data: st.DataObject
) -> None:
    schema = TOOLS[name].Args.model_json_schema()
    how = data.draw(st.sampled_from(["right", "near", "wild"]))
    drawn = with_media(data.draw(arguments(schema, schema.get("$defs", {}), how)), data)
    executor = executors["shipped"]
    box = Toolbox(ToolSet(TOOLS), weights=executor.weights)
    began = time.monotonic()
    try:
        str(box.run(name, **{str(key): part for key, part in drawn.items()}))
    except (ToolFault, MediaError) as fault:
        if fault.code in ("internal", "timeout"):
            raise
    assert time.monotonic() - began < LONGEST


def test_there_are_enough_calls() -> None:
    calls = len(CASES) * EACH + len(TOOLS.names) * (EACH // 2)
    assert calls >= 2000
    assert set(OTHERS) <= set(TOOLS.names)
