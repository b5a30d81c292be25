"""`describe`: the chain of LENS with tiny models, with fakes, and into a chat model."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nuthatch.mllm.generation.generator import Question
from nuthatch.tools.base import ToolCall, ToolResult
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.captioning import load as load_captioning
from nuthatch.tools.captioning.caption import CaptionPicture
from nuthatch.tools.captioning.caption_many import CaptionMany
from nuthatch.tools.composite.describe import Describe
from nuthatch.tools.detection.detect import Detect
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.media.store import MediaStore
from nuthatch.tools.output.render import observation, summary
from nuthatch.tools.tagging import taggers
from nuthatch.tools.tagging.describe_attributes import DescribeAttributes
from nuthatch.tools.tagging.lens import COSINE
from nuthatch.tools.tagging.tag import TagPicture
from nuthatch.tools.weights.store import Weights
from tests.fakes import FakeDetector, FakeTagger, paint
from tests.tools.tagging.lens_models import save_blip, save_clip
from tests.training.evaluate.trials import tiny_trial

CUP, BOOK = (10.0, 10.0, 40.0, 50.0), (60.0, 60.0, 90.0, 90.0)
TRUTH = [("cup", "red", CUP), ("book", None, BOOK)]
TOOLS = ToolSet(
    [
        Describe(captions=4, attributes=2),
        TagPicture(threshold=-1.0),
        DescribeAttributes(threshold=-1.0),
        Detect(),
        CaptionPicture(),
        CaptionMany(),
    ]
)


@pytest.fixture
def media(tmp_path: Path) -> MediaStore:
    store = MediaStore(tmp_path / "media")
    store.add_image(paint(TRUTH))
    return store


def describe(tools: ToolSet, media: MediaStore, weights: Weights) -> ToolResult:
    executor = ToolExecutor(tools, media, weights)
    return executor.execute(ToolCall("call_1", "describe", {"image": "image_1"}))


def value(result: ToolResult) -> Any:
    assert result.fault is None, result.fault
    return result.value


def miniature(tmp_path: Path) -> Weights:
    weights = Weights(tmp_path / "none")
    weights.put("tag", FakeTagger(TRUTH))
    weights.put("detect", FakeDetector([("cup", CUP), ("book", BOOK)]))
    weights.put("core", tiny_trial())
    return weights


def test_clip_and_blip_tell_a_picture(media, tmp_path, monkeypatch):
    monkeypatch.setenv("NUTHATCH_CACHE", str(tmp_path))
    weights = Weights(tmp_path / "none")
    weights.put("tag", taggers.load(save_clip(tmp_path / "clip")))
    weights.put("caption", load_captioning.load(save_blip(tmp_path / "blip")))
    told = value(describe(TOOLS, media, weights))
    assert len(told.tags) == 5
    assert len(told.attributes) == 2
    assert told.score_kind == COSINE
    assert told.caption
    assert sum(each.count for each in told.captions) == 4
    assert told.missing == []
    assert value(describe(TOOLS, media, weights)) == told


def test_the_miniature_locates_what_it_tags_and_looks_closely(media, tmp_path):
    result = describe(TOOLS, media, miniature(tmp_path))
    told = value(result)
    assert [tag.label for tag in told.tags] == ["cup", "book"]
    assert [(each.object, each.attribute) for each in told.attributes] == [("cup", "red")]
    assert told.caption
    assert told.captions
    inner = [child.call.tool for child in result.children]
    assert inner == ["tag", "detect", *["describe_attributes"] * 2, "caption", "caption_many"]
    assert "cup red" in observation(result, media=media)
    assert summary(result)


def test_a_description_becomes_a_prompt_that_the_core_can_answer(media, tmp_path):
    weights = miniature(tmp_path)
    told = value(describe(TOOLS, media, weights))
    text = told.prompt("What colour is the cup?")
    assert text.index("-cup\n-book") < text.index("-cup: red") < text.index(told.caption)
    assert text.endswith("Question: What colour is the cup?\nShort answer:")
    assert told.caption not in told.prompt("Which?", "vision")
    (answer,) = weights.get("core").answers([Question(text)])
    assert isinstance(answer, str)


def test_a_picture_that_nothing_fits_is_told_by_captions_alone(media, tmp_path):
    weights = miniature(tmp_path)
    weights.put("tag", FakeTagger([]))
    told = value(describe(TOOLS, media, weights))
    assert (told.tags, told.attributes) == ([], [])
    assert told.captions


@pytest.mark.parametrize(
    ("without", "missing"),
    [("tag", ["tag"]), ("detect", ["detect"]), ("core", ["caption", "caption_many"])],
)
def test_what_cannot_work_here_is_left_out_and_said(media, tmp_path, without, missing):
    weights = Weights(tmp_path / "none")
    for name in {"tag", "detect", "core"} - {without}:
        weights.put(name, miniature(tmp_path).get(name))
    told = value(describe(TOOLS, media, weights))
    assert told.missing == missing
    assert told.tags or told.captions


def test_tools_that_are_not_offered_are_left_out_too(media, tmp_path):
    few = ToolSet([Describe(), CaptionPicture()])
    told = value(describe(few, media, miniature(tmp_path)))
    assert told.missing == ["tag", "caption_many"]
    assert told.caption


def test_where_nothing_works_the_fault_names_every_lack(media, tmp_path):
    fault = describe(TOOLS, media, Weights(tmp_path / "none")).fault
    assert fault is not None
    assert fault.is_final
    for name in ("tag", "core"):
        assert f"'{name}'" in fault.message


def test_the_seed_decides_what_is_drawn(tmp_path):
    media = MediaStore(tmp_path / "noise")
    media.add_image(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    weights = miniature(tmp_path)
    one, two, other = (
        value(describe(TOOLS.with_tools(Describe(captions=6, seed=seed)), media, weights))
        for seed in (0, 0, 1)
    )
    assert one == two
    assert one.captions != other.captions
