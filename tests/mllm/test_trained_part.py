"""The trained part alone, and the base that it belongs to."""

import json
from pathlib import Path

import pytest
import torch

from nuthatch.mllm.core import Core
from nuthatch.mllm.trained_part import load_trained, save_trained
from tests.mllm.tiny_cores import random_core


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


def test_the_precision_of_the_base_does_not_matter(tmp_path: Path) -> None:
    trained(tmp_path)
    load_trained(random_core().to(torch.bfloat16), tmp_path)


def test_another_base_is_refused(tmp_path: Path) -> None:
    trained(tmp_path)
    other = random_core()
    other.language_model.model.norm.weight.data += 1.0
    before = other.bridge.llm_projection.bias.clone()
    with pytest.raises(ValueError, match=r"trained on other weights \(a tiny core\)"):
        load_trained(other, tmp_path)
    assert torch.equal(other.bridge.llm_projection.bias, before)


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
