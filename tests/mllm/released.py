"""A tiny ChatBridge under its released names, as a core."""

import json
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from nuthatch.mllm.bridges.qformer import qformer_from_released
from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.core import Core
from nuthatch.mllm.encoders.eva import eva_from_released

GOLDEN = Path(__file__).parents[1] / "golden"
OTHERS = {
    "audio_encoder.": "audio_tower.",
    "ln_audio.": "audio_norm.",
    "audio_trans.": "audio_projection.",
    "llama_proj.": "llm_projection.",
    "llama_model.": "language_model.",
}


def released_weights() -> dict[str, Tensor]:
    return load_file(GOLDEN / "chatbridge_state_dict.safetensors")


def released_config() -> CoreConfig:
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
    )


def released_core() -> Core:
    weights = released_weights()
    state = {f"vision_tower.{name}": value for name, value in eva_from_released(weights).items()}
    state |= {f"qformer.{name}": value for name, value in qformer_from_released(weights).items()}
    for name, value in weights.items():
        for theirs, ours in OTHERS.items():
            if name.startswith(theirs) and not name.endswith("inv_freq"):
                state[ours + name.removeprefix(theirs)] = value
    core = Core(released_config())
    core.load_state_dict(state)
    return core.eval()
