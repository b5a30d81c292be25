"""The parts of BLIP-2 (Li et al., 2023) that other systems took over, and their files."""

from nuthatch.mllm.presets.names import PLAIN, Dropped, Part
from nuthatch.mllm.presets.parts import EVA, QFORMER

SOURCES: dict[str, tuple[Part | Dropped, ...]] = {
    "eva": (Part(EVA, "", "vision_tower."),),
    "blip2": (
        Part(QFORMER, "Qformer.bert.", "bridge.qformer."),
        Part(PLAIN, "query_tokens", "bridge.qformer.query_tokens.image"),
        Part(PLAIN, "ln_vision.", "vision_tower.post_layernorm."),
        Dropped("Qformer.cls.", "for text, which the queries do not write"),
        Dropped("t5_proj.", "to BLIP-2's own language model"),
        # The same in a folder of transformers:
        Part(PLAIN, "vision_model.", "vision_tower."),
        Part(PLAIN, "qformer.", "bridge.qformer."),
        Dropped("language_projection.", "to BLIP-2's own language model"),
        Dropped("language_model.", "BLIP-2's own language model"),
    ),
}
"""`eva_vit_g.pth`; `blip2_pretrained_flant5xxl.pth` or the folder `blip2-flan-t5-xxl`."""
