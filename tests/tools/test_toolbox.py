"""Tools called by hand: media as they come, results that show themselves and go elsewhere."""

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_masks

from nuthatch.tools.basic.crop import CropPicture
from nuthatch.tools.catalogue import all_tools
from nuthatch.tools.detection.detect import Detect
from nuthatch.tools.faults import RetryCall, ToolFault, ToolUnavailable
from nuthatch.tools.media.geometry import Box, Mask
from nuthatch.tools.media.ingest import MediaError
from nuthatch.tools.media.store import Detection
from nuthatch.tools.output import export
from nuthatch.tools.output.overlay import PALETTE, overlay
from nuthatch.tools.toolbox import Toolbox, View
from nuthatch.tools.weights.store import Weights
from tests.fakes import FakeDetector

PICTURE = np.full((60, 80, 3), 200, np.uint8)
TRUTH = [("cup", (10, 10, 40, 50)), ("bell", (50, 20, 70, 40)), ("cup", (45, 5, 60, 18))]
ORANGE, BLUE = PALETTE[1], PALETTE[0]


@pytest.fixture
def box() -> Toolbox:
    weights = Weights()
    weights.put("detect", FakeDetector(TRUTH))
    return Toolbox([Detect(), CropPicture()], weights=weights)


def look(box: Toolbox, *labels: str) -> View:
    return box.run("detect", image=PICTURE, labels=list(labels))


def test_a_picture_may_be_given_as_it_is_and_keeps_its_handle(box: Toolbox, tmp_path: Path) -> None:
    Image.fromarray(PICTURE).save(tmp_path / "grey.png")
    (tmp_path / "same.png").write_bytes((tmp_path / "grey.png").read_bytes())

    def handles(*given: object) -> set[str]:
        views = [box.run("detect", image=each, labels=["cup"]) for each in given]
        return {view.value.detections[0].image for view in views}

    assert handles(PICTURE, Image.fromarray(PICTURE), "image_1") == {"image_1"}
    (of_files,) = handles(tmp_path / "grey.png", str(tmp_path / "same.png"))
    assert of_files != "image_1", "a file is kept as it is"
    found = [look(box, "cup")]
    assert [d.label for d in found[0].value.detections] == ["cup", "cup"]


def test_what_a_tool_refuses_is_raised(box: Toolbox) -> None:
    with pytest.raises(RetryCall, match="labels"):
        box.run("detect", image=PICTURE, labels=[])
    with pytest.raises(RetryCall, match="did you mean 'detect'"):
        box.run("detct", image=PICTURE)
    with pytest.raises(MediaError, match="there is no file"):
        box.run("detect", image="nowhere.png", labels=["cup"])


def test_it_holds_all_tools_and_names_those_that_cannot_work_here() -> None:
    everything = Toolbox()
    assert set(everything.available) | set(everything.unavailable) == set(all_tools().names)
    assert "measure" in everything.available
    lack = everything.unavailable["generate_image"]
    assert "nuthatch weights --fetch sdxl-base" in lack
    printed = repr(everything)
    assert "2 cannot" in printed.splitlines()[0]
    assert "crop" in printed.partition("cannot work here:")[0]
    assert f"generate_image       {lack}" in printed.partition("cannot work here:")[2]
    assert not everything.weights.loaded, "nothing is loaded to find out"


def test_a_tool_that_cannot_work_here_says_what_to_do() -> None:
    with pytest.raises(ToolUnavailable, match="nuthatch weights --fetch sdxl-base"):
        Toolbox().run("generate_image", prompt="a cup")


def test_weights_that_are_put_in_later_make_a_tool_work() -> None:
    everything = Toolbox()
    everything.weights.put("generate_image", object())
    assert not everything.unavailable


def test_of_many_calls_each_has_its_own_end(box: Toolbox) -> None:
    calls = [
        ("detect", {"image": PICTURE, "labels": ["cup"]}),
        ("crop", {"image": PICTURE, "detection": "detection_9.1"}),
    ]
    seen, dead = box.run_many(calls)
    assert isinstance(seen, View)
    assert isinstance(dead, ToolFault)
    seen, _ = asyncio.run(box.arun_many(calls))
    assert isinstance(seen, View)


def test_a_result_is_drawn_in_a_colour_for_each_label(box: Toolbox) -> None:
    colours = {colour for _, colour in look(box, "cup", "bell").picture().getcolors(10**6)}
    assert {BLUE, ORANGE} <= colours
    assert "data:image/png" in look(box, "cup")._repr_html_()
    assert str(look(box, "cup")) == "detect: 2 detections: cup 0.90, cup 0.90"


def test_a_new_picture_shows_itself(box: Toolbox) -> None:
    found = look(box, "bell").value.detections[0].handle
    cut = box.run("crop", image="image_1", detection=found)
    assert cut.picture().size == (cut.media["image_2"].width, cut.media["image_2"].height)


def test_labels_do_not_cover_each_other() -> None:
    corner = Box(x1=0, y1=0, x2=30, y2=30)
    one = overlay(PICTURE, [(corner, "a", BLUE)])
    both = overlay(PICTURE, [(corner, "a", BLUE), (corner, "b", ORANGE)])
    label = (slice(1, 12), slice(1, 12))
    assert np.array_equal(np.asarray(both)[label], np.asarray(one)[label])
    assert ORANGE in {colour for _, colour in both.getcolors(10**6)}


def test_a_table_has_a_row_for_each_detection(box: Toolbox) -> None:
    table = look(box, "cup", "bell").to_pandas()
    assert tuple(table.columns) == export.TABLE
    assert table["label"].tolist() == ["cup", "bell", "cup"]
    assert table[["x1", "y1", "x2", "y2"]].iloc[0].tolist() == [10, 10, 40, 50]
    assert tuple(look(box, "ghost").to_pandas().columns) == export.TABLE


def test_coco_holds_sides_masks_and_names(box: Toolbox) -> None:
    whole = look(box, "cup", "bell").to_coco()
    assert json.loads(json.dumps(whole)) == whole
    assert whole["annotations"][0]["bbox"] == [10, 10, 30, 40]
    assert [c["name"] for c in whole["categories"]] == ["cup", "bell"]
    assert whole["images"][0]["width"] == 80
    inside = np.zeros((60, 80), bool)
    inside[10:50, 10:40] = True
    found = Detection(
        handle="detection_1.1",
        image="image_1",
        label="cup",
        score=0.5,
        score_kind="one",
        box=Box(x1=10, y1=10, x2=40, y2=50),
    )
    annotation = export.to_coco([found], [box.media["image_1"]], {found.handle: Mask.of(inside)})
    encoded = annotation["annotations"][0]["segmentation"]
    assert np.array_equal(coco_masks.decode(encoded).astype(bool), inside)
    assert annotation["annotations"][0]["area"] == 1200


def test_supervision_takes_them_in_its_old_and_its_new_form(box: Toolbox) -> None:
    supervision = pytest.importorskip("supervision")
    found = look(box, "cup", "bell").to_supervision()
    assert found.xyxy[0].tolist() == [10, 10, 40, 50]
    assert found.class_id.tolist() == [0, 1, 0]
    if "data" in supervision.Detections.__dataclass_fields__:
        assert found.data["class_name"].tolist() == ["cup", "bell", "cup"]
    assert len(look(box, "ghost").to_supervision()) == 0
