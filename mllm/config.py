"""Every size of the core in one place, and its two small sizes.

The field names of the parts are those of transformers and, for BEATs, of the released files.
"""

import difflib
from dataclasses import asdict
from functools import partial
from typing import Any, ClassVar, Literal, get_args

from transformers import Blip2QFormerConfig, LlamaConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

from nuthatch.mllm.bridges.latents import LatentsConfig
from nuthatch.mllm.bridges.projector import ProjectorConfig
from nuthatch.mllm.bridges.qformer import Sense
from nuthatch.mllm.bridges.resampler import ResamplerConfig
from nuthatch.mllm.encoders.beats import BeatsConfig
from nuthatch.mllm.encoders.clip import ClipConfig
from nuthatch.mllm.encoders.eva import EvaConfig
from nuthatch.mllm.encoders.fbank import BEATS_MEAN, BEATS_STD
from nuthatch.mllm.encoders.imagebind import ImageBindConfig

Fit = Literal["stretch", "crop", "pad"]
SENSES: tuple[tuple[Sense, ...], ...] = (("image",), ("image", "audio"))
KINDS: dict[str, dict[str, type]] = {
    "vision_config": {kind.model_type: kind for kind in (EvaConfig, ClipConfig)},
    "audio_config": {kind.model_type: kind for kind in (BeatsConfig, ImageBindConfig)},
    "bridge_config": {
        kind.model_type: kind
        for kind in (Blip2QFormerConfig, ProjectorConfig, ResamplerConfig, LatentsConfig)
    },
}
"""Of each part that comes in several kinds, the config of each kind by its `model_type`."""
KINDS["audio_bridge_config"] = KINDS["bridge_config"]


