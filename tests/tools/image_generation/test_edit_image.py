"""`edit_image`, with a tiny painter."""

import json
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from nuthatch.tools.base import ToolCall, ToolResult
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.image_generation import sdxl as painter
from nuthatch.tools.image_generation.edit_image import EditImage, enlarge, fit, window
from nuthatch.tools.image_generation.recipe import Recipe
from nuthatch.tools.image_generation.sdxl import Painter
from nuthatch.tools.media.geometry import Box, Mask
from nuthatch.tools.media.store import Detection, MediaStore
from nuthatch.tools.output.provenance import XMP
from nuthatch.tools.weights.store import Weights
from tests.tools.image_generation.little_painter import save_base

RECIPE = Recipe(steps=3)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Painter:
    return painter.load(save_base(tmp_path_factory.mktemp("edit")))


@pytest.fixture
def executor(model, tmp_path) -> ToolExecutor:
    """Two pictures of a size that no model takes; a mask, an empty mask, and detections."""
    media = MediaStore(tmp_path)
    for seed in (0, 1):
        media.add_image(np.random.default_rng(seed).integers(0, 256, (77, 101, 3), np.uint8))
    disc = np.hypot(*np.ogrid[-30:47, -40:61]) < 14
    for pixels in (disc, np.zeros_like(disc)):
        media.add_mask(Mask.of(pixels), made_by=None, parents=("image_1",))
    boxes = [(10.4, 5.5, 30.2, 20.0), (60.0, 40.0, 101.0, 77.0)]
    found = [
        Detection(image="image_1", label="cup", score=0.9, score_kind="s", box=Box.of(box))
        for box in boxes
    ]
    media.add_detections(media.reserve_detections(), found)
    media.add_detections(media.reserve_detections(), [])
    return executor_of(model, media, EditImage(RECIPE))


def executor_of(model: object, media: MediaStore, tool: EditImage) -> ToolExecutor:
    weights = Weights()
    weights.put("generate_image", model)
    return ToolExecutor(ToolSet([tool]), media, weights)


def run(executor: ToolExecutor, **arguments: Any) -> ToolResult:
    return executor.execute(
        ToolCall("call_1", "edit_image", {"image": "image_1", "prompt": "a cat"} | arguments)
    )


def value(result: ToolResult) -> Any:
    assert result.fault is None, result.fault
    return result.value


def test_only_the_pixels_of_the_mask_change(executor, model):
    made = value(run(executor, mask="mask_1", seed=4))
    before, after = executor.media.image("image_1"), executor.media.image(made.images[0])
    inside = executor.media.mask("mask_1").numpy()
    assert np.array_equal(before[~inside], after[~inside])
    assert (before != after).any(axis=2)[inside].mean() > 0.9
    item = executor.media[made.images[0]]
    assert (item.handle, item.parents, item.made_by) == ("image_3", ("image_1", "mask_1"), "call_1")
    assert (made.width, made.height, made.seeds) == (101, 77, [4])
    assert (made.model, made.steps, made.refined) == (model.model_id, 3, False)
    assert (made.prompt_tokens, made.prompt_truncated) == (4, False)


def test_the_file_says_that_a_model_changed_a_part_of_which_picture(executor):
    made = value(run(executor, mask="mask_1", seed=4))
    with Image.open(executor.media[made.images[0]].path) as picture:
        texts = picture.text
    assert "digitalsourcetype/compositeWithTrainedAlgorithmicMedia<" in texts[XMP]
    said = json.loads(texts["nuthatch"])
    assert (said["tool"], said["prompt"], said["seed"]) == ("edit_image", "a cat", 4)
    assert said["edited"] == executor.media["image_1"].sha256


@pytest.mark.parametrize(
    ("detection", "boxes"),
    [
        ("detection_1.1", [(10, 5, 31, 20)]),
        ("detection_1", [(10, 5, 31, 20), (60, 40, 101, 77)]),
    ],
)
def test_a_detection_stands_for_its_box_and_a_set_for_all_of_its_boxes(executor, detection, boxes):
    made = value(run(executor, detection=detection))
    before, after = executor.media.image("image_1"), executor.media.image(made.images[0])
    changed = (before != after).any(axis=2)
    inside = np.zeros((77, 101), bool)
    for x1, y1, x2, y2 in boxes:
        inside[y1:y2, x1:x2] = True
    assert not changed[~inside].any()
    assert changed[inside].mean() > 0.9
    assert executor.media[made.images[0]].parents == ("image_1", detection)


def test_prompt_and_seed_decide_what_is_painted(executor):
    calls = [{}, {}, {"seed": 1}, {"prompt": "a red cup"}]
    made = [value(run(executor, mask="mask_1", **call)).images[0] for call in calls]
    first, again, *others = (executor.media.image(handle).tobytes() for handle in made)
    assert first == again
    assert len({first, *others}) == 3


