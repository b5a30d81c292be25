"""The trained part alone, and the base that it belongs to."""

import json
from pathlib import Path

import pytest
import torch

from nuthatch.mllm.core import Core
from nuthatch.mllm.trained_part import fingerprint, load_trained, save_trained
from tests.mllm.tiny_cores import random_core

PRECISIONS = [torch.float32, torch.bfloat16, torch.float16]


def uneven_core() -> Core:
    """With values of all sizes in a tensor, down to where float16 keeps few bits or none."""
    core = random_core()
    core.language_model.model.norm.weight.data = torch.logspace(-9, 2, 40)
    return core


def trained(folder: Path) -> Core:
    core = random_core()
    for parameter in core.train_only("bridge"):
        parameter.data += 1.0
    save_trained(core, folder, base="a tiny core")
    return core


def test_a_trained_part_goes_onto_its_base(tmp_path: Path) -> None:
    core, base = trained(tmp_path), random_core()
    load_trained(base, tmp_path)
    state = base.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in core.state_dict().items())
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["base"] == "a tiny core"
    assert manifest["parameters"] == sum(p.numel() for p in core.bridge.parameters())
    whole = sum(p.numel() * 4 for p in core.parameters())
    assert (tmp_path / "trained.safetensors").stat().st_size < whole


@pytest.mark.parametrize("saved", PRECISIONS)
@pytest.mark.parametrize("loaded", PRECISIONS)
def test_the_precision_of_the_base_does_not_matter(
    saved: torch.dtype, loaded: torch.dtype, tmp_path: Path
) -> None:
    core = uneven_core().to(saved)
    core.train_only("bridge")
    save_trained(core, tmp_path)
    base = uneven_core().to(loaded)
    base.bridge.llm_projection.weight.data.zero_()
    load_trained(base, tmp_path)
    assert torch.equal(
        base.bridge.llm_projection.weight, core.bridge.llm_projection.weight.to(loaded)
    )


def test_another_base_is_refused(tmp_path: Path) -> None:
    trained(tmp_path)
    other = random_core()
    other.language_model.model.norm.weight.data += 1.0
    before = other.bridge.llm_projection.bias.clone()
    with pytest.raises(ValueError, match=r"trained on other weights \(a tiny core\).* 1 tensors "):
        load_trained(other, tmp_path)
    assert torch.equal(other.bridge.llm_projection.bias, before)


def test_a_base_that_differs_by_one_percent_is_another_one(tmp_path: Path) -> None:
    trained(tmp_path)
    other = random_core()
    other.vision_tower.post_layernorm.weight.data *= 1.01
    with pytest.raises(ValueError, match=r"post_layernorm\.weight \(32,\)"):
        load_trained(other.to(torch.bfloat16), tmp_path)


@pytest.mark.parametrize("tied", [True, False])
def test_a_head_of_its_own_belongs_to_the_base(tied: bool, tmp_path: Path) -> None:
    config = random_core().config
    config.text_config.tie_word_embeddings = tied
    core = Core(config)
    core.train_only("bridge", "language_model.model.embed_tokens")
    save_trained(core, tmp_path)
    core.language_model.lm_head.weight.data += 1.0  # where tied, that is what was trained
    if tied:
        load_trained(core, tmp_path)
    else:
        with pytest.raises(ValueError, match=r"such as language_model\.lm_head\.weight"):
            load_trained(core, tmp_path)


def test_a_tensor_of_many_million_values_has_a_fingerprint() -> None:
    core = random_core()
    most = 2**24 + 4  # with the last place odd, float32 rounds it up to the length
    core.register_buffer("large", torch.zeros(most, dtype=torch.bool))
    core.large[-1] = True
    values = fingerprint(core)[f"large ({most},)"]
    assert (len(values), values[-1].item(), values.sum().item()) == (64, 1, 1)


def test_a_core_of_other_sizes_is_refused(tmp_path: Path) -> None:
    trained(tmp_path)
    config = random_core().config
    config.bridge_config.intermediate_size = 60
    with pytest.raises(ValueError, match=r"trained tensors do not fit this core"):
        load_trained(Core(config), tmp_path)


def test_nothing_to_save_and_nothing_to_load_are_errors(tmp_path: Path) -> None:
    core = random_core().requires_grad_(False)
    with pytest.raises(ValueError, match="no parameter requires gradients"):
        save_trained(core, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"manifest\.json"):
        load_trained(core, tmp_path)


@pytest.mark.parametrize("name", ["trained.safetensors", "base.safetensors", "manifest.json"])
@pytest.mark.parametrize("fault", ["gone", "cut off", "empty"])
def test_a_folder_that_lacks_something_is_named_with_what_to_do(
    name: str, fault: str, tmp_path: Path
) -> None:
    trained(tmp_path)
    file = tmp_path / name
    if fault == "gone":
        file.unlink()
        kind, what = FileNotFoundError, f"no {name} in {tmp_path}; save_trained writes it"
    else:
        file.write_bytes(file.read_bytes()[: 100 if fault == "cut off" else 0])
        kind, what = ValueError, f"{file} is .*save the part again"
    with pytest.raises(kind, match=what):
        load_trained(random_core(), tmp_path)


def test_weights_and_a_manifest_of_different_parts_are_told(tmp_path: Path) -> None:
    trained(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["trained"].pop()
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"and not the \d+ that manifest\.json names"):
        load_trained(random_core(), tmp_path)
