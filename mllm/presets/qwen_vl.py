"""Qwen-VL's bridge: Bai et al., "Qwen-VL: A Versatile Vision-Language Model for Understanding,
Localization, Text Reading, and Beyond" (2023), section 2.1.

Its encoder is OpenCLIP ViT-bigG; its language model, Qwen, is not one of ours, so the bridge stands
before Vicuna here.
"""

from typing import Any

from nuthatch.mllm.bridges.resampler import ResamplerConfig
from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.encoders.clip import ClipConfig
from nuthatch.mllm.presets import Preset
from nuthatch.mllm.presets.llava import chat
from nuthatch.mllm.presets.vicuna import Size, placeholders, vicuna


def preset(size: Size = "7b", **changes: Any) -> Preset:
    """1,024 patches of a picture of 448 pixels, carried by 256 queries that know their places."""
    text = vicuna(size, "v1")
    sizes = {
        "text_config": text,
        "prompt_style": "v1",
        **placeholders(text),
        "senses": ("image",),
        "vision_config": ClipConfig(
            image_size=448,
            hidden_size=1664,
            intermediate_size=8192,
            num_hidden_layers=48,
            num_attention_heads=16,
            select_layer=-1,
        ),
        "bridge_config": ResamplerConfig(),
    }
    return Preset(CoreConfig(**(sizes | changes)), chat())
