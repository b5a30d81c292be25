"""`ground`: phrases, their places in the text, and what they mean in the picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nuthatch.tools.base import ToolCall, ToolResult
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.composite.ground import Ground, known_noun, label_of
from nuthatch.tools.detection.detect import Detect
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.media.geometry import Box, iou
from nuthatch.tools.media.ingest import Pixels
from nuthatch.tools.media.store import MediaStore
from nuthatch.tools.segmentation.segment import Segment
from nuthatch.tools.weights.store import Weights
from nuthatch.training.world.scenes import make_scene
from tests.fakes import FakeDetector, paint

Box4 = tuple[float, float, float, float]
THINGS = [
    ("cup", (10.0, 10.0, 40.0, 50.0)),
    ("cup", (60.0, 10.0, 90.0, 50.0), 0.8),
    ("unicorn horn", (60.0, 60.0, 90.0, 90.0), 0.7),
]


class Boxes:
    """A segmenter that fills boxes."""

    def segment(
        self, image: Pixels, *, boxes: Sequence[Box4] | None, points: Any
    ) -> tuple[list[Any], list[float]]:
        masks = []
        for x1, y1, x2, y2 in boxes or ():
            mask = np.zeros(image.shape[:2], bool)
            mask[int(y1) : int(y2), int(x1) : int(x2)] = True
            masks.append(mask)
        return masks, [0.9] * len(masks)


@pytest.fixture
def executor(tmp_path: Path) -> ToolExecutor:
    return made(tmp_path, Ground())


def made(folder: Path, ground: Ground) -> ToolExecutor:
    media = MediaStore(folder)
    media.add_image(paint([("cup", None, box[1]) for box in THINGS]))
    weights = Weights()
    weights.put("detect", FakeDetector(THINGS))
    weights.put("segment", Boxes())
    return ToolExecutor(ToolSet([Detect(), Segment(), ground]), media, weights)


def run(executor: ToolExecutor, *phrases: Any) -> ToolResult:
    call = ToolCall("call_1", "ground", {"image": "image_1", "phrases": list(phrases)})
    return executor.run([call])[0]


def links(result: ToolResult) -> list[Any]:
    assert result.fault is None, result.fault
    value: Any = result.value
    return list(value.links)


def test_every_phrase_is_linked_to_what_fits_with_masks_best_first(executor):
    cups, horn, bear = links(run(executor, "two cups", "a unicorn horn", "the bear"))
    assert (cups.phrase, cups.score) == ("two cups", 0.9)
    assert cups.detections == ["detection_1.1", "detection_1.2"]
    assert cups.masks == ["mask_1", "mask_2"]
    assert (horn.detections, horn.masks, horn.score) == (["detection_1.3"], ["mask_3"], 0.7)
    assert (bear.detections, bear.masks, bear.score) == ([], [], None)
    assert executor.media.mask("mask_3").area == 30 * 30
    assert executor.media.detection("detection_1.3").label == "unicorn horn"


def test_places_in_the_text_come_back_with_the_link(executor):
    text = "There is a cup."
    start = text.index("a cup")
    phrase = {"text": "a cup", "start": start, "end": start + 5}
    (link,) = links(run(executor, phrase))
    assert link.span == (9, 14)
    assert text[slice(*link.span)] == link.phrase
    assert len(link.detections) == 2


def test_phrases_that_mean_the_same_share_detections_and_masks(executor):
    result = run(executor, "the cup", "cups", {"text": "mugs", "start": 0, "end": 4})
    assert {tuple(link.detections) for link in links(result)} == {
        ("detection_1.1", "detection_1.2")
    }
    assert executor.media.handles("mask") == ["mask_1", "mask_2"]


def test_inner_calls_are_recorded(executor):
    result = run(executor, "the cup", "a red cup")
    assert [(each.call.id, each.call.tool) for each in result.children] == [
        ("call_1.1", "detect"),
        ("call_1.2", "detect"),
        ("call_1.3", "segment"),
    ]


def test_a_phrase_that_finds_nothing_is_looked_for_by_its_noun(executor):
    (link,) = links(run(executor, "the big red cup"))
    assert link.detections == ["detection_2.1", "detection_2.2"]
    assert executor.media.detection("detection_2.1").label == "cup"


def test_masks_can_be_left_out(tmp_path):
    executor = made(tmp_path, Ground(masks=False))
    (link,) = links(run(executor, "the cup"))
    assert (len(link.detections), link.masks) == (2, [])
    assert executor.media.handles("mask") == []


@pytest.mark.parametrize(
    ("phrase", "words"),
    [
        ("", "0 words"),
        ("the two", "0 words"),
        ("...", "0 words"),
        ("word " * 500, "500 words"),
        ({"text": "cup", "start": 4, "end": 9}, "give end = start"),
        ({"text": "cup", "start": 7, "end": 4}, "give end = start"),
        ({"text": "cup", "start": -3, "end": 0}, "greater than or equal to 0"),
        ({"text": "cup"}, "start"),
    ],
)
def test_a_phrase_that_names_nothing_says_what_to_give(executor, phrase, words):
    fault = run(executor, "the cup", phrase).fault
    assert fault is not None
    assert fault.code == "invalid_arguments"
    assert words in fault.message


def test_without_a_detector_the_tool_is_unavailable(tmp_path):
    media = MediaStore(tmp_path)
    media.add_image(paint([]))
    tools = ToolSet([Detect(), Segment(), Ground()])
    fault = run(ToolExecutor(tools, media, Weights(tmp_path)), "the cup").fault
    assert fault is not None
    assert fault.code == "weights_missing"


@pytest.mark.parametrize(
    ("phrase", "label"),
    [
        ("the cup", "cup"),
        ("Two of the small cups,", "small cups"),
        ("3 dogs", "dogs"),
        ("all these St. Bernard dogs", "st bernard dogs"),
        ("no cup", "no cup"),
        ("唐 杯", "唐 杯"),
    ],
)
def test_articles_and_numbers_before_a_noun_are_left_off(phrase, label):
    assert label_of(phrase) == label


def test_only_a_noun_at_the_end_of_a_longer_phrase_is_known():
    assert known_noun("red wine glasses") == "wine glasses"
    assert known_noun("wine glass") is None
    assert known_noun("unicorn horn") is None


def test_planners_are_shown_plain_phrases():
    (schema,) = ToolSet([Ground()]).schemas()
    assert schema["description"] == "Link phrases of a text to the objects they mean in a picture."
    assert schema["parameters"]["properties"]["phrases"] == {
        "description": "noun phrases of a text",
        "items": {"type": "string"},
        "maxItems": 64,
        "minItems": 1,
        "title": "Phrases",
        "type": "array",
    }


def test_with_the_shipped_weights_an_object_is_found_and_cut_out(tmp_path):
    media = MediaStore(tmp_path)
    scene = make_scene(3, "test")  # with a teddy bear
    media.add_image(scene.image)
    executor = ToolExecutor(ToolSet([Detect(), Segment(), Ground()]), media, Weights())
    bear, bell = links(run(executor, "a teddy bear", "a bell"))
    ((index, real),) = (
        (index, each) for index, each in enumerate(scene.objects) if each.category == "teddy bear"
    )
    assert iou(media.detection(bear.detections[0]).box, Box.of(real.box)) > 0.5
    mask, truth = media.mask(bear.masks[0]).numpy(), scene.mask(index)
    assert (mask & truth).sum() / (mask | truth).sum() > 0.5
    assert bell.detections == []
