"""Tools that let the core look: caption and ask_region. Its weights are random here."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nuthatch.tools.base import ToolCall, ToolResult
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.captioning.ask_region import AskRegion
from nuthatch.tools.captioning.caption import CaptionPicture
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.media.geometry import Box
from nuthatch.tools.media.store import Detection, MediaStore
from nuthatch.tools.weights.store import Weights
from tests.training.evaluate.trials import tiny_trial

SIDES = (10.0, 10.0, 60.0, 40.0)


@pytest.fixture
def executor(tmp_path: Path) -> ToolExecutor:
    media = MediaStore(tmp_path)
    media.add_image(np.random.default_rng(0).integers(0, 255, (80, 120, 3), np.uint8))
    cup = Detection(image="image_1", label="cup", score=0.9, score_kind="s", box=Box.of(SIDES))
    media.add_detections(media.reserve_detections(), [cup])
    media.add_image(np.zeros((80, 120, 3), np.uint8))
    weights = Weights(tmp_path / "none")
    weights.put("core", tiny_trial())
    return ToolExecutor(ToolSet([CaptionPicture(), AskRegion()]), media, weights)


def run(executor: ToolExecutor, tool: str, **arguments: Any) -> ToolResult:
    return executor.execute(ToolCall("call_1", tool, {"image": "image_1", **arguments}))


def value(result: ToolResult) -> Any:
    assert result.fault is None, result.fault
    return result.value


def test_a_caption_is_of_the_picture_or_of_one_region(executor):
    whole = value(run(executor, "caption")).caption
    of_box = value(run(executor, "caption", region=SIDES)).caption
    of_detection = value(run(executor, "caption", region="detection_1.1")).caption
    assert whole.strip()
    assert of_box == of_detection


def test_a_whole_picture_is_encoded_once_for_all_that_ask_about_it(executor, monkeypatch):
    speaker, seen = executor.weights.get("core"), []
    speaker.known.clear()
    see = speaker.see
    monkeypatch.setattr(speaker, "see", lambda given: seen.append(len(given)) or see(given))
    said = [value(run(executor, "caption")).caption for _ in range(2)]
    value(run(executor, "ask_region", question="What is it?"))
    assert seen == [1]
    assert said[0] == said[1]
    run(executor, "caption", region=SIDES)
    value(run(executor, "caption", image="image_2"))
    assert seen == [1, 1, 1]


def test_a_question_is_answered_for_every_region_in_order(executor):
    boxes = [SIDES, (0, 0, 120, 80), SIDES]
    found = value(run(executor, "ask_region", question="What is it?", boxes=boxes))
    first, _, last = found.answers
    assert first == last
    assert all(each.answer and 0 < each.score <= 1 for each in found.answers)
    (alone,) = value(run(executor, "ask_region", question="What is it?", boxes=[SIDES])).answers
    assert alone.answer == first.answer
    assert alone.score == pytest.approx(first.score, rel=1e-3)


def test_of_options_the_likeliest_is_answered_and_scores_are_shares(executor):
    options = ["wood", "glass", "red"]
    scores = {
        value(run(executor, "ask_region", question="Of what?", options=order))
        .answers[0]
        .model_dump_json()
        for order in (options, options[::-1])
    }
    assert len(scores) == 1, "the order of the options must not matter"
    (answer,) = value(run(executor, "ask_region", question="Of what?", options=["wood"])).answers
    assert (answer.answer, answer.score) == ("wood", pytest.approx(1))


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("caption", {"region": (200, 200, 300, 300)}, "120x80 pixels"),
        ("caption", {"region": (10, 10, 12, 12)}, "take one of 8"),
        ("caption", {"region": "detection_9.1"}, "live handles"),
        ("caption", {"image": "image_2", "region": "detection_1.1"}, "lies on image_1"),
        ("ask_region", {"question": "What?", "boxes": [(200, 200, 300, 300)]}, "120x80 pixels"),
        ("ask_region", {"question": ""}, "question"),
    ],
)
def test_a_wrong_region_says_how_to_ask(executor, tool, arguments, words):
    fault = run(executor, tool, **arguments).fault
    assert fault is not None
    assert words in fault.message


def test_without_a_core_the_fault_says_how_to_train_one(executor, tmp_path):
    bare = ToolExecutor(executor.tools, executor.media, Weights(tmp_path / "none"))
    fault = run(bare, "caption").fault
    assert fault is not None
    assert fault.message.endswith("train them with: nuthatch train embedded")
