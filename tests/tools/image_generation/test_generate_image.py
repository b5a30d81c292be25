"""`generate_image`, with a tiny painter."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from nuthatch.tools.base import ToolCall, ToolResult
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.image_generation import sdxl as painter
from nuthatch.tools.image_generation.generate_image import GenerateImage, seed_of
from nuthatch.tools.image_generation.recipe import Recipe
from nuthatch.tools.image_generation.sdxl import Painter
from nuthatch.tools.media.ingest import Pixels
from nuthatch.tools.media.store import MediaStore
from nuthatch.tools.output.provenance import XMP
from nuthatch.tools.weights.store import Weights
from tests.tools.image_generation.little_painter import save_base

RECIPE = Recipe(steps=2, negative_prompt="snow")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Painter:
    return painter.load(save_base(tmp_path_factory.mktemp("generate")))


@pytest.fixture
def executor(model, tmp_path) -> ToolExecutor:
    return executor_of(model, tmp_path, GenerateImage(RECIPE))


def executor_of(model: object, folder: Path, tool: GenerateImage) -> ToolExecutor:
    weights = Weights()
    weights.put("generate_image", model)
    return ToolExecutor(ToolSet([tool]), MediaStore(folder), weights)


def run(executor: ToolExecutor, **arguments: Any) -> ToolResult:
    return executor.execute(ToolCall("call_1", "generate_image", arguments))


def value(result: ToolResult) -> Any:
    assert result.fault is None, result.fault
    return result.value


def test_new_pictures_come_with_all_that_is_needed_to_paint_them_again(executor, model):
    made = value(run(executor, prompt="a red cup", n=2, seed=5))
    assert made.images == ["image_1", "image_2"]
    assert (made.width, made.height) == (64, 64)
    items = [executor.media[handle] for handle in made.images]
    assert [(item.made_by, item.parents) for item in items] == [("call_1", ())] * 2
    assert not np.array_equal(*map(executor.media.image, made.images))
    assert (made.model, made.steps, made.guidance) == (model.model_id, 2, 5.0)
    assert (made.negative_prompt, made.refined, made.policy) == ("snow", False, "none")
    assert made.in_short() == "image_1, image_2, 64x64"


def test_the_file_of_a_picture_says_how_it_was_made(executor, model):
    made = value(run(executor, prompt="a cup, caf\u00e9 style", n=2, seed=5))
    for handle, seed in zip(made.images, made.seeds, strict=True):
        with Image.open(executor.media[handle].path) as picture:
            texts = picture.text
        assert "digitalsourcetype/trainedAlgorithmicMedia<" in texts[XMP]
        ElementTree.fromstring(texts[XMP])
        said = json.loads(texts["nuthatch"])
        assert said["tool"] == "generate_image"
        assert (said["prompt"], said["seed"]) == ("a cup, caf\u00e9 style", seed)
        assert (said["model"], said["steps"], said["width"]) == (model.model_id, 2, 64)


def test_the_same_call_paints_the_same_and_the_seed_of_one_paints_it_alone(executor):
    first, again = (value(run(executor, prompt="a cat", n=3, width=40, height=32)) for _ in "ab")
    hashes = [[executor.media[handle].sha256 for handle in made.images] for made in (first, again)]
    assert hashes[0] == hashes[1]
    alone = value(run(executor, prompt="a cat", seed=first.seeds[2], width=40, height=32))
    found, expected = (executor.media.image(m.images[-1]).astype(int) for m in (alone, first))
    assert np.abs(found - expected).max() <= 1


def test_seeds_of_neighbouring_calls_do_not_meet():
    seeds = [seed_of(seed, index) for seed in range(50) for index in range(4)]
    assert len(set(seeds)) == 200
    assert seeds[::4] == list(range(50))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ({"width": 60}, "invalid_arguments", "take 56 or 64"),
        ({"height": 1000, "width": 1001}, "invalid_arguments", "take 1000 or 1008"),
        ({"height": 104}, "limit_exceeded", "64x104 .* take 32 to 96 pixels .* 64x64 is best"),
        ({"width": 8}, "invalid_arguments", "width"),
        ({"n": 5}, "invalid_arguments", "n: "),
        ({"seed": -1}, "invalid_arguments", "seed"),
        ({"prompt": "word " * 10_000}, "invalid_arguments", "at most 1000"),
        ({"prompt": " \n"}, "invalid_arguments", "say what to paint"),
        ({"steps": 3}, "invalid_arguments", "steps"),
    ],
)
def test_a_call_that_cannot_be_says_how_to_call(executor, arguments, code, words):
    result = run(executor, **{"prompt": "a cat"} | arguments)
    assert result.fault.is_retryable
    assert result.fault.code == code
    assert re.search(words, result.fault.message)


def test_a_long_prompt_is_painted_and_what_was_not_read_is_told(executor):
    short, long = (
        value(run(executor, prompt="cup " * times, width=40, height=32)) for times in (75, 90)
    )
    assert (short.prompt_tokens, short.prompt_truncated) == (77, False)
    assert (long.prompt_tokens, long.prompt_truncated) == (92, True)


def test_a_policy_is_asked_for_the_prompt_and_for_each_picture(model, tmp_path):
    asked: list[tuple[str, tuple[int, ...] | None]] = []

    def policy(prompt: str, picture: Pixels | None) -> None:
        asked.append((prompt, None if picture is None else picture.shape))

    executor = executor_of(model, tmp_path, GenerateImage(RECIPE, policy=policy))
    made = value(run(executor, prompt="a cat", n=2, width=40, height=32))
    assert made.policy == "allowed"
    assert asked == [("a cat", None), ("a cat", (32, 40, 3)), ("a cat", (32, 40, 3))]


def test_a_prompt_that_the_policy_refuses_is_not_painted(tmp_path):
    tool = GenerateImage(RECIPE, policy=lambda prompt, _: "no cats" if "cat" in prompt else None)
    result = run(executor_of(None, tmp_path, tool), prompt="a cat")
    assert result.fault.code == "refused"
    assert "no cats" in result.fault.message


def test_a_picture_that_the_policy_refuses_is_not_kept_nor_its_siblings(model, tmp_path):
    seen: list[Pixels] = []

    def policy(_: str, picture: Pixels | None) -> str | None:
        if picture is not None:
            seen.append(picture)
        return "too red" if len(seen) == 2 else None

    executor = executor_of(model, tmp_path, GenerateImage(RECIPE, policy=policy))
    result = run(executor, prompt="a cat", n=3, width=40, height=32)
    assert (result.fault.code, executor.media.handles()) == ("refused", [])
    assert not list(tmp_path.rglob("*.png"))


def test_running_out_of_memory_is_a_fault_and_the_next_call_works(executor, model):
    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("no memory")

    hook = model._base.unet.register_forward_pre_hook(full)
    result = run(executor, prompt="a cat", n=2)
    hook.remove()
    assert (result.fault.code, result.fault.is_final) == ("out_of_memory", True)
    assert "take a smaller one" in result.fault.message
    assert executor.media.handles() == []
    assert run(executor, prompt="a cat").ok


def test_a_call_that_nobody_waits_for_ends_after_its_step_and_leaves_nothing(executor, model):
    job = executor._job(ToolCall("call_1", "generate_image", {"prompt": "a cat"}))
    context = job.context
    steps: list[int] = []

    def give_up(*_: Any) -> None:
        steps.append(1)
        context.given_up = True

    hook = model._base.unet.register_forward_pre_hook(give_up)
    (result,) = executor.work([job])
    hook.remove()
    assert (result.fault.code, len(steps), executor.media.handles()) == ("cancelled", 1, [])


def test_weights_that_make_no_numbers_are_unavailable_not_a_bug(executor, model):
    broken = torch.full((1, 3, 64, 64), torch.nan)
    hook = model._base.vae.decoder.register_forward_hook(lambda *_: broken)
    fault = run(executor, prompt="a cat").fault
    hook.remove()
    assert fault.is_final
    assert "not finite" in fault.message


def test_without_weights_it_says_why_none_ship_and_what_to_do(tmp_path):
    fault = run(
        ToolExecutor(ToolSet([GenerateImage()]), MediaStore(tmp_path), Weights()), prompt="a"
    )
    assert fault.fault.code == "weights_missing"
    assert "none ships with the package" in fault.fault.message
    assert "model_index.json" in fault.fault.message


@pytest.mark.parametrize(
    "wrong",
    [{"steps": 0}, {"steps": 101}, {"guidance": float("nan")}, {"strength": 0}, {"strength": 2}],
)
def test_a_recipe_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Recipe(**wrong)


SIDES = st.one_of(st.none(), st.integers(-8, 2000), st.integers(2, 13).map(lambda n: n * 8))


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    arguments=st.fixed_dictionaries(
        {"prompt": st.text(max_size=40)},
        optional={
            "width": SIDES,
            "height": SIDES,
            "seed": st.integers(-1, 2**33),
            "n": st.integers(0, 5),
            "foo": st.none(),
        },
    )
)
def test_whatever_the_arguments_it_paints_or_has_a_fault_of_its_own(executor, arguments):
    result = run(executor, **arguments)
    assert result.ok or result.fault.is_retryable


def test_its_file_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from nuthatch.tools.image_generation import edit_image, generate_image\n"
        "print({'torch', 'diffusers', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
