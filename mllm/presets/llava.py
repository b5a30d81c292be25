"""LLaVA: Liu et al., "Visual Instruction Tuning" (2023); LLaVA-1.5 has two projector layers."""

from collections.abc import Collection, Mapping
from typing import Any

from nuthatch.mllm.bridges.projector import ProjectorConfig
from nuthatch.mllm.chat_format import ChatFormat
from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.encoders.clip import ClipConfig
from nuthatch.mllm.presets import Preset
from nuthatch.mllm.presets.names import PLAIN, Dropped, Part
from nuthatch.mllm.presets.parts import CLIP_BESIDE, LLAMA, clip
from nuthatch.mllm.presets.vicuna import Size, placeholders, vicuna

SYSTEM = (
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions."
)


def chat(system: str = SYSTEM) -> ChatFormat:
    """Version v1 of the talk, with a system sentence."""
    return ChatFormat(
        begin=f"{system} ",
        user=("USER: ", " "),
        assistant=("ASSISTANT:", "</s>"),
        media={("image",): "<>\n"},
        blank=" ",
        style="v1",
    )


def preset(size: Size = "7b", projector_layers: int = 1, **changes: Any) -> Preset:
    """The patches of CLIP ViT-L/14's last layer but one, each projected to Vicuna v1."""
    text = vicuna(size, "v1")
    sizes = {
        "text_config": text,
        "prompt_style": "v1",
        **placeholders(text),
        "senses": ("image",),
        "vision_config": ClipConfig(image_size=224 if projector_layers == 1 else 336),
        "bridge_config": ProjectorConfig(num_layers=projector_layers),
        "image_fit": "crop" if projector_layers == 1 else "pad",
    }
    return Preset(CoreConfig(**(sizes | changes)), chat())


def found_in(names: Collection[str], config: Mapping[str, Any]) -> dict[str, Any]:
    """What the preset must be told of a released file: LLaVA-1.5 has a second projector layer."""
    layers = 2 if "model.mm_projector.2.weight" in names else 1
    return {} if layers == 1 else {"projector_layers": layers}


_CLIP = clip(ClipConfig())
_TOWER = "model.vision_tower.vision_tower."

SOURCES: dict[str, tuple[Part | Dropped, ...]] = {
    "clip": (Part(_CLIP, "vision_model.", "vision_tower."), *CLIP_BESIDE),
    "checkpoint": (
        Part(LLAMA, "", "language_model."),
        Part(PLAIN, "model.mm_projector.", "bridge."),
        Part(PLAIN, "model.mm_projector.weight", "bridge.0.weight"),
        Part(PLAIN, "model.mm_projector.bias", "bridge.0.bias"),
        Part(_CLIP, f"{_TOWER}vision_model.", "vision_tower."),
    ),
}
"""The folder `clip-vit-large-patch14` (or `-336`), and that of LLaVA itself."""
