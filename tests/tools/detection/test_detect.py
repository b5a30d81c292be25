"""`detect`: labels, regions, tiles, thresholds, calibrated scores, calls of one turn together."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nuthatch.tools.base import ToolCall, ToolResult
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.detection import detectors
from nuthatch.tools.detection.detect import Detect
from nuthatch.tools.detection.detectors import Calibration, Trust, find_in_tiles, tiles_of
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.execution.result_cache import ResultCache
from nuthatch.tools.media.store import MediaStore
from nuthatch.tools.media.types import Pixels
from nuthatch.tools.weights.store import EMBEDDED, Weights
from tests.fakes import FakeDetector

Box4 = tuple[float, float, float, float]


class Marks:
    """A detector of bright rectangles: what it finds depends on what it is shown.

    A label is a number, and names the rectangles of that brightness that fill at least `smallest`
    of the picture; the score is the brightness / 255.
    """

    model_id = "marks"
    threshold = 0.3

    def __init__(self, smallest: float = 0.0) -> None:
        self.smallest = smallest
        self.seen: list[tuple[int, int]] = []
        self.asked: list[list[str]] = []

    def find(
        self, images: Sequence[Pixels], labels: Sequence[Sequence[str]], *, threshold: float
    ) -> list[list[detectors.Found]]:
        results = []
        for image, names in zip(images, labels, strict=True):
            self.seen.append((image.shape[1], image.shape[0]))
            self.asked.append(list(names))
            found = []
            for name in names:
                if not name.isdigit():
                    raise ValueError(f"label {name!r} cannot be read: use a short noun phrase")
                rows, columns = np.nonzero(image[..., 0] == int(name))
                score = int(name) / 255
                if len(rows) > self.smallest * image[..., 0].size and score >= threshold:
                    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
                    found.append(detectors.Found(name, score, tuple(map(float, box))))
            results.append(sorted(found, key=lambda each: -each.score))
        return results


def painted(*marks: tuple[int, Box4], width: int = 200, height: int = 100) -> Pixels:
    picture = np.zeros((height, width, 3), np.uint8)
    for brightness, (x1, y1, x2, y2) in marks:
        picture[int(y1) : int(y2), int(x1) : int(x2)] = brightness
    return picture


ROOM = painted((200, (20, 10, 40, 30)), (150, (120, 50, 160, 90)))


@pytest.fixture
def marks() -> Marks:
    return Marks()


def executor(
    folder: Path, detector: object, *tools: Detect, picture: Pixels = ROOM
) -> ToolExecutor:
    media = MediaStore(folder)
    media.add_image(picture)
    weights = Weights()
    weights.put("detect", detector)
    return ToolExecutor(ToolSet(tools or (Detect(),)), media, weights, cache=ResultCache())


def run(executor: ToolExecutor, **arguments: Any) -> ToolResult:
    (result,) = executor.run([ToolCall("call_1", "detect", {"image": "image_1", **arguments})])
    return result


def found(executor: ToolExecutor, **arguments: Any) -> Any:
    result = run(executor, **arguments)
    assert result.fault is None, result.fault
    return result.value


def boxes(value: Any) -> list[Box4]:
    return [each.box.xyxy for each in value.detections]


# -- labels --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([], "at least 1"),
        ([" "], "1 to 8 words"),
        (["word " * 500], "1 to 8 words"),
        (["x" * 8000], "at most 200 characters"),
        (["a.b"], "without a full stop"),
        (["200"] * 65, "at most 64"),
        (["кошка"], "cannot be read"),
    ],
)
def test_labels_that_cannot_be_looked_for_say_what_to_write(tmp_path, marks, labels, words):
    fault = run(executor(tmp_path, marks), labels=labels).fault
    assert fault is not None
    assert fault.code == "invalid_arguments"
    assert words in fault.message


def test_a_label_given_twice_is_looked_for_once(tmp_path, marks):
    value = found(executor(tmp_path, marks), labels=["200", " 200 ", "7"])
    assert marks.asked == [["200", "7"]]
    assert (value.labels_searched, value.labels_not_found) == (["200", "7"], ["7"])


@pytest.mark.parametrize("label", ["猫", "чашка", "كوب", "🐱", "ﬁre", "a\u0301"])
def test_the_shipped_detector_reads_or_refuses_any_script(tmp_path, label):
    media = MediaStore(tmp_path)
    media.add_image(ROOM)
    result = run(ToolExecutor(ToolSet([Detect()]), media, Weights()), labels=[label])
    assert result.fault is None or result.fault.code == "invalid_arguments"


@settings(max_examples=40, deadline=None)
@given(labels=st.lists(st.text(max_size=60), max_size=5), region=st.lists(st.floats(), max_size=5))
def test_no_labels_or_regions_are_a_bug(tmp_path_factory, labels, region):
    work = executor(tmp_path_factory.mktemp("any"), Marks())
    fault = run(work, labels=labels, region=region).fault
    assert fault is None or fault.code == "invalid_arguments"


def test_planners_are_shown_what_the_core_was_trained_on():
    (schema,) = ToolSet([Detect()]).schemas()
    assert list(schema["parameters"]["properties"]) == ["image", "labels", "threshold"]
    assert schema["parameters"]["required"] == ["image", "labels"]


# -- region --------------------------------------------------------------------------------------


def test_in_a_region_boxes_are_those_of_the_whole_picture(tmp_path, marks):
    value = found(executor(tmp_path, marks), labels=["200", "150"], region=[100, 40, 200, 100])
    assert boxes(value) == [(120, 50, 160, 90)]
    assert marks.seen == [(100, 60)]
    assert value.labels_not_found == ["200"]


@pytest.mark.parametrize(
    ("region", "words"),
    [
        ([10, 10, 12, 60], "take one of 8"),
        ([0, 0, float("inf"), 60], "no number"),
        ([1, 2, 3], "region"),
    ],
)
def test_a_region_that_cannot_be_looked_at_says_why(tmp_path, marks, region, words):
    fault = run(executor(tmp_path, marks), labels=["200"], region=region).fault
    assert fault is not None
    assert fault.code == "invalid_arguments"
    assert words in fault.message


@pytest.mark.parametrize(
    "region", [[160, 50, 120, 90], [20, 20, 20, 40], [300, 300, 400, 400], [-40, 0, -10, 40]]
)
def test_nothing_is_found_in_a_region_without_a_part_of_the_picture(tmp_path, marks, region):
    value = found(executor(tmp_path, marks), labels=["200"], region=region)
    assert (boxes(value), value.labels_not_found, marks.seen) == ([], ["200"], [])


def test_a_region_beyond_the_picture_is_cut_to_it(tmp_path, marks):
    value = found(executor(tmp_path, marks), labels=["150"], region=[100, 40, 900, 900])
    assert boxes(value) == [(120, 50, 160, 90)]
    value = found(executor(tmp_path, marks), labels=["200"], region=[-20, -5, 60, 60])
    assert boxes(value) == [(20, 10, 40, 30)]


# -- tiles ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), [(200, 100), (640, 481), (97, 101)])
@pytest.mark.parametrize("number", [2, 3])
def test_tiles_cover_the_picture_and_overlap(width, height, number):
    covered = np.zeros((height, width), int)
    tiles = tiles_of(width, height, number)
    for x1, y1, x2, y2 in tiles:
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height
        covered[y1:y2, x1:x2] += 1
    assert len(tiles) == number**2
    assert covered.min() == 1
    assert covered.max() == 4
    wide = tiles[0][2] - tiles[0][0]
    assert (tiles[0][2] - tiles[1][0]) / wide == pytest.approx(0.2, abs=0.06)


def test_a_small_picture_has_no_tiles():
    assert tiles_of(50, 500, 2) == []
    assert tiles_of(500, 500, 1) == []


def test_small_objects_are_found_in_tiles(tmp_path):
    few = Marks(smallest=0.03)  # (20 x 20) is 2 % of the picture
    assert boxes(found(executor(tmp_path, few), labels=["200"])) == []
    assert boxes(found(executor(tmp_path, few), labels=["200"], tiles=2)) == [(20, 10, 40, 30)]
    always = executor(tmp_path, few, Detect(tiles=2))
    assert boxes(found(always, labels=["200"])) == [(20, 10, 40, 30)]


def test_what_tiles_cut_through_and_what_is_seen_twice_is_one_object(tmp_path):
    wide = painted((200, (30, 20, 170, 80)), (150, (95, 45, 105, 55)))
    value = found(executor(tmp_path, Marks(), picture=wide), labels=["200", "150"], tiles=2)
    assert boxes(value) == [(30, 20, 170, 80), (95, 45, 105, 55)]


def test_without_tiles_nothing_is_looked_at_twice(marks):
    find_in_tiles(marks, [ROOM, ROOM], [["200"], ["150"]], [1, 1], threshold=0.3)
    assert marks.seen == [(200, 100)] * 2


# -- what is given -------------------------------------------------------------------------------

CROWD = FakeDetector([("cup", (0, 0, 10, 10 + n), 0.9 - n / 100) for n in range(5)])


def test_boxes_of_one_label_that_overlap_more_than_asked_are_one(tmp_path):
    assert len(boxes(found(executor(tmp_path, CROWD), labels=["cup"]))) == 5
    strict = executor(tmp_path, CROWD, Detect(duplicate_iou=0.75))
    assert boxes(found(strict, labels=["cup"])) == [(0, 0, 10, 10), (0, 0, 10, 14)]


def test_the_best_are_given_and_the_rest_is_counted(tmp_path):
    value = found(executor(tmp_path, CROWD, Detect(most=2)), labels=["cup"])
    assert [each.score for each in value.detections] == [0.9, 0.89]
    assert value.left_out == 3
    assert found(executor(tmp_path, CROWD), labels=["cup"]).left_out is None


@pytest.mark.parametrize("wrong", [{"tiles": 0}, {"duplicate_iou": 2.0}, {"most": 0}])
def test_options_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Detect(**wrong)


def test_options_are_part_of_the_version_so_that_results_are_not_mixed_up():
    assert Detect().version == Detect.version
    assert len({each.version for each in (Detect(), Detect(most=2), Detect(tiles=2))}) == 3


# -- calibrated ----------------------------------------------------------------------------------


def measured(threshold: float = 0.4) -> Calibration:
    """Cups are there from 0.2 on, dogs from 0.8, anything else from 0.4."""

    def trust(from_here: float) -> Trust:
        return Trust(-detectors.logit(from_here), 1, 1, None, None, 0, 0, 0, 0)

    categories = {"cup": trust(0.2), "dog": trust(0.8)}
    return Calibration("w", 9, 0.02, threshold, 1.0, categories, trust(0.4))


def test_calibrated_scores_are_probabilities_each_label_by_its_own_curve(tmp_path):
    truth = [("cup", (0.0, 0.0, 9.0, 9.0), 0.3), ("dog", (20.0, 0.0, 29.0, 9.0), 0.7)]
    detector = FakeDetector(truth, calibration=measured())
    detector.threshold = 0.4  # type: ignore[misc]
    (only,) = found(executor(tmp_path, detector), labels=["cup", "dog"]).detections
    assert (only.label, only.score, only.score_kind) == ("dog", 0.7, "detector score")
    judged = executor(tmp_path, detector, Detect(calibrated=True))
    value = found(judged, labels=["cup", "dog"])
    assert value.threshold == pytest.approx(0.5)  # what 0.4 is worth for any label
    (only,) = value.detections
    assert (only.label, only.score_kind) == ("cup", "probability")
    assert only.score == pytest.approx(0.3 / 0.7 * 4 / (1 + 0.3 / 0.7 * 4))
    low = found(judged, labels=["cup", "dog"], threshold=0.3)
    assert [each.label for each in low.detections] == ["cup", "dog"]


def test_without_a_calibration_scores_stay_what_they_are(tmp_path):
    work = executor(tmp_path, CROWD, Detect(calibrated=True))
    assert found(work, labels=["cup"]).detections[0].score_kind == "detector score"


def test_the_calibration_beside_the_weights_is_used(tmp_path):
    media = MediaStore(tmp_path)
    media.add_image(ROOM)
    work = ToolExecutor(ToolSet([Detect(calibrated=True)]), media, Weights())
    table = Calibration.load(EMBEDDED / "detect" / "calibration.json")
    value = found(work, labels=["cup"])
    assert value.threshold == pytest.approx(table.probability("", table.threshold))


# -- calls of one turn ---------------------------------------------------------------------------


def many(executor: ToolExecutor, *arguments: dict[str, Any]) -> list[ToolResult]:
    calls = [
        ToolCall(f"call_{number}", "detect", {"image": "image_1", **each})
        for number, each in enumerate(arguments, start=1)
    ]
    return executor.run(calls)


def test_calls_of_a_turn_see_a_picture_once_and_get_what_they_asked_for(tmp_path, marks):
    asked = [{"labels": ["200"]}, {"labels": ["150", "200"], "threshold": 0.7}, {"labels": ["9"]}]
    results = many(executor(tmp_path, marks), *asked)
    assert marks.seen == [(200, 100)]
    assert [boxes(result.value) for result in results] == [
        [(20, 10, 40, 30)],
        [(20, 10, 40, 30)],
        [],
    ]
    assert [result.value.threshold for result in results if result.value] == [0.3, 0.7, 0.3]
    handles = [each.handle for result in results for each in result.value.detections]
    assert handles == ["detection_1.1", "detection_2.1"]


def test_a_wrong_call_does_not_spoil_its_siblings(tmp_path, marks):
    right, unread, small, outside = many(
        executor(tmp_path, marks),
        {"labels": ["200"]},
        {"labels": ["cup"]},
        {"labels": ["200"], "region": [0, 0, 5, 5]},
        {"labels": ["200"], "region": [900, 900, 999, 999]},
    )
    assert boxes(right.value) == [(20, 10, 40, 30)]
    assert boxes(outside.value) == []
    for result, words in ((unread, "cannot be read"), (small, "take one of 8")):
        assert result.fault is not None
        assert words in result.fault.message


def test_a_call_made_again_is_not_looked_at_again(tmp_path, marks):
    work = executor(tmp_path, marks)
    first, second = found(work, labels=["200"]), found(work, labels=["200"])
    assert len(marks.seen) == 1
    assert boxes(first) == boxes(second)
    found(work, labels=["200"], region=[0, 0, 100, 100])
    assert len(marks.seen) == 2


@pytest.mark.parametrize("tiles", [1, 2])
def test_a_box_beyond_the_picture_is_clipped_and_one_outside_or_nowhere_is_dropped(tmp_path, tiles):
    judges = Weights()
    beyond = [("cup", (-5.0, 20.0, 60.0, 140.0)), ("cup", (200.0, 200.0, 250.0, 250.0))]
    nowhere = [("cup", (float("nan"), 0.0, 5.0, 5.0)), ("cup", (-30.0, 0.0, -1.0, 20.0))]
    judges.put("detect", FakeDetector([*beyond, *nowhere]))
    media = MediaStore(tmp_path)
    media.add_image(np.zeros((100, 120, 3), np.uint8))
    executor = ToolExecutor(ToolSet([Detect()]), media, judges)
    call = ToolCall("call_1", "detect", {"image": "image_1", "labels": ["cup"], "tiles": tiles})
    found = executor.execute(call).value
    assert (0, 20, 60, 100) in [each.box.xyxy for each in found.detections]
    assert all(each.box.x2 <= 120 and each.box.y2 <= 100 for each in found.detections)
