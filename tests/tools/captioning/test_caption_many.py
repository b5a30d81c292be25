"""`caption` and `caption_many` by BLIP and by the core."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nuthatch.tools.base import ToolCall, ToolResult
from nuthatch.tools.base.regions import cut
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.captioning import captioner
from nuthatch.tools.captioning import load as load_captioning
from nuthatch.tools.captioning.caption import CaptionPicture
from nuthatch.tools.captioning.caption_many import CaptionMany
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.media.geometry import Box
from nuthatch.tools.media.store import MediaStore
from nuthatch.tools.weights.store import Weights
from tests.tools.tagging.lens_models import save_blip
from tests.training.evaluate.trials import tiny_trial

PICTURE = np.random.default_rng(0).integers(0, 256, (80, 120, 3), np.uint8)


@pytest.fixture(params=["caption", "core"])
def executor(request: pytest.FixtureRequest, tmp_path: Path) -> ToolExecutor:
    media = MediaStore(tmp_path / "media")
    media.add_image(PICTURE)
    weights = Weights(tmp_path / "none")
    if request.param == "core":
        weights.put("core", tiny_trial())
    else:
        weights.put("caption", load_captioning.load(save_blip(tmp_path / "blip")))
    return ToolExecutor(ToolSet([CaptionPicture(), CaptionMany()]), media, weights)


def run(executor: ToolExecutor, tool: str, **arguments: Any) -> ToolResult:
    return executor.execute(ToolCall("call_1", tool, {"image": "image_1", **arguments}))


def value(result: ToolResult) -> Any:
    assert result.fault is None, result.fault
    return result.value


def test_a_caption_comes_with_its_mean_log_probability(executor):
    said = value(run(executor, "caption"))
    assert said.caption
    assert said.mean_logprob < 0


def test_a_region_is_cut_out_with_a_margin(executor):
    part, _ = cut(PICTURE, Box.of((10, 10, 60, 40)), 0.1)
    expected = captioner.captioner(executor.weights).caption(part)
    said = value(run(executor, "caption", region=(10, 10, 60, 40)))
    assert said.caption == expected.text
    assert said.mean_logprob == pytest.approx(expected.mean_logprob)
    fault = run(executor, "caption", region=(10, 10, 11, 11)).fault
    assert fault is not None
    assert "take one of 8" in fault.message


def test_many_captions_are_those_of_their_seed_each_once_with_its_count(executor):
    first, again, other = (value(run(executor, "caption_many", n=7, seed=s)) for s in (3, 3, 4))
    assert first == again
    assert first.seed == 3
    assert first.captions != other.captions
    texts = [each.text for each in first.captions]
    assert len(set(texts)) == len(texts)
    assert sum(each.count for each in first.captions) == 7


@pytest.mark.parametrize("arguments", [{"n": 0}, {"n": 51}, {"seed": -1}, {"image": "image_2"}])
def test_a_wrong_call_says_how_to_call(executor, arguments):
    fault = run(executor, "caption_many", **arguments).fault
    assert fault is not None
    assert fault.is_retryable
    assert next(iter(arguments)) in fault.message


def test_without_captioner_and_core_the_fault_says_how_to_get_one(executor, tmp_path):
    bare = ToolExecutor(executor.tools, executor.media, Weights(tmp_path / "none"))
    fault = run(bare, "caption_many").fault
    assert fault is not None
    assert fault.is_final
    assert "train them with" in fault.message
