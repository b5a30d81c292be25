"""Names and shapes of the released files at full size, and where they land."""

from collections.abc import Mapping, Sequence

import torch

from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.core import Core
from nuthatch.mllm.presets.names import Dropped, Part, plan

Shape = tuple[int, ...]


def eva(prefix: str = "") -> dict[str, Shape]:
    names: dict[str, Shape] = {
        "cls_token": (1, 1, 1408),
        "pos_embed": (1, 257, 1408),
        "patch_embed.proj.weight": (1408, 3, 14, 14),
        "patch_embed.proj.bias": (1408,),
    }
    for block in range(39):
        for name, shape in {
            **_affine("norm1", 1408),
            **_affine("norm2", 1408),
            "attn.q_bias": (1408,),
            "attn.v_bias": (1408,),
            "attn.qkv.weight": (4224, 1408),
            **_linear("attn.proj", 1408, 1408),
            **_linear("mlp.fc1", 1408, 6144),
            **_linear("mlp.fc2", 6144, 1408),
        }.items():
            names[f"blocks.{block}.{name}"] = shape
    return _under(prefix, names)


def beats(prefix: str = "") -> dict[str, Shape]:
    names: dict[str, Shape] = {
        "patch_embedding.weight": (512, 1, 16, 16),
        **_affine("layer_norm", 512),
        **_linear("post_extract_proj", 512, 768),
        "encoder.pos_conv.0.bias": (768,),
        "encoder.pos_conv.0.weight_g": (1, 1, 128),
        "encoder.pos_conv.0.weight_v": (768, 48, 128),
        **_affine("encoder.layer_norm", 768),
    }
    for layer in range(12):
        for name, shape in {
            **_linear("self_attn.q_proj", 768, 768),
            **_linear("self_attn.k_proj", 768, 768),
            **_linear("self_attn.v_proj", 768, 768),
            **_linear("self_attn.out_proj", 768, 768),
            **_linear("self_attn.grep_linear", 64, 8),
            "self_attn.grep_a": (1, 12, 1, 1),
            "self_attn.relative_attention_bias.weight": (320, 12),
            **_affine("self_attn_layer_norm", 768),
            **_linear("fc1", 768, 3072),
            **_linear("fc2", 3072, 768),
            **_affine("final_layer_norm", 768),
        }.items():
            names[f"encoder.layers.{layer}.{name}"] = shape
    assert len(names) == 250
    return _under(prefix, names)


def qformer(
    prefix: str = "Qformer.bert.", width: int = 1408, text: bool = False
) -> dict[str, Shape]:
    names: dict[str, Shape] = {
        "embeddings.position_ids": (1, 512),
        **_affine("embeddings.LayerNorm", 768),
    }
    if text:  # as long as nothing was pruned
        names["embeddings.word_embeddings.weight"] = (30523, 768)
        names["embeddings.position_embeddings.weight"] = (512, 768)
    for layer in range(12):
        parts = {
            **_linear("attention.self.query", 768, 768),
            **_linear("attention.self.key", 768, 768),
            **_linear("attention.self.value", 768, 768),
            **_linear("attention.output.dense", 768, 768),
            **_affine("attention.output.LayerNorm", 768),
            **_linear("intermediate_query.dense", 768, 3072),
            **_linear("output_query.dense", 3072, 768),
            **_affine("output_query.LayerNorm", 768),
        }
        if text:
            parts |= _linear("intermediate.dense", 768, 3072)
            parts |= _linear("output.dense", 3072, 768) | _affine("output.LayerNorm", 768)
        if layer % 2 == 0:
            parts |= _linear("crossattention.self.query", 768, 768)
            parts |= _linear("crossattention.self.key", width, 768)
            parts |= _linear("crossattention.self.value", width, 768)
            parts |= _linear("crossattention.output.dense", 768, 768)
            parts |= _affine("crossattention.output.LayerNorm", 768)
        names |= {f"encoder.layer.{layer}.{name}": shape for name, shape in parts.items()}
    return _under(prefix, names)


