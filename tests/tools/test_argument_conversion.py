"""Calls of a `Toolbox`: arguments as Python programs have them, or a message what to write."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import BaseModel

from nuthatch.tools.base.function_tool import tool
from nuthatch.tools.base.tool import AudioRef, Context, ImageRef, MaskRef
from nuthatch.tools.basic.crop import CropPicture
from nuthatch.tools.basic.measure import Measure
from nuthatch.tools.detection.detect import Detect
from nuthatch.tools.faults import RetryCall, ToolFault
from nuthatch.tools.media.geometry import Box, Mask
from nuthatch.tools.media.ingest import MediaError
from nuthatch.tools.segmentation.segment import SegmentArgs
from nuthatch.tools.tagging.describe_attributes import DescribeAttributesArgs
from nuthatch.tools.toolbox import Toolbox, View
from nuthatch.tools.weights.store import Weights
from tests.fakes import FakeDetector

PIXELS = np.full((60, 80, 3), 200, np.uint8)
TRUTH = [("cup", (10, 10, 40, 50)), ("bell", (50, 20, 70, 40)), ("cup", (45, 5, 60, 18))]
CUPS = [(10.0, 10.0, 40.0, 50.0), (45.0, 5.0, 60.0, 18.0)]


class Given(BaseModel):
    """What a tool received."""

    arguments: dict[str, list[str] | list[tuple[float, ...]] | None]


class Echo(Detect):
    """Tools with the arguments of real ones, which tell what they received."""

    merges = False
    caches = False
    weights = ()
    Result = Given

    def __init__(self, name: str, args: type[BaseModel]) -> None:
        self.name, self.Args = name, args

    def run(self, args: Any, context: Context) -> Given:
        parts = dict(args)
        return Given(
            arguments={
                name: part if isinstance(part, list) else [part]
                for name, part in parts.items()
                if part is not None and not isinstance(part, int)
            }
        )


@tool
def cover(image: ImageRef, mask: MaskRef, context: Context) -> int:
    """Say how many pixels a mask covers."""
    return context.media.mask(mask).area


@tool
def listen(audio: AudioRef, context: Context) -> int:
    """Say how many samples a sound has."""
    return len(context.media.audio(audio))


@tool
def look_at_all(images: list[ImageRef], names: list[str], times: list[int]) -> list[str]:
    """Say which pictures were given."""
    return [*images, *names, *map(str, times)]


@pytest.fixture
def box() -> Toolbox:
    weights = Weights()
    weights.put("detect", FakeDetector(TRUTH))
    echoes = [Echo("segment", SegmentArgs), Echo("describe_attributes", DescribeAttributesArgs)]
    tools = [Detect(), CropPicture(), Measure(), *echoes, cover, listen, look_at_all]
    return Toolbox(tools, weights=weights)


@pytest.fixture
def found(box: Toolbox) -> View:
    return box.run("detect", image=PIXELS, labels="cup")


def received(box: Toolbox, tool: str, **arguments: Any) -> dict[str, list[Any]]:
    return box.run(tool, **arguments).value.arguments


def refused(box: Toolbox, tool: str, **arguments: Any) -> str:
    with pytest.raises(RetryCall) as caught:
        box.run(tool, **arguments)
    return str(caught.value)


@pytest.mark.parametrize(
    "labels",
    ["cup", ("cup",), {"cup"}, {"cup": 1}.keys(), iter(["cup"]), np.array(["cup"])],
    ids=lambda each: type(each).__name__,
)
def test_one_label_and_any_collection_of_labels_are_a_list(box, labels):
    found = box.run("detect", image=PIXELS, labels=labels)
    assert found.value.labels_searched == ["cup"]


def as_tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1)


@pytest.mark.parametrize("make", [np.copy, Image.fromarray, as_tensor], ids=lambda f: f.__name__)
def test_a_picture_in_any_form_is_one_medium(box, found, make):
    again = box.run("detect", image=make(PIXELS), labels="cup")
    assert again.value.detections[0].image == "image_1"
    assert box.media.handles("image") == ["image_1"], "given again, it is not kept twice"


def test_a_file_may_be_a_path_its_name_its_bytes_or_open(box, tmp_path):
    path = tmp_path / "grey.png"
    Image.fromarray(PIXELS).save(path)
    with path.open("rb") as file:
        for given in (path, str(path), path.read_bytes(), file):
            assert box.run("detect", image=given, labels="cup").value.detections
    assert box.media.handles("image") == ["image_1"]


@pytest.mark.parametrize(
    "pick",
    [
        lambda found: found,
        lambda found: found.result,
        lambda found: found.value,
        lambda found: found.value.detections,
        lambda found: tuple(found.value.detections),
        lambda found: [each.handle for each in found.value.detections],
    ],
    ids=["view", "result", "value", "list", "tuple", "handles"],
)
def test_earlier_detections_are_given_as_they_are_and_bring_their_picture(box, found, pick):
    arguments = received(box, "segment", detections=pick(found))
    assert arguments["detections"] == ["detection_1.1", "detection_1.2"]
    assert arguments["image"] == ["image_1"]


@pytest.mark.parametrize(
    "boxes",
    [
        CUPS,
        np.array(CUPS),
        torch.tensor(CUPS),
        [np.array(box) for box in CUPS],
        [Box.of(box) for box in CUPS],
    ],
    ids=["tuples", "array", "tensor", "arrays", "Box"],
)
def test_boxes_are_numbers_in_any_form(box, boxes):
    assert received(box, "segment", image=PIXELS, boxes=boxes)["boxes"] == CUPS


def test_detections_stand_for_their_boxes_where_boxes_are_expected(box, found):
    for given in (found, found.value, found.value.detections):
        assert received(box, "segment", image=PIXELS, boxes=given)["boxes"] == CUPS
    region = received(box, "describe_attributes", image=PIXELS, region=Box.of(CUPS[0]))["region"]
    assert [tuple(each) for each in region] == [CUPS[0]]
    crop = box.run("crop", image=PIXELS, box=found.value.detections[0], margin=0)
    assert crop.value.box.xyxy == CUPS[0]


def test_one_box_point_or_detection_is_a_list_of_one(box, found):
    first = found.value.detections[0]
    assert received(box, "segment", image=PIXELS, boxes=CUPS[0])["boxes"] == [CUPS[0]]
    assert received(box, "segment", image=PIXELS, boxes=first.box)["boxes"] == [CUPS[0]]
    assert received(box, "segment", image=PIXELS, points=(30, 30))["points"] == [(30, 30)]
    point = np.array([30, 30])
    assert received(box, "segment", image=PIXELS, points=point)["points"] == [(30, 30)]
    assert received(box, "segment", detections=first)["detections"] == ["detection_1.1"]


def test_a_detection_is_a_region_with_its_picture(box, found):
    arguments = received(box, "describe_attributes", region=found.value.detections[1])
    assert arguments == {"image": ["image_1"], "region": ["detection_1.2"]}


def test_numbers_of_numpy_and_torch_are_numbers(box):
    for threshold in (np.float32(0.5), torch.tensor(0.5)):
        view = box.run("detect", image=PIXELS, labels="cup", threshold=threshold)
        assert view.value.threshold == 0.5


def test_a_result_with_a_new_picture_is_that_picture(box, found):
    cut = box.run("crop", detection=found.value.detections[0])
    again = box.run("detect", image=cut, labels="cup")
    assert {each.image for each in again.value.detections} == {cut.value.image}
    assert box.run("detect", image=found, labels="cup").value.detections[0].image == "image_1"
    assert box.run("measure", op="count", a=found).value.value == 2


def test_media_of_another_store_come_along(box, found):
    other = Toolbox([Detect()], weights=box.weights)
    dark = other.run("detect", image=np.zeros((20, 20, 3), np.uint8), labels="cup")
    item = other.media["image_1"]
    assert box.run("detect", image=item, labels="cup").value.detections[0].image == "image_2"
    assert box.run("detect", image=box.media["image_1"], labels="cup").value.detections
    message = refused(box, "segment", detections=dark)
    assert "this toolbox did not make" in message
    assert "give its box, (10, 10, 20, 20)" in message


@pytest.mark.parametrize("form", ["bool", "Mask", "picture", "file", "handle"])
def test_a_mask_may_be_an_array_a_picture_or_a_handle(box, form, tmp_path):
    inside = np.zeros((60, 80), bool)
    inside[10:20, 10:40] = True
    picture = Image.fromarray(inside.astype(np.uint8) * np.uint8(255))
    picture.save(tmp_path / "mask.png")
    forms: dict[str, Any] = {
        "bool": inside,
        "Mask": Mask.of(inside),
        "picture": picture,
        "file": str(tmp_path / "mask.png"),
    }
    if form == "handle":
        box.run("cover", image=PIXELS, mask=inside)
        forms[form] = "mask_1"
    assert box.run("cover", image=PIXELS, mask=forms[form]).value.value == 300
    assert box.media["mask_1"].parents == ("image_1",)


def test_a_mask_of_another_size_is_refused(box):
    message = refused(box, "cover", image=PIXELS, mask=np.ones((10, 20), bool))
    assert "a mask of 20x10 pixels; expected one of the picture's size, 80x60" in message


def test_sounds_come_as_samples_with_or_without_their_rate(box):
    samples = np.sin(np.arange(1600) / 5).astype(np.float32)
    for given in (samples, torch.from_numpy(samples), (samples, 16_000)):
        assert box.run("listen", audio=given).value.value == 1600


def test_lists_of_media_and_of_plain_values(box):
    batch = np.stack([PIXELS, PIXELS - 9])
    names = box.run("look_at_all", images=batch, names="one", times=np.arange(2)).value.value
    assert names == ["image_1", "image_2", "one", "0", "1"]
    single = box.run("look_at_all", images=PIXELS, names=["a"], times=3).value.value
    assert single == ["image_1", "a", "3"]


def test_a_misspelt_argument_is_answered_with_the_nearest(box):
    message = refused(box, "detect", image=PIXELS, lables="cup")
    assert "no argument 'lables'; did you mean 'labels'?" in message
    assert "image, labels, threshold, region, tiles" in message


def test_what_is_missing_is_told_with_what_to_give(box):
    assert "detect.labels is missing; expected: short noun phrases" in refused(
        box, "detect", image=PIXELS
    )
    assert "detect.image is missing; expected: a path, bytes" in refused(box, "detect", labels="x")


def test_a_wrong_value_is_told_with_what_was_given_and_what_is_expected(box, found):
    message = refused(box, "detect", image=PIXELS, labels=[])
    assert "given list []; expected: short noun phrases" in message
    assert "given str 'high'" in refused(box, "detect", image=found, labels="x", threshold="high")
    region = refused(box, "describe_attributes", image=PIXELS, region=[1, 2, 3, "x"])
    assert "region is none of what it may be; given list [1, 2, 3, 'x']" in region
    assert region.endswith("x1 y1 x2 y2 in pixels")
    assert "give exactly one of boxes, points, detections" in refused(box, "segment", image=PIXELS)


def test_several_where_one_is_expected_are_named(box, found):
    message = refused(box, "crop", detection=found)
    assert "the result of detect, which has 2: detection_1.1, detection_1.2" in message
    assert "found.value.detections[0]" in message
    assert "the result of detect, which has none" in refused(box, "listen", audio=found)


def test_an_object_of_the_wrong_kind_is_named(box, found):
    first = found.value.detections[0]
    assert "given a Detection" in refused(box, "detect", image=first, labels="cup")
    assert "given a Box" in refused(box, "crop", image=PIXELS, detection=first.box)


def test_a_handle_that_names_nothing_is_answered_with_those_that_do(box, found):
    with pytest.raises(MediaError, match="no image 'image_9' in this toolbox; there is: image_1"):
        box.run("detect", image="image_9", labels="cup")


def test_of_many_calls_a_wrong_one_leaves_the_others_alone(box):
    right = ("detect", {"image": PIXELS, "labels": "cup"})
    wrong = ("detect", {"image": PIXELS, "label": "cup"})
    no_object: Any = ("detect", None)
    first, second, third, fourth = box.run_many([wrong, right, no_object, ("detct", {})])
    assert [isinstance(each, ToolFault) for each in (first, second, third, fourth)] == [
        True,
        False,
        True,
        True,
    ]
    assert "did you mean 'labels'" in str(first)


def test_a_bug_of_the_tool_is_no_wrong_argument(box):
    @tool
    def broken(times: int) -> int:
        """Fail."""
        raise KeyError("nothing")

    (fault,) = Toolbox([broken]).run_many([("broken", {"times": 1})])
    assert isinstance(fault, ToolFault)
    assert fault.code == "internal"
    assert Path(__file__).name in "".join(fault.__notes__)
