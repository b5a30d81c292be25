"""What people and planners get wrong: empty results, or a fault that says how to call."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from nuthatch.tools.base import ToolCall, ToolResult
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.media.geometry import Mask
from nuthatch.training.world.scenes import make_scene
from nuthatch.training.world.sounds import make_sound
from tests.tools.every_model import TOOLS, little_media, shipped

MODELS = {
    "detect": {"image": "image_1", "labels": ["cup"]},
    "segment": {"image": "image_1", "boxes": [[2, 3, 30, 30]]},
    "tag": {"image": "image_1"},
    "ask_region": {"image": "image_1", "question": "What is it?"},
    "tag_sound": {"audio": "audio_2"},  # the first is noise, which it does not know
    "transcribe": {"audio": "audio_1"},
    "generate_image": {"prompt": "a cup"},
}
"""Calls of tools that have a model of their own."""
REGIONS = {
    "inverted": [30, 30, 3, 2],
    "outside": [70, 50, 90, 60],
    "outside, before": [-20, -20, -1, -1],
    "empty": [5, 5, 5, 30],
}


@pytest.fixture(scope="module")
def executor(tmp_path_factory: pytest.TempPathFactory) -> ToolExecutor:
    folder: Path = tmp_path_factory.mktemp("bad")
    media = little_media(folder)
    media.add_audio(make_sound(0, "test").samples)
    return ToolExecutor(TOOLS, media, shipped(folder))


def run(executor: ToolExecutor, tool: str, **arguments: Any) -> ToolResult:
    return executor.execute(ToolCall("call_1", tool, arguments))


def value(result: ToolResult) -> Any:
    assert result.fault is None, result.fault
    return result.value


# -- words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [[], [""], ["  "], ["cup " * 500], ["cup . dog"]])
def test_labels_that_no_detector_reads_are_refused(executor, labels):
    result = run(executor, "detect", image="image_1", labels=labels)
    assert result.fault is not None
    assert result.fault.code == "invalid_arguments"
    assert len(result.fault.message) < 600


def test_labels_that_come_twice_are_looked_for_once(executor):
    found = run(executor, "detect", image="image_1", labels=["cup", "Cup ", "cup"], threshold=0.001)
    once = run(executor, "detect", image="image_1", labels=["cup"], threshold=0.001)
    assert [each.box for each in value(found).detections] == [
        each.box for each in value(once).detections
    ]


@pytest.mark.parametrize("label", ["猫", "кошка", "قطة", "🐈"])
def test_labels_in_any_script_find_something_or_nothing(executor, label):
    result = run(executor, "detect", image="image_1", labels=[label])
    assert result.fault is None or not result.fault.is_bug


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("generate_image", {"prompt": "word " * 10_000}),
        ("edit_image", {"image": "image_1", "mask": "mask_1", "prompt": "word " * 10_000}),
        ("ask_region", {"image": "image_1", "question": "word " * 10_000}),
        ("ask_region", {"image": "image_1", "question": "?", "options": ["word " * 10_000]}),
        ("ask_region", {"image": "image_1", "question": "?", "options": [" "]}),
        ("ground", {"image": "image_1", "phrases": ["word " * 10_000]}),
    ],
)
def test_ten_thousand_words_are_refused_before_a_model_reads_them(executor, tool, arguments):
    result = run(executor, tool, **arguments)
    assert result.fault is not None
    assert not result.fault.is_bug
    assert len(result.fault.message) < 1000


@pytest.mark.parametrize("side", [63, 65, 100_000, 0, -8])
def test_sides_that_no_painter_paints_are_refused(executor, side):
    result = run(executor, "generate_image", prompt="a cup", width=side)
    assert result.fault is not None
    assert result.fault.code == "invalid_arguments"


# -- places ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("region", REGIONS.values(), ids=REGIONS)
def test_nothing_is_found_where_no_part_of_the_picture_is(executor, region):
    found = value(run(executor, "detect", image="image_1", labels=["cup"], region=region))
    assert found.detections == []
    cut = value(run(executor, "segment", image="image_1", boxes=[region, [2, 3, 30, 30]]))
    assert cut.areas[0] == 0
    assert executor.media.mask(cut.masks[0]).area == 0
    assert len(cut.areas) == 2


@pytest.mark.parametrize("region", REGIONS.values(), ids=REGIONS)
@pytest.mark.parametrize("tool", ["caption", "ask_region"])
def test_what_needs_a_part_of_the_picture_says_how_to_name_one(executor, tool, region):
    part = {"region": region} if tool == "caption" else {"boxes": [region], "question": "What?"}
    result = run(executor, tool, image="image_1", **part)
    assert result.fault is not None
    assert not result.fault.is_bug
    assert "60x40" in result.fault.message


@pytest.mark.parametrize(
    ("size", "counts"),
    [
        ((40, 60), "0"),
        ((40, 60), "o" * 100_000),
        ((40, 60), "PPPPPPPPPPPPPPPPPPPPPPPP0"),
        ((2**31, 2**31), "0"),
        ((10**6, 10**6), "0"),
        ((0, 60), "0"),
        ((-4, -4), "0"),
        ((40, 60), ""),
        ((40, 60), "\x00\xff"),
    ],
)
def test_hostile_runs_are_no_mask(size, counts):
    with pytest.raises(ValidationError):
        Mask(size=size, counts=counts)


# -- memory, threads, orders ----------------------------------------------------------------------


@pytest.mark.parametrize("tool", MODELS)
def test_after_memory_ran_out_the_next_call_works(executor, tool, monkeypatch):
    def full(*_: Any, **__: Any) -> Any:
        raise MemoryError

    name = TOOLS[tool].weights[0]
    model = executor.weights.get(name)
    with monkeypatch.context() as patch:
        for method in ("detect", "segment", "tag_image", "answers", "tag", "hear", "paint", "find"):
            if hasattr(model, method):
                patch.setattr(model, method, full)
        failed = run(executor, tool, **MODELS[tool])
        assert failed.fault is not None
        assert failed.fault.code == "out_of_memory"
        assert not failed.fault.is_bug
    value(run(executor, tool, **MODELS[tool]))


def test_two_threads_in_one_tool_get_what_each_would_get_alone(tmp_path):
    media = little_media(tmp_path / "media")
    pictures = [media.add_image(make_scene(seed, "test").image).handle for seed in range(2)]
    sounds = [media.add_audio(make_sound(seed, "test").samples).handle for seed in range(2)]
    executor = ToolExecutor(TOOLS, media, shipped(tmp_path))
    calls = [
        *(("segment", {"image": image, "boxes": [[9, 9, 80, 70]]}) for image in pictures),
        *(("detect", {"image": image, "labels": ["cup", "dog"]}) for image in pictures),
        *(("tag", {"image": image}) for image in pictures),
        *(("transcribe", {"audio": audio}) for audio in sounds),
    ]

    def told(call: tuple[str, dict[str, Any]]) -> Any:
        found = value(run(executor, call[0], **call[1]))
        if call[0] == "segment":
            return [
                np.flatnonzero(executor.media.mask(mask).numpy()).tolist() for mask in found.masks
            ]
        if call[0] == "detect":
            return [(each.label, each.score, each.box) for each in found.detections]
        return found

    alone = [told(call) for call in calls]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(told, calls)) == alone


@pytest.mark.parametrize(
    "tool", ["read_text", "transcribe", "caption", "caption_many", "describe", "ask_region"]
)
def test_words_that_come_from_media_are_marked(executor, tool):
    fields = TOOLS[tool].taint
    assert fields
    assert set(fields) <= set(TOOLS[tool].Result.model_fields)