@pytest.mark.parametrize("size", [(8, 8), (8, 300), (200, 9), (150, 190)])
def test_pictures_of_any_size_are_edited_by_a_single_pixel_too(model, tmp_path, size):
    media = MediaStore(tmp_path)
    media.add_image(np.full((*size, 3), 255, np.uint8))
    for number, pixels in enumerate((np.ones(size, bool), np.zeros(size, bool))):
        pixels[-2, 3] = True
        media.add_mask(Mask.of(pixels), made_by=None, parents=())
        made = value(run(executor_of(model, media, EditImage(RECIPE)), mask=f"mask_{number + 1}"))
        after = media.image(made.images[0])
        assert after.shape == (*size, 3)
        assert (after[pixels] != 255).any()
        assert (after[~pixels] == 255).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "exactly one of mask and detection"),
        ({"mask": "mask_1", "detection": "detection_1"}, "exactly one of mask and detection"),
        ({"mask": "mask_2"}, "mask_2 is empty"),
        ({"detection": "detection_2"}, "there is no medium 'detection_2'|detection_2 is empty"),
        ({"mask": "mask_9"}, "mask_9"),
        ({"mask": "image_1"}, "type image, not mask"),
        ({"image": "image_2", "mask": "mask_1"}, "mask_1 lies on image_1, not on image_2"),
        ({"image": "image_2", "detection": "detection_1"}, "lies on image_1, not on image_2"),
        ({"mask": "mask_1", "prompt": "word " * 10_000}, "at most 1000"),
        ({"mask": "mask_1", "width": 64}, "width"),
    ],
)
def test_a_call_that_cannot_be_says_how_to_call(executor, arguments, words):
    fault = run(executor, **arguments).fault
    assert fault.is_retryable
    assert re.search(words, fault.message)


def test_a_mask_of_another_size_is_refused(executor):
    executor.media.add_mask(Mask.of(np.ones((8, 9), bool)), made_by=None, parents=())
    fault = run(executor, mask="mask_3").fault
    assert "mask_3 lies on a picture of 9x8, not on image_1 (101x77)" in fault.message


def test_a_policy_sees_the_prompt_and_the_whole_picture(executor, model):
    asked: list[Any] = []

    def policy(prompt: str, picture: Any) -> str | None:
        asked.append(picture if picture is None else picture.shape)
        return None if picture is None else "not like this"

    executor = executor_of(model, executor.media, EditImage(RECIPE, policy=policy))
    fault = run(executor, mask="mask_1").fault
    assert (fault.code, asked) == ("refused", [None, (77, 101, 3)])
    assert executor.media.handles("image") == ["image_1", "image_2"]


def test_without_weights_it_says_what_to_do(executor):
    executor.weights = Weights()
    fault = run(executor, mask="mask_1").fault
    assert fault.code == "weights_missing"
    assert "none ships with the package" in fault.message


def test_a_recipe_without_a_whole_step_is_refused():
    with pytest.raises(ValueError, match="make no whole step"):
        EditImage(Recipe(steps=1))


def test_the_model_sees_a_small_part_at_the_pictures_own_scale():
    part = np.zeros((3000, 4000), bool)
    part[1000:1010, 3990:3999] = True
    x1, y1, x2, y2 = window(part, 1024)
    assert (x2 - x1, y2 - y1, x2) == (1024, 1024, 4000)
    assert y1 < 1000 < 1010 < y2
    part[500:2900, 100:200] = True
    assert window(part, 1024) == (0, 0, 4000, 3000)


@settings(deadline=None)
@given(st.integers(8, 9000), st.integers(8, 9000), st.sampled_from([64, 1024]))
def test_it_paints_about_as_many_pixels_as_it_learned_with(width, height, side):
    sides = fit(width, height, side)
    assert all(each % 8 == 0 and side // 4 <= each <= 2 * side for each in sides)
    assert sides[0] * sides[1] <= 1.3 * side * side
    if max(width, height) <= 4 * min(width, height):
        assert sides[0] / sides[1] == pytest.approx(width / height, rel=0.5)


@settings(deadline=None)
@given(st.integers(0, 76), st.integers(0, 100), st.sampled_from([(64, 64), (16, 128), (128, 96)]))
def test_no_pixel_is_too_small_to_be_painted(row, column, size):
    part = np.zeros((77, 101), bool)
    part[row, column] = True
    width, height = size
    cells = enlarge(part, width, height, 8)
    assert cells.shape == (height, width)
    assert cells[int((row + 0.5) / 77 * height), int((column + 0.5) / 101 * width)]
    assert cells.sum() <= 4 * 64


HANDLES = st.sampled_from(["mask_1", "mask_2", "detection_1", "detection_1.2", "detection_2", "x"])


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    arguments=st.fixed_dictionaries(
        {"prompt": st.text(max_size=40), "image": st.sampled_from(["image_1", "image_2", "image"])},
        optional={"mask": HANDLES, "detection": HANDLES, "seed": st.integers(-1, 2**33)},
    )
)
def test_whatever_the_arguments_it_paints_or_has_a_fault_of_its_own(executor, arguments):
    result = run(executor, **arguments)
    assert result.ok or result.fault.is_retryable