class CoreConfig(PreTrainedConfig):  # type: ignore[misc]
    """Sizes of a core and how its media are prepared; the defaults are ChatBridge-13B's.

    Each part may be given as its config or as a dict, whose `model_type` says of which kind it is;
    without one it is of the default's kind. Pictures are made squares of `vision_config.image_size`
    by `image_fit`, then `image_mean` and `image_std` (of values 0 to 1) are applied. Of a sound,
    `num_audio_segments` runs of `segment_frames` filter bank frames (10 ms each) are heard, as
    (x - fbank_mean) / (2 fbank_std).

    `prompt_style` names the version of the language model's chat format, such as "v0" or "v1" of
    Vicuna; weights of one under the other's prompts speak gibberish. Empty: not known.

    Raises:
        ValueError: a part is of a kind that does not exist, a field is not known, or has a value
            that no core can have.
    """

    model_type = "nuthatch"
    sub_configs_defaults: ClassVar[dict[str, Any]] = {
        "vision_config": EvaConfig,
        "bridge_config": Blip2QFormerConfig,
        "audio_bridge_config": SubConfigSpec(config_class=Blip2QFormerConfig, optional=True),
        "text_config": LlamaConfig,
    }

    # None stands for the defaults of the part; after construction they are configs.
    vision_config: Any = None  # `EvaConfig` or `ClipConfig`
    audio_config: Any = None  # `BeatsConfig` or `ImageBindConfig`
    bridge_config: Any = None  # `Blip2QFormerConfig`, or another one of `KINDS`
    audio_bridge_config: Any = None  # the same; None: sound takes the pictures' bridge
    text_config: Any = None  # `LlamaConfig`
    senses: tuple[Sense, ...] | list[Sense] = ("image", "audio")
    num_query_tokens: int = 32  # queries a medium; for sounds as well unless the next says so
    num_audio_query_tokens: int | None = None
    frame_embeddings: bool = False  # of frames and segments, see `QFormerBridge`
    num_frames: int = 4  # of a video
    prompt_style: str = ""
    image_token_id: int = 8  # the placeholders in `input_ids`; they need no embedding
    audio_token_id: int = 9
    image_fit: Fit = "stretch"  # see `processing.fit`
    image_mean: tuple[float, ...] | list[float] = (0.48145466, 0.4578275, 0.40821073)
    image_std: tuple[float, ...] | list[float] = (0.26862954, 0.26130258, 0.27577711)
    num_mel_bins: int = 64
    segment_frames: int = 1024
    num_audio_segments: int = 1
    fbank_mean: float = BEATS_MEAN
    fbank_std: float = BEATS_STD

    def __post_init__(self, **kwargs: Any) -> None:
        self._check_fields(kwargs)
        for part, kinds in KINDS.items():
            given = getattr(self, part)
            if given is None and part == "audio_config":
                given = {}
            if isinstance(given, dict) and (part == "audio_config" or "model_type" in given):
                setattr(self, part, _of_kind(part, given, kinds))
        super().__post_init__(**kwargs)
        self.senses = tuple(self.senses)
        hears = self.audio_config
        if isinstance(hears, ImageBindConfig) and hears.num_mel_bins != self.num_mel_bins:
            raise ValueError(
                f"given num_mel_bins={self.num_mel_bins}, but the audio encoder reads "
                f"{hears.num_mel_bins}; give both the same number"
            )
        for bridge, width in (
            (self.bridge_config, self.vision_config.hidden_size),
            (self.audio_bridge_config, self.audio_config.width),
        ):
            if bridge is not None:
                bridge.encoder_hidden_size = width
                if not isinstance(bridge, Blip2QFormerConfig):  # others end in the model's width
                    bridge.hidden_size = self.text_config.hidden_size

    def _check_fields(self, unknown: dict[str, Any]) -> None:
        own = CoreConfig.__dataclass_fields__
        for name in unknown:
            near = difflib.get_close_matches(name, own, n=1, cutoff=0.85)
            if near and name not in own:  # transformers keeps fields that it does not know
                raise ValueError(f"given the field {name!r}, did you mean {near[0]!r}?")
        if isinstance(self.senses, str) or tuple(self.senses) not in SENSES:
            raise ValueError(f"given senses {self.senses!r}, expected one of {SENSES}")
        if self.image_fit not in get_args(Fit):
            raise ValueError(f"given image_fit={self.image_fit!r}, expected one of {get_args(Fit)}")
        for name in ("num_query_tokens", "num_frames", "num_mel_bins", "segment_frames"):
            if getattr(self, name) < 1:
                raise ValueError(f"given {name}={getattr(self, name)}, expected at least 1")
        if self.image_token_id == self.audio_token_id:
            raise ValueError(f"both placeholders are token {self.image_token_id}; they must differ")
        text = self.text_config
        named = text.get if isinstance(text, dict) else partial(getattr, text)
        kind = named("model_type", "llama")
        if kind != "llama":
            raise ValueError(f"given a language model of kind {kind!r}; a core speaks with a Llama")

    def to_dict(self) -> dict[str, Any]:
        """All fields in types that JSON knows."""
        audio = {"model_type": self.audio_config.model_type, **asdict(self.audio_config)}
        return {**super().to_dict(), "audio_config": audio}

    @property
    def media_token_ids(self) -> tuple[int, int]:
        """The placeholders of both senses."""
        return self.image_token_id, self.audio_token_id

    def token_id(self, sense: Sense) -> int:
        """The placeholder of a sense."""
        return self.image_token_id if sense == "image" else self.audio_token_id

    def num_tokens(self, sense: Sense, frames: int = 1) -> int:
        """Places that a medium takes in the text: a picture or sound, or a video's `frames`."""
        bridge, queries, features = self.bridge_config, self.num_query_tokens, 0
        if sense == "image":
            features = frames * self.vision_config.num_features
        elif self.audio_bridge_config is not None:
            bridge = self.audio_bridge_config
            queries = self.num_audio_query_tokens or queries
        match bridge:
            case ProjectorConfig():
                return features
            case ResamplerConfig():
                return frames * bridge.grid_size**2
            case LatentsConfig():
                return frames * bridge.num_query_tokens
        return queries

    @classmethod
    def embedded(cls, **changes: Any) -> "CoreConfig":
        """The core that is shipped: 13 M parameters, pictures of 128 pixels, sounds of 4 s.

        `changes` are fields of the config; a part that is given replaces the whole part.
        """
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


def _of_kind(part: str, given: dict[str, Any], kinds: dict[str, type]) -> Any:
    """The config of the kind that a dict names."""
    sizes = dict(given)
    kind = sizes.pop("model_type", next(iter(kinds)))
    if kind not in kinds:
        raise ValueError(f"given {part} of kind {kind!r}, expected one of {', '.join(kinds)}")
    return kinds[kind](**sizes)
