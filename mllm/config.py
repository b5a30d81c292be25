"""Every size of the core in one place, and its two small sizes.

The field names of the parts are those of transformers and, for BEATs, of the released files.
"""

from dataclasses import asdict
from typing import Any, ClassVar

from transformers import Blip2QFormerConfig, LlamaConfig, PreTrainedConfig

from nuthatch.mllm.encoders.beats import BeatsConfig
from nuthatch.mllm.encoders.eva import EvaConfig
from nuthatch.mllm.encoders.fbank import BEATS_MEAN, BEATS_STD


class CoreConfig(PreTrainedConfig):  # type: ignore[misc]
    """Sizes of a core and how its media are prepared; the defaults are ChatBridge-13B's.

    Each part may be given as its config or as a dict. Pictures are scaled to
    `vision_config.image_size` squared, then `image_mean` and `image_std` (of values 0 to 1) are
    applied. Of a sound, `num_audio_segments` runs of `segment_frames` filter bank frames (10 ms
    each) are heard, as (x - fbank_mean) / (2 fbank_std).
    """

    model_type = "nuthatch"
    sub_configs_defaults: ClassVar[dict[str, Any]] = {
        "vision_config": EvaConfig,
        "bridge_config": Blip2QFormerConfig,
        "text_config": LlamaConfig,
    }

    # None stands for the defaults of the part; after construction all four are configs.
    vision_config: EvaConfig = None  # type: ignore[assignment]
    audio_config: BeatsConfig = None  # type: ignore[assignment]
    bridge_config: Blip2QFormerConfig = None
    text_config: LlamaConfig = None
    num_query_tokens: int = 32  # queries a medium, for each sense
    image_token_id: int = 8  # the placeholders in `input_ids`
    audio_token_id: int = 9
    image_mean: tuple[float, ...] | list[float] = (0.48145466, 0.4578275, 0.40821073)
    image_std: tuple[float, ...] | list[float] = (0.26862954, 0.26130258, 0.27577711)
    num_mel_bins: int = 64
    segment_frames: int = 1024
    num_audio_segments: int = 1
    fbank_mean: float = BEATS_MEAN
    fbank_std: float = BEATS_STD

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if not isinstance(self.audio_config, BeatsConfig):
            self.audio_config = BeatsConfig(**(self.audio_config or {}))  # given as a dict
        self.bridge_config.encoder_hidden_size = self.vision_config.hidden_size

    def to_dict(self) -> dict[str, Any]:
        """All fields in types that JSON knows."""
        return {**super().to_dict(), "audio_config": asdict(self.audio_config)}

    @property
    def media_token_ids(self) -> tuple[int, int]:
        """The placeholders of both senses."""
        return self.image_token_id, self.audio_token_id

    @classmethod
    def embedded(cls, **changes: Any) -> "CoreConfig":
        """The core that is shipped: 13 M parameters, pictures of 128 pixels, sounds of 4 s."""
        sizes: dict[str, Any] = {
            "vision_config": {
                "image_size": 128,
                "patch_size": 8,  # 257 tokens, as many as EVA ViT-g has
                "hidden_size": 192,
                "intermediate_size": 768,
                "num_hidden_layers": 5,
                "num_attention_heads": 6,
            },
            "audio_config": {
                "embed_dim": 128,
                "encoder_layers": 4,
                "encoder_embed_dim": 192,
                "encoder_ffn_embed_dim": 768,
                "encoder_attention_heads": 6,
                "conv_pos": 32,
                "num_buckets": 128,
                "max_distance": 128,
            },
            "bridge_config": {
                "hidden_size": 256,
                "intermediate_size": 832,  # holds the whole under 13 M parameters
                "num_hidden_layers": 6,
                "num_attention_heads": 8,
                "hidden_dropout_prob": 0.0,
                "attention_probs_dropout_prob": 0.0,
            },
            "text_config": {
                "vocab_size": 2048,
                "hidden_size": 256,
                "intermediate_size": 672,
                "num_hidden_layers": 4,
                "num_attention_heads": 4,
                "max_position_embeddings": 2048,
                "tie_word_embeddings": True,
                "pad_token_id": 0,
                "bos_token_id": 1,
                "eos_token_id": 7,
            },
            "segment_frames": 400,
        }
        return cls(**(sizes | changes))

    @classmethod
    def tiny(cls, **changes: Any) -> "CoreConfig":
        """A core for tests that runs in milliseconds; all widths differ, so a wrong wire raises."""
        sizes: dict[str, Any] = {
            "vision_config": {
                "image_size": 28,
                "patch_size": 14,
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
            },
            "audio_config": {
                "embed_dim": 16,
                "encoder_layers": 2,
                "encoder_embed_dim": 24,
                "encoder_ffn_embed_dim": 48,
                "encoder_attention_heads": 4,
                "conv_pos": 16,
                "conv_pos_groups": 4,
                "num_buckets": 32,
                "max_distance": 64,
            },
            "bridge_config": {
                "hidden_size": 28,
                "intermediate_size": 56,
                "num_hidden_layers": 3,
                "num_attention_heads": 4,
                "hidden_dropout_prob": 0.0,
                "attention_probs_dropout_prob": 0.0,
            },
            "text_config": {
                "vocab_size": 96,
                "hidden_size": 40,
                "intermediate_size": 80,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "max_position_embeddings": 512,
                "tie_word_embeddings": True,
                "pad_token_id": 0,
                "bos_token_id": 1,
                "eos_token_id": 7,
            },
            "num_query_tokens": 6,
            "num_mel_bins": 32,
            "segment_frames": 64,
        }
        return cls(**(sizes | changes))
