"""BuboGPT: Zhao et al., "BuboGPT: Enabling Visual Grounding in Multi-Modal LLMs" (2023).

The audio encoder's released weights, ImageBind's, may not be used commercially.
"""

from typing import Any

from transformers import Blip2QFormerConfig

from nuthatch.mllm.chat_format import ChatFormat
from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.encoders.imagebind import ImageBindConfig
from nuthatch.mllm.presets import Preset
from nuthatch.mllm.presets.blip2 import SOURCES as BLIP2
from nuthatch.mllm.presets.names import PLAIN, Dropped, Part
from nuthatch.mllm.presets.parts import EVA, IMAGEBIND, LLAMA, QFORMER
from nuthatch.mllm.presets.vicuna import Size, placeholders, vicuna

CHAT = ChatFormat(
    begin="###",
    user=("Human: ", " ###"),
    assistant=("Assistant: ", "###"),
    media={
        ("image",): "<Vision><></Vision> ",
        ("audio",): "<Audio><></Audio> ",
        ("audio", "image"): "<Audio><></Audio> <Vision><></Vision> ",
    },
    answers_apart=True,
    style="v0",
    quirk="padded_pieces",
)


def preset(size: Size = "7b", **changes: Any) -> Preset:
    """EVA ViT-g and ImageBind's audio trunk, each with its own Q-Former, to Vicuna v0."""
    text = vicuna(size, "v0")
    sizes = {
        "text_config": text,
        "prompt_style": "v0",
        **placeholders(text),
        "audio_config": ImageBindConfig(),
        "audio_bridge_config": Blip2QFormerConfig(),
        "num_mel_bins": 128,
        "segment_frames": 204,
        "num_audio_segments": 6,
    }
    return Preset(CoreConfig(**(sizes | changes)), CHAT)


_ENCODER = "multimodal_encoder.modality_"
_JOINER = "multimodal_joiner.modality_"
_UNUSED = "for text, which the queries do not write"

SOURCES: dict[str, tuple[Part | Dropped, ...]] = {
    **BLIP2,
    "imagebind": (Part(IMAGEBIND, "", "audio_tower."),),
    "vicuna": (Part(LLAMA, "", "language_model."),),
    "checkpoint": (
        Part(IMAGEBIND, "multimodal_encoder.", "audio_tower."),
        Part(EVA, f"{_ENCODER}trunks.vision.", "vision_tower."),
        Part(PLAIN, f"{_ENCODER}postprocessors.vision.", "vision_tower.post_layernorm."),
        *(
            part
            for theirs, ours in (("vision", "bridge."), ("audio", "audio_bridge."))
            for part in (
                Part(QFORMER, f"{_JOINER}qformers.{theirs}.Qformer.bert.", f"{ours}qformer."),
                Dropped(f"{_JOINER}qformers.{theirs}.Qformer.cls.", _UNUSED),
                Part(PLAIN, f"{_JOINER}post_projectors.{theirs}.fc.", f"{ours}llm_projection."),
            )
        ),
        Part(PLAIN, f"{_JOINER}qformers.vision.query_tokens", "bridge.qformer.query_tokens.image"),
        Part(
            PLAIN,
            f"{_JOINER}qformers.audio.query_tokens",
            "audio_bridge.qformer.query_tokens.audio",
        ),
        Part(LLAMA, "llama_model.", "language_model."),
    ),
}
"""What each released file holds. They were loaded in this order; later ones count."""
