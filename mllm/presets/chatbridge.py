"""ChatBridge: Zhao et al., "ChatBridge: Bridging Modalities with Large Language Model" (2023)."""

from typing import Any

from nuthatch.mllm.chat_format import ChatFormat
from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.presets import Preset
from nuthatch.mllm.presets.blip2 import SOURCES as BLIP2
from nuthatch.mllm.presets.names import PLAIN, Dropped, Part
from nuthatch.mllm.presets.parts import BEATS, EVA, LLAMA, QFORMER
from nuthatch.mllm.presets.vicuna import Size, placeholders, vicuna

CHAT = ChatFormat(
    begin="###",
    user=("Human: ", "###"),
    assistant=("Assistant:", "###"),
    media={
        ("image",): "Given following image: <>.",
        ("video",): "Given following video: <>.",
        ("audio",): "Given following audio: <>.",
        ("video", "audio"): "Given following video: <> and its background audio: <>.",
        ("image", "audio"): "Given following image: <> and audio: <>.",
    },
    media_have_a_turn=True,
    style="v0",
    quirk="masked_bos",
)


def preset(size: Size = "13b", **changes: Any) -> Preset:
    """EVA ViT-g and BEATs share a Q-Former and a projection to Vicuna v0; 64 mel bins."""
    text = vicuna(size, "v0")
    sizes = {"text_config": text, "prompt_style": "v0", **placeholders(text), "num_mel_bins": 64}
    return Preset(CoreConfig(**(sizes | changes)), CHAT)


SOURCES: dict[str, tuple[Part | Dropped, ...]] = {
    **BLIP2,
    "beats": (Part(BEATS, "", "audio_tower."),),
    "vicuna": (Part(LLAMA, "", "language_model."),),
    "checkpoint": (
        Part(EVA, "visual_encoder.", "vision_tower."),
        Part(PLAIN, "ln_vision.", "vision_tower.post_layernorm."),
        Part(BEATS, "audio_encoder.", "audio_tower."),
        Part(PLAIN, "ln_audio.", "bridge.audio_norm."),
        Part(PLAIN, "audio_trans.", "bridge.audio_projection."),
        Part(QFORMER, "Qformer.bert.", "bridge.qformer."),
        Part(PLAIN, "image_query_tokens", "bridge.qformer.query_tokens.image"),
        Part(PLAIN, "audio_query_tokens", "bridge.qformer.query_tokens.audio"),
        Part(PLAIN, "visual_temporal_pos_embeds", "bridge.frame_embeddings.image"),
        Part(PLAIN, "audio_temporal_pos_embeds", "bridge.frame_embeddings.audio"),
        Part(PLAIN, "llama_proj.", "bridge.llm_projection."),
        Part(LLAMA, "llama_model.", "language_model."),
    ),
}
"""What each released file holds. They were loaded in this order; later ones count."""

NEVER_TRAINED = {"bridge.audio_norm.weight": 1.0, "bridge.audio_norm.bias": 0.0}
"""What a file without its frozen parts lacks, and always is."""
