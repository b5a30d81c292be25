"""MiniGPT-4: Zhu et al., "MiniGPT-4: Enhancing Vision-Language Understanding with Advanced Large
Language Models" (2023)."""

from typing import Any

from nuthatch.mllm.chat_format import ChatFormat
from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.presets import Preset
from nuthatch.mllm.presets.blip2 import SOURCES as BLIP2
from nuthatch.mllm.presets.names import PLAIN, Dropped, Part
from nuthatch.mllm.presets.parts import EVA, LLAMA, QFORMER
from nuthatch.mllm.presets.vicuna import Size, placeholders, vicuna

CHAT = ChatFormat(
    begin="###",
    user=("Human: ", " ###"),
    assistant=("Assistant: ", "###"),
    media={("image",): "<Img><></Img> "},
    answers_apart=True,
    style="v0",
    quirk="padded_pieces",
)


def preset(size: Size = "13b", **changes: Any) -> Preset:
    """EVA ViT-g and BLIP-2's Q-Former, frozen, and a projection to Vicuna v0; it does not hear."""
    text = vicuna(size, "v0")
    sizes = {"text_config": text, "prompt_style": "v0", **placeholders(text), "senses": ("image",)}
    return Preset(CoreConfig(**(sizes | changes)), CHAT)


SOURCES: dict[str, tuple[Part | Dropped, ...]] = {
    **BLIP2,
    "vicuna": (Part(LLAMA, "", "language_model."),),
    "checkpoint": (
        Part(EVA, "visual_encoder.", "vision_tower."),
        Part(PLAIN, "ln_vision.", "vision_tower.post_layernorm."),
        Part(QFORMER, "Qformer.bert.", "bridge.qformer."),
        Part(PLAIN, "query_tokens", "bridge.qformer.query_tokens.image"),
        Part(PLAIN, "llama_proj.", "bridge.llm_projection."),
        Part(LLAMA, "llama_model.", "language_model."),
    ),
}
"""What each released file holds. They were loaded in this order; later ones count."""
