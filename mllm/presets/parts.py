"""How the released files of each kind of module are named."""

from nuthatch.mllm.encoders.clip import ClipConfig
from nuthatch.mllm.presets.names import Dropped, Names

CONSTANT = "a constant that is computed anew"
FOR_TEXT = "for text, which the queries do not read"

EVA = Names(
    renamed=(
        ("cls_token", "embeddings.class_embedding"),
        ("pos_embed", "embeddings.position_embedding"),
        ("patch_embed.proj.", "embeddings.patch_embedding."),
        ("blocks.", "encoder.layers."),
        (".norm1.", ".layer_norm1."),
        (".norm2.", ".layer_norm2."),
        (".attn.proj.", ".self_attn.projection."),
        (".attn.q_bias", ".self_attn.qkv.bias"),
        (".attn.v_bias", ".self_attn.qkv.bias"),
        (".attn.", ".self_attn."),
    ),
    dropped={
        r"blocks\.39\..*": "the 40th block, which BLIP-2 leaves out",
        r"(norm|fc_norm|head)\..*": "behind the last block that BLIP-2 uses",
        r"mask_token": "for pre-training",
    },
)
"""EVA ViT-g in LAVIS's code, which ChatBridge, MiniGPT-4 and BuboGPT took over."""

QFORMER = Names(
    renamed=(
        ("embeddings.LayerNorm.", "layernorm."),
        ("attention.self.", "attention.attention."),
    ),
    dropped={
        r"embeddings\.position_ids": CONSTANT,
        r"embeddings\.(word|position)_embeddings\.weight": FOR_TEXT,
        r"encoder\.layer\.\d+\.(intermediate|output)\..*": FOR_TEXT,
    },
)
"""The Q-Former in LAVIS's code, from `Qformer.bert.` on."""

BEATS = Names(
    dropped={
        r"encoder\.layers\.(?!0\.)\d+\.self_attn\.relative_attention_bias\.weight": (
            "the position table of layer 0, repeated"
        ),
        r"predictor\..*": "the classifier of a fine-tuned file",
        r"(mask_emb|quantize|final_proj|label_embs_concat).*": "for pre-training",
    }
)

LLAMA = Names(dropped={r".*rotary_emb\.inv_freq": CONSTANT})

IMAGEBIND = Names(
    renamed=(
        ("modality_preprocessors.audio.rgbt_stem.proj.", "stem."),
        ("modality_preprocessors.audio.rgbt_stem.norm_layer.", "stem_norm."),
        ("modality_preprocessors.audio.cls_token", "class_token"),
        ("modality_preprocessors.audio.pos_embedding_helper.pos_embed", "positions"),
        ("modality_trunks.audio.blocks.", "blocks."),
        ("modality_postprocessors.audio.1.log_logit_scale", "log_logit_scale"),
        (".mlp.", "."),
    ),
    dropped={
        r"modality_heads\..*": "heads into the joint space",
        r"modality_(preprocessors|trunks|postprocessors)\.(vision|text|depth|thermal|imu)\..*": (
            "another sense"
        ),
    },
)
"""ImageBind-huge's own file."""


def clip(config: ClipConfig) -> Names:
    """The vision half of CLIP, from `vision_model.` on."""
    unused = "|".join(map(str, range(config.num_used_layers, config.num_hidden_layers)))
    dropped = {
        r"embeddings\.position_ids": CONSTANT,
        r"post_layernorm\..*": "behind the layer that is selected",
    }
    if unused:
        dropped[rf"encoder\.layers\.({unused})\..*"] = "behind the layer that is selected"
    return Names(dropped=dropped)


CLIP_BESIDE = tuple(
    Dropped(name, "CLIP's half for text")
    for name in ("text_model.", "text_projection.", "visual_projection.", "logit_scale")
)
"""What a file of all of CLIP holds besides."""
