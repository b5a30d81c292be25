"""Which bridge a config asks for, and how features cross any of them.

Shapes: N media, F frames or segments of a medium, S source features, W width of the source, Q
queries a medium, D width of the language model.
"""

from typing import Any

from torch import Tensor, nn
from transformers import Blip2QFormerConfig

from nuthatch.mllm.bridges.latents import LatentProjection
from nuthatch.mllm.bridges.projector import Projector, ProjectorConfig
from nuthatch.mllm.bridges.qformer import QFormerBridge, Sense
from nuthatch.mllm.bridges.resampler import Resampler, ResamplerConfig
from nuthatch.mllm.config import CoreConfig


def bridge_of(config: CoreConfig, kind: Any, widths: dict[Sense, int]) -> nn.Module:
    """The bridge from features of these widths to the language model."""
    llm_width = config.text_config.hidden_size
    if isinstance(kind, Blip2QFormerConfig):
        queries = config.num_query_tokens
        if "image" not in widths:
            queries = config.num_audio_query_tokens or queries
        frames = {"image": config.num_frames, "audio": config.num_audio_segments}
        known = {sense: frames[sense] for sense in widths} if config.frame_embeddings else None
        return QFormerBridge(kind, widths, queries, llm_width, known)
    match kind:
        case ProjectorConfig():
            return Projector(kind)
        case ResamplerConfig():
            return Resampler(kind)
    return LatentProjection(kind)


def across(bridge: nn.Module, features: Tensor, sense: Sense, condition: Tensor | None) -> Tensor:
    """Features (N, F, S, W) over the bridge, (N, Q, D). A Q-Former looks at all frames together,
    other bridges at one after the other."""
    embeds: Tensor
    if getattr(bridge, "looks_at_all_frames", False):  # an attribute, since wrappers pass it on
        embeds = bridge(features, sense, condition)
    elif condition is not None:
        raise ValueError(f"given a condition, but a {type(bridge).__name__} takes none: leave it")
    else:
        embeds = bridge(features.flatten(0, 1)).unflatten(0, features.shape[:2]).flatten(1, 2)
    return embeds
