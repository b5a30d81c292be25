"""Thin and tiny pictures: every tool answers, or refuses with an error of its own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nuthatch.tools.base import ToolCall
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.media.geometry import Box
from nuthatch.tools.media.ingest import MediaError
from nuthatch.tools.media.store import Detection, MediaStore
from tests.tools.every_model import TOOLS, shipped

SIZES = ((8, 8), (8, 4000), (20_000, 16))
"""(width, height)"""
CORNER = [0, 0, 8, 8]
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("detect", {"labels": ["cup"]}),
    ("detect", {"labels": ["cup"], "tiles": 3}),
    ("detect", {"labels": ["cup"], "region": CORNER}),
    ("tag", {}),
    ("describe_attributes", {}),
    ("describe_attributes", {"region": [1.2, 1.2, 1.6, 1.6]}),
    ("segment", {"points": [[4, 4]]}),
    ("segment", {"boxes": [CORNER, [0.2, 0.2, 0.4, 0.4]]}),
    ("segment_everything", {}),
    ("crop", {"box": CORNER}),
    ("crop", {"detection": "detection_1.1"}),
    ("caption", {}),
    ("caption", {"region": CORNER}),
    ("caption_many", {"n": 2}),
    ("describe", {}),
    ("ground", {"phrases": ["a cup"]}),
    ("read_text", {"region": CORNER}),
    ("ask_region", {"question": "What is it?"}),
    ("ask_region", {"question": "What is it?", "boxes": [CORNER]}),
    ("locate_sound_source", {"audio": "audio_1"}),
    ("edit_image", {"detection": "detection_1.1", "prompt": "a cup"}),
    ("verify_answer", {"answer": "There is no cat."}),
    ("correct_answer", {"answer": "There is a red cup left of two dogs."}),
]


@pytest.fixture(scope="module")
def executor(tmp_path_factory: pytest.TempPathFactory) -> ToolExecutor:
    folder: Path = tmp_path_factory.mktemp("thin")
    media = MediaStore(folder)
    noise = np.random.default_rng(0)
    for number, (width, height) in enumerate(SIZES, start=1):
        pixels = noise.integers(0, 256, (height, width, 3), dtype=np.uint8)
        handle = media.add_image(pixels).handle
        cup = Detection(
            image=handle, label="cup", score=0.5, score_kind="s", box=Box.of((1, 1, 7, 7))
        )
        assert media.reserve_detections() == f"detection_{number}"
        media.add_detections(f"detection_{number}", [cup])
    media.add_audio(noise.uniform(-0.3, 0.3, 16_000).astype(np.float32))
    return ToolExecutor(TOOLS, media, shipped(folder))


def test_every_tool_that_takes_a_picture_is_called() -> None:
    takes_pictures = {tool.name for tool in TOOLS if "image" in tool.Args.model_fields}
    assert takes_pictures == {name for name, _ in CALLS}


@pytest.mark.parametrize(("name", "arguments"), CALLS, ids=lambda part: str(part)[:60])
def test_no_size_is_a_bug_of_a_tool(
    executor: ToolExecutor, name: str, arguments: dict[str, Any]
) -> None:
    for number in range(1, len(SIZES) + 1):
        given = {"image": f"image_{number}", **arguments}
        if "detection" in given:
            given["detection"] = f"detection_{number}.1"
        result = executor.execute(ToolCall("call_1", name, given))
        if result.fault is not None:
            assert not result.fault.is_bug, (SIZES[number - 1], result.fault.detail)
            assert result.fault.code in {"invalid_arguments", "dependency_missing"}


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (7, 4000)])
def test_what_is_too_small_for_any_tool_is_refused_at_the_door(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    with pytest.raises(MediaError, match="at least 8 a side"):
        MediaStore(tmp_path).add_image(np.zeros((*size, 3), np.uint8))
