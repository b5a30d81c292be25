"""Tools that need no model: measure, crop, calculate; and the schemas of all."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nuthatch.tools.base import ToolCall, ToolResult
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.basic.calculate import Calculate
from nuthatch.tools.basic.crop import CropPicture
from nuthatch.tools.basic.measure import Measure, relation
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.media.geometry import Box
from nuthatch.tools.media.store import Detection, MediaStore
from nuthatch.tools.weights.store import Weights


@pytest.fixture
def executor(tmp_path: Path) -> ToolExecutor:
    media = MediaStore(tmp_path)
    media.add_image(np.zeros((100, 200, 3), np.uint8))
    media.add_image(np.zeros((50, 50, 3), np.uint8))
    places = [(10, 10, 30, 30), (100, 12, 120, 32), (102, 60, 122, 90)]
    named = [
        Detection(image="image_1", label="cup", score=0.9, score_kind="s", box=Box.of(place))
        for place in places
    ]
    other = Detection(image="image_2", label="cup", score=0.9, score_kind="s", box=named[0].box)
    media.add_detections(media.reserve_detections(), named)
    media.add_detections(media.reserve_detections(), [other])
    return ToolExecutor(ToolSet([Measure(), CropPicture(), Calculate()]), media, Weights())


def run(executor: ToolExecutor, tool: str, **arguments: Any) -> ToolResult:
    return executor.execute(ToolCall("call_1", tool, arguments))


def value(result: ToolResult) -> Any:
    assert result.fault is None, result.fault
    return result.value


def test_counting_counts_each_object_once(executor):
    counted = run(executor, "measure", op="count", a=["detection_1", "detection_1.2"])
    assert value(counted).value == 3


def test_the_relation_is_named_on_the_axis_with_the_larger_share(executor):
    side = value(run(executor, "measure", op="relation", a=["detection_1.1"], b=["detection_1.2"]))
    assert (side.value, side.clear) == ("left of", True)
    assert side.numbers["dx"] == pytest.approx(-0.45)
    up = value(run(executor, "measure", op="relation", a=["detection_1.2"], b=["detection_1.3"]))
    assert (up.value, up.clear) == ("above", True)


def test_a_relation_within_five_percent_is_not_clear():
    near = relation(Box.of((0, 0, 10, 10)), Box.of((4, 0, 14, 10)), width=100, height=100)
    assert near[0] == "left of"
    assert near[2] is False


def test_order_goes_from_left_to_right(executor):
    ordered = value(run(executor, "measure", op="order", a=["detection_1"]))
    assert ordered.value == ["detection_1.1", "detection_1.2", "detection_1.3"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"op": "relation", "a": ["detection_1"], "b": ["detection_1.1"]}, "given 3 and 1"),
        ({"op": "distance", "a": ["detection_1.1"]}, "given 1 and 0"),
        ({"op": "relation", "a": ["detection_1.1"], "b": ["detection_2.1"]}, "different pictures"),
        ({"op": "count", "a": ["detection_9"]}, "live handles"),
        ({"op": "sum", "a": ["detection_1"]}, "op"),
    ],
)
def test_a_wrong_measurement_says_how_to_ask(executor, arguments, words):
    fault = run(executor, "measure", **arguments).fault
    assert fault.is_retryable
    assert words in fault.message


def test_a_crop_is_a_new_picture_with_its_place_in_the_old_one(executor):
    crop = value(run(executor, "crop", image="image_1", detection="detection_1.1", margin=0.5))
    assert crop.box.xyxy == (0, 0, 40, 40)
    made = executor.media[crop.image]
    assert (made.width, made.height, made.parents, made.made_by) == (
        40,
        40,
        ("image_1",),
        "call_1",
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"box": [500, 500, 600, 600]}, "200x100 pixels"),
        ({"box": [0, 0, 2, 2], "margin": 0}, "take one of 8"),
        ({}, "exactly one of box and detection"),
        ({"detection": "detection_2.1"}, "lies on image_2"),
    ],
)
def test_a_crop_that_cannot_be_says_why(executor, arguments, words):
    fault = run(executor, "crop", image="image_1", **arguments).fault
    assert fault.is_retryable
    assert words in fault.message


@pytest.mark.parametrize(
    ("expression", "result"),
    [("3 + 4 * 2", 11), ("(3+4)*2", 14), ("-2 ** 2", -4), ("7 // 2", 3), ("sqrt(16)", 4)],
)
def test_arithmetic_follows_the_usual_rules(executor, expression, result):
    assert value(run(executor, "calculate", expression=expression)).value == result


@pytest.mark.parametrize(
    "expression",
    ["1/0", "9**9**9", "__import__('os')", "x + 1", "2 +", "True + 1", "(" * 150, "1e300 * 1e10"],
)
def test_what_is_no_arithmetic_is_refused(executor, expression):
    fault = run(executor, "calculate", expression=expression).fault
    assert fault.code == "invalid_arguments"
    assert expression[:5] in fault.message