def llama(prefix: str, width: int, inner: int, layers: int, vocabulary: int) -> dict[str, Shape]:
    names: dict[str, Shape] = {
        "model.embed_tokens.weight": (vocabulary, width),
        "model.norm.weight": (width,),
        "lm_head.weight": (vocabulary, width),
    }
    for layer in range(layers):
        for name, shape in {
            **{f"self_attn.{one}_proj.weight": (width, width) for one in "qkvo"},
            "self_attn.rotary_emb.inv_freq": (64,),
            "mlp.gate_proj.weight": (inner, width),
            "mlp.up_proj.weight": (inner, width),
            "mlp.down_proj.weight": (width, inner),
            "input_layernorm.weight": (width,),
            "post_attention_layernorm.weight": (width,),
        }.items():
            names[f"model.layers.{layer}.{name}"] = shape
    return _under(prefix, names)


def imagebind(prefix: str = "") -> dict[str, Shape]:
    trunk, stem = "modality_trunks.audio.", "modality_preprocessors.audio."
    names: dict[str, Shape] = {
        f"{stem}cls_token": (1, 1, 768),
        f"{stem}rgbt_stem.proj.weight": (768, 1, 16, 16),
        **_affine(f"{stem}rgbt_stem.norm_layer", 768),
        f"{stem}pos_embedding_helper.pos_embed": (1, 229, 768),
        "modality_postprocessors.audio.1.log_logit_scale": (),
    }
    for block in range(12):
        parts = {
            "attn.in_proj_weight": (2304, 768),
            "attn.in_proj_bias": (2304,),
            "attn.bias_k": (1, 1, 768),
            "attn.bias_v": (1, 1, 768),
            **_linear("attn.out_proj", 768, 768),
            **_affine("norm_1", 768),
            **_affine("norm_2", 768),
            **_linear("mlp.fc1", 768, 3072),
            **_linear("mlp.fc2", 3072, 768),
        }
        names |= {f"{trunk}blocks.{block}.{name}": shape for name, shape in parts.items()}
    return _under(prefix, names)


def clip(prefix: str = "vision_model.", patches: int = 256) -> dict[str, Shape]:
    names: dict[str, Shape] = {
        "embeddings.class_embedding": (1024,),
        "embeddings.position_ids": (1, patches + 1),
        "embeddings.patch_embedding.weight": (1024, 3, 14, 14),
        "embeddings.position_embedding.weight": (patches + 1, 1024),
        **_affine("pre_layrnorm", 1024),
        **_affine("post_layernorm", 1024),
    }
    for layer in range(24):
        parts = {
            **{
                name: shape
                for one in ("q", "k", "v", "out")
                for name, shape in _linear(f"self_attn.{one}_proj", 1024, 1024).items()
            },
            **_affine("layer_norm1", 1024),
            **_affine("layer_norm2", 1024),
            **_linear("mlp.fc1", 1024, 4096),
            **_linear("mlp.fc2", 4096, 1024),
        }
        names |= {f"encoder.layers.{layer}.{name}": shape for name, shape in parts.items()}
    return _under(prefix, names)


def landed(
    released: Mapping[str, Shape], parts: Sequence[Part | Dropped]
) -> tuple[dict[str, Shape], dict[str, str]]:
    """Shapes under our names, and what is dropped and why."""
    planned = plan(released, parts)
    shapes = {}
    for ours, names in planned.sources.items():
        shape = released[names[0]]
        shapes[ours] = (3 * shape[0],) if len(names) == 2 else shape
    return shapes, planned.dropped


def core_shapes(config: CoreConfig) -> dict[str, Shape]:
    with torch.device("meta"):
        core = Core(config)
    return {name: tuple(tensor.shape) for name, tensor in core.state_dict().items()}


def _affine(name: str, width: int) -> dict[str, Shape]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _linear(name: str, given: int, made: int) -> dict[str, Shape]:
    return {f"{name}.weight": (made, given), f"{name}.bias": (made,)}


def _under(prefix: str, names: Mapping[str, Shape]) -> dict[str, Shape]:
    return {prefix + name: shape for name, shape in names.items()}
