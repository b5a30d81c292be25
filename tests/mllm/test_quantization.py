"""A core whose language model is rounded to 8 or 4 bits."""

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor

from nuthatch.mllm.core import Core
from nuthatch.mllm.quantization import quantized
from tests.mllm.tiny_cores import BOS, PICTURE, SOUND, pictures, random_core, sounds

IDS = torch.tensor([[BOS, *PICTURE, 20, *SOUND, 30, 31]])


def logits(core: Core) -> Tensor:
    with torch.inference_mode():
        found: Tensor = core(IDS, pictures(1), sounds(1)).logits
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Core, Path]:
    # bitsandbytes packs weights by 32 columns on processors that multiply bf16.
    core, folder = random_core(width=64), tmp_path_factory.mktemp("core")
    core.save_pretrained(folder)
    return core, folder


@pytest.mark.parametrize("bits", [8, 4])
def test_it_says_nearly_the_same_in_less_memory(bits: int, whole: tuple[Core, Path]) -> None:
    core, folder = whole
    config = quantized(bits, dtype=torch.float32)  # type: ignore[arg-type]
    rounded = Core.from_pretrained(folder, quantization_config=config)
    expected = logits(core)
    assert (logits(rounded) - expected).abs().max() < 0.01 * expected.abs().max()
    layers, small = core.language_model.model.layers, rounded.language_model.model.layers
    matrix, rounded_matrix = (each[0].self_attn.q_proj.weight for each in (layers, small))
    assert rounded_matrix.nbytes <= matrix.nbytes * bits / 32


def test_towers_bridge_and_head_stay_whole(whole: tuple[Core, Path]) -> None:
    core, folder = whole
    state = Core.from_pretrained(folder, quantization_config=quantized(4)).state_dict()
    kept = [name for name in core.state_dict() if not name.startswith("language_model.model.lay")]
    assert any(name.startswith("bridge.") for name in kept)
    assert all(torch.equal(state[name], core.state_dict()[name]) for name in kept)


def test_adapters_train_beside_four_bits(whole: tuple[Core, Path]) -> None:
    config = quantized(4, dtype=torch.float32)
    rounded = Core.from_pretrained(whole[1], quantization_config=config)
    model = get_peft_model(rounded, LoraConfig(r=4, target_modules=["q_proj", "v_proj"]))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.02)
    losses = []
    for _ in range(8):
        loss = model(
            input_ids=IDS, pixel_values=pictures(1), filter_banks=sounds(1), labels=IDS
        ).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_other_numbers_of_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="given 3 bits, expected 4 or 8"):
        quantized(3)  # type: ignore[arg-type]
