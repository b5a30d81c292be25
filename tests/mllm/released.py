"""Tiny published systems under their released names, as cores."""

import json
from collections.abc import Mapping
from typing import Any

from safetensors.torch import load_file
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.core import Core
from nuthatch.mllm.presets import bubogpt, chatbridge
from nuthatch.mllm.presets.names import renamed
from tests.paths import GOLDEN


def released_weights() -> dict[str, Tensor]:
    return load_file(GOLDEN / "chatbridge_state_dict.safetensors")


def released_config(**changes: Any) -> CoreConfig:
    sizes = json.loads((GOLDEN / "chatbridge_config.json").read_text())
    eva, qformer = sizes["eva"], sizes["qformer"]
    trained_only = ("attention_dropout", "activation_dropout", "dropout_input")
    known = CoreConfig.tiny().to_dict()["audio_config"]
    assert not any(sizes["beats"][name] for name in trained_only)
    return CoreConfig(
        vision_config={
            "image_size": eva["img_size"],
            "patch_size": eva["patch_size"],
            "hidden_size": eva["embed_dim"],
            "intermediate_size": int(eva["embed_dim"] * eva["mlp_ratio"]),
            "num_hidden_layers": eva["depth"],
            "num_attention_heads": eva["num_heads"],
            "layer_norm_eps": sizes["ln_eps"]["vit_blocks"],
            "post_layer_norm_eps": sizes["ln_eps"]["ln_vision"],
        },
        audio_config={name: value for name, value in sizes["beats"].items() if name in known},
        bridge_config={
            "hidden_size": qformer["hidden_size"],
            "intermediate_size": qformer["intermediate_size"],
            "num_hidden_layers": qformer["num_hidden_layers"],
            "num_attention_heads": qformer["num_attention_heads"],
            "layer_norm_eps": qformer["layer_norm_eps"],
            "cross_attention_frequency": qformer["cross_attention_freq"],
        },
        text_config=sizes["llama"],
        num_query_tokens=qformer["num_query_token"],
        num_mel_bins=32,
        image_token_id=97,
        audio_token_id=98,
        **changes,
    )


def released_core(more: Mapping[str, Tensor] | None = None, **changes: Any) -> Core:
    core = Core(released_config(**changes))
    weights = released_weights() | dict(more or {})
    core.load_state_dict(renamed(weights, chatbridge.SOURCES["checkpoint"]))
    return core.eval()


def released_tokenizer() -> PreTrainedTokenizerFast:
    """One token a character."""
    return PreTrainedTokenizerFast.from_pretrained(GOLDEN / "tokenizer")


def bubogpt_core() -> Core:
    sizes = json.loads((GOLDEN / "bubogpt_prompts.json").read_text())["imagebind"]
    config = released_config()
    config = CoreConfig(
        vision_config=config.vision_config,
        text_config=config.text_config,
        bridge_config=config.bridge_config.to_dict(),
        audio_bridge_config=config.bridge_config.to_dict(),
        audio_config={
            "model_type": "imagebind",
            "num_mel_bins": sizes["mel"],
            "num_frames": sizes["target_len"],
            "patch_size": sizes["kernel"],
            "patch_stride": sizes["stride"],
            "hidden_size": sizes["audio_embed_dim"],
            "intermediate_size": 4 * sizes["audio_embed_dim"],
            "num_hidden_layers": sizes["audio_num_blocks"],
            "num_attention_heads": sizes["audio_num_heads"],
        },
        num_query_tokens=config.num_query_tokens,
        num_audio_query_tokens=5,
        num_mel_bins=sizes["mel"],
        num_audio_segments=3,
        image_token_id=config.image_token_id,
        audio_token_id=config.audio_token_id,
    )
    weights = load_file(GOLDEN / "bubogpt_state_dict.safetensors")
    shared = {
        "visual_encoder.": "multimodal_encoder.modality_trunks.vision.",
        "llama_model.": "llama_model.",
    }
    for name, value in released_weights().items():
        for theirs, ours in shared.items():
            if name.startswith(theirs):
                weights[ours + name.removeprefix(theirs)] = value
    core = Core(config)
    core.load_state_dict(renamed(weights, bubogpt.SOURCES["checkpoint"]))
    return core.eval()
