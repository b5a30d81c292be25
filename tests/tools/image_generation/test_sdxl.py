"""Stable Diffusion XL through diffusers, on tiny models with random weights."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionXLImg2ImgPipeline, StableDiffusionXLPipeline
from safetensors.torch import load_file, save_file

from nuthatch.tools.image_generation import sdxl as painter
from nuthatch.tools.image_generation.recipe import Recipe
from nuthatch.tools.image_generation.sdxl import Painter
from nuthatch.tools.weights.store import Weights
from tests.tools.image_generation.little_painter import save_base, save_refiner

RECIPE = Recipe(steps=2)
SIZE = {"width": 40, "height": 32}


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory) -> Path:
    return save_base(tmp_path_factory.mktemp("base") / "painter")


@pytest.fixture(scope="module")
def both_folder(base_folder, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("both") / "painter"
    shutil.copytree(base_folder, folder)
    save_refiner(folder / "refiner")
    return folder


@pytest.fixture(scope="module")
def base(base_folder) -> Painter:
    return painter.load(base_folder)


@pytest.fixture(scope="module")
def both(both_folder) -> Painter:
    return painter.load(both_folder)


@pytest.fixture
def folder(base_folder, tmp_path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(base_folder, tmp_path / "painter"))


def hooked(module: torch.nn.Module, hook: Callable[[int], None]) -> Any:
    """Calls `hook` with the rows of each batch that a part of the model is given."""
    return module.register_forward_pre_hook(lambda _, inputs: hook(len(inputs[0])))


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def bytes_of(images: Any) -> np.ndarray:
    return (images * 255).round().astype(np.uint8)


# -- painting -------------------------------------------------------------------------------------


def test_pictures_are_those_of_the_pipeline_itself(base, base_folder):
    pipeline = StableDiffusionXLPipeline.from_pretrained(base_folder, use_safetensors=True)
    expected = pipeline(
        ["a red cup"] * 2,
        num_inference_steps=5,
        guidance_scale=5.0,
        negative_prompt="snow",
        generator=generators(7, 8),
        output_type="np",
        **SIZE,
    ).images
    found = base.paint("a red cup", [7, 8], recipe=Recipe(steps=5, negative_prompt="snow"), **SIZE)
    assert np.array_equal(np.stack(found), bytes_of(expected))


def test_a_refiner_removes_the_last_fifth_of_the_noise(both, both_folder):
    first = StableDiffusionXLPipeline.from_pretrained(both_folder)
    second = StableDiffusionXLImg2ImgPipeline.from_pretrained(both_folder / "refiner")
    common = {"num_inference_steps": 10, "guidance_scale": 5.0, "generator": generators(7)}
    noisy = first("a cat", denoising_end=0.8, output_type="latent", **SIZE, **common).images
    expected = second("a cat", image=noisy, denoising_start=0.8, output_type="np", **common).images
    steps: list[str] = []
    hooks = [
        hooked(both._base.unet, lambda _: steps.append("base")),
        hooked(both._refiner.unet, lambda _: steps.append("refiner")),
    ]
    found = both.paint("a cat", [7], recipe=Recipe(steps=10), **SIZE)
    for hook in hooks:
        hook.remove()
    assert steps == ["base"] * 8 + ["refiner"] * 2
    assert np.array_equal(np.stack(found), bytes_of(expected))
    assert not both.refines(Recipe(steps=4))


@pytest.mark.parametrize("which", ["base", "both"])
def test_a_picture_alone_is_the_same_as_in_a_batch(which, request):
    model = request.getfixturevalue(which)
    together = model.paint("a red cup", [1, 2, 3], recipe=Recipe(steps=5), **SIZE)
    (alone,) = model.paint("a red cup", [2], recipe=Recipe(steps=5), **SIZE)
    assert np.abs(together[1].astype(int) - alone).max() <= 1
    assert np.abs(together[0].astype(int) - together[1]).mean() > 5


def test_only_the_part_is_new_to_the_model(base):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    part = np.zeros((64, 64), bool)
    part[:, :32] = True
    seen = base.repaint(pixels, part, "a cat", 3, recipe=RECIPE)
    other = base.repaint(pixels, part, "a red cup on a table", 3, recipe=RECIPE)
    change = np.abs(seen.astype(int) - other)
    assert change[:, :32].mean() > 3 * change[:, 40:].mean()  # the autoencoder blurs the border


@pytest.mark.parametrize(
    ("prompt", "tokens", "is_truncated"),
    [
        ("a red cup", 5, False),
        ("cup " * 75, 77, False),
        ("cup " * 76, 78, True),
        ("日本", 8, False),
    ],
)
def test_the_length_of_a_prompt_is_told(base, prompt, tokens, is_truncated):
    length = base.length(prompt)
    assert (length.tokens, length.is_truncated) == (tokens, is_truncated)
    base.paint(prompt, [0], recipe=Recipe(steps=1), **SIZE)
    for tokenizer in (base._base.tokenizer, base._base.tokenizer_2):  # as some folders have it
        tokenizer.backend_tokenizer.enable_truncation(4)
    assert Painter(base._base, None, "again").length(prompt) == length


# -- what may go wrong ----------------------------------------------------------------------------


def test_what_does_not_fit_into_memory_together_is_painted_in_smaller_groups(base):
    expected = base.paint("a cat", [1, 2, 3, 4], recipe=RECIPE, **SIZE)
    batches: list[int] = []

    def full(rows: int) -> None:
        batches.append(rows)
        if rows > 2:  # one picture with its prompt, and without
            torch.empty(10**15)

    hook = hooked(base._base.unet, full)
    found = base.paint("a cat", [1, 2, 3, 4], recipe=RECIPE, **SIZE)
    hook.remove()
    assert batches == [8, 4] + [2] * 8
    assert np.abs(np.stack(found).astype(int) - np.stack(expected)).max() <= 1


def test_after_memory_ran_out_the_next_picture_is_right(base_folder):
    model = painter.load(base_folder)
    vae = model._base.vae.to(torch.float16)  # as on a GPU: widened for each decoding
    model = Painter(model._base, None, "half")
    expected = model.paint("a cat", [1], recipe=RECIPE, **SIZE)

    def full(_: int) -> None:
        raise torch.OutOfMemoryError("no memory")

    hook = hooked(vae.decoder, full)
    part = np.ones((64, 64), bool)
    with pytest.raises(MemoryError, match="40x32 does not fit into the memory of 'cpu'"):
        model.paint("a cat", [1], recipe=RECIPE, **SIZE)
    with pytest.raises(MemoryError, match="64x64"):
        model.repaint(np.zeros((64, 64, 3), np.uint8), part, "a cat", 1, recipe=RECIPE)
    hook.remove()
    assert vae.dtype == torch.float16
    assert np.array_equal(model.paint("a cat", [1], recipe=RECIPE, **SIZE), expected)


def test_a_painting_that_is_given_up_ends_after_its_step(base):
    expected = base.paint("a cat", [1], recipe=RECIPE, **SIZE)
    calls: list[int] = []

    def check() -> None:
        calls.append(1)
        if len(calls) >= 3:  # before the first step, after it, after the second
            raise InterruptedError

    steps: list[int] = []
    hook = hooked(base._base.unet, steps.append)
    for done in (2, 2):  # the second time it was given up while it waited for its turn
        with pytest.raises(InterruptedError):
            base.paint("a cat", [1], recipe=Recipe(steps=9), check=check, **SIZE)
        assert len(steps) == done
    hook.remove()
    assert np.array_equal(base.paint("a cat", [1], recipe=RECIPE, **SIZE), expected)


def test_two_threads_paint_what_each_would_paint_alone(base):
    prompts = ["a cat", "a red cup", "snow"]
    pixels, part = np.zeros((64, 64, 3), np.uint8), np.ones((64, 64), bool)

    def work(prompt: str) -> np.ndarray:
        base.length(prompt * 90)
        painted = base.paint(prompt, [1], width=64, height=64, recipe=RECIPE)
        return np.stack([*painted, base.repaint(pixels, part, prompt, 1, recipe=RECIPE)])

    with ThreadPoolExecutor(1) as pool:  # threads may round otherwise than the main one
        alone = list(pool.map(work, prompts))
    with ThreadPoolExecutor(3) as pool:
        assert np.array_equal(list(pool.map(work, prompts)), alone)


def test_numbers_that_are_not_finite_are_no_picture(base):
    hook = base._base.vae.decoder.register_forward_hook(
        lambda *_: torch.full((1, 3, 32, 40), np.nan)
    )
    with pytest.raises(FloatingPointError, match="force_upcast"):
        base.paint("a cat", [1], recipe=RECIPE, **SIZE)
    hook.remove()


# -- loading --------------------------------------------------------------------------------------


def test_weights_give_it_to_both_tools_and_count_its_bytes(both_folder):
    weights = Weights(folders={"generate_image": both_folder})
    model = weights.get("generate_image")
    assert weights.get("edit_image") is model
    assert model.model_id.startswith("stable-diffusion-xl-refined-")
    assert (model.side, model.cell) == (64, 2)
    files = sum(path.stat().st_size for path in both_folder.rglob("*.safetensors"))
    assert weights.used_bytes == pytest.approx(files, rel=0.15)


def test_its_name_holds_a_hash_of_the_weights(base, both, folder):
    assert base.model_id != both.model_id
    assert painter.load(folder).model_id == base.model_id
    spoil(folder / "unet", lambda tensors: tensors["conv_in.bias"].add_(1))
    assert painter.load(folder).model_id != base.model_id


def test_a_refiner_beside_the_folder_is_found_and_shares_what_is_the_same(folder, base):
    save_refiner(
        folder.parent / "refiner", vae=base._base.vae, text_encoder_2=base._base.text_encoder_2
    )
    shutil.rmtree(folder.parent / "refiner" / "text_encoder_2")  # not fetched a second time
    model = painter.load(folder)
    assert model._refiner.vae is model._base.vae
    assert model._refiner.text_encoder_2 is model._base.text_encoder_2
    assert model._refiner.unet is not model._base.unet


def test_half_precision_files_serve_where_there_are_no_others(folder, base):
    for path in folder.rglob("*.safetensors"):
        tensors = {name: tensor.half() for name, tensor in load_file(path).items()}
        half = path.with_suffix(".fp16.safetensors")
        save_file(tensors, half, metadata={"format": "pt"})
        path.unlink()
    model = painter.load(folder)
    assert model._base.unet.dtype == model._base.text_encoder.dtype == torch.float32
    found, whole = (m.paint("a cat", [1], recipe=RECIPE, **SIZE)[0] for m in (model, base))
    assert np.abs(found.astype(int) - whole).mean() < 3


def spoil(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    """Change the tensors of a part."""
    (path,) = folder.glob("*.safetensors")
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("part", "change", "words"),
    [
        ("unet", lambda t: t.pop("conv_in.bias"), "conv_in.bias"),
        ("vae", lambda t: t.update(extra=torch.zeros(1)), "extra"),
        ("text_encoder", lambda t: t.popitem(), "missing_keys"),
        ("text_encoder_2", lambda t: t.update(extra=torch.zeros(1)), "extra"),
        ("unet", lambda t: t.update({"conv_in.bias": torch.zeros(9)}), "conv_in"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(folder, part, change, words):
    spoil(folder / part, change)
    with pytest.raises((RuntimeError, ValueError), match=words):
        painter.load(folder)


def test_positions_that_older_releases_hold_are_left_out(folder, base):
    positions = {"text_model.embeddings.position_ids": torch.arange(77)[None]}
    spoil(folder / "text_encoder", lambda tensors: tensors.update(positions))
    spoil(folder / "text_encoder_2", lambda tensors: tensors.update(positions))
    found, expected = (
        m.paint("a cat", [1], recipe=RECIPE, **SIZE) for m in (painter.load(folder), base)
    )
    assert np.array_equal(found, expected)


def index(folder: Path, **changes: Any) -> None:
    path = folder / "model_index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"_class_name": "FluxPipeline"}, "FluxPipeline; expected StableDiffusionXLPipeline"),
        ({"unet": ["my_code", "MyUNet"]}, "unet .MyUNet.; known"),
        ({"image_encoder": ["transformers", "CLIPVisionModel"]}, "image_encoder"),
        ({"text_encoder": [None, None]}, "lacks text_encoder"),
        ({"vae": []}, "lacks vae"),
    ],
)
def test_a_pipeline_of_another_kind_is_refused(folder, changes, words):
    index(folder, **changes)
    with pytest.raises(ValueError, match=words):
        painter.load(folder)


def test_pickled_weights_are_not_read(folder):
    (folder / "vae" / "diffusion_pytorch_model.safetensors").rename(
        folder / "vae" / "diffusion_pytorch_model.bin"
    )
    with pytest.raises(FileNotFoundError, match="safetensors"):
        painter.load(folder)


def test_an_empty_folder_says_what_belongs_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"model_index\.json"):
        painter.load(tmp_path)


def test_a_tokenizer_that_makes_more_than_can_be_read_is_refused(folder):
    path = folder / "tokenizer" / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_max_length": 99}))
    with pytest.raises(ValueError, match="set model_max_length"):
        painter.load(folder)
