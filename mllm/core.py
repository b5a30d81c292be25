"""The core: encoders for pictures and sounds, bridges, and a language model in one model.

By default after ChatBridge (Zhao et al., 2023, section 3.1): EVA sees, BEATs hears, one Q-Former
turns either into a fixed number of queries, one linear layer brings these to the language model's
width, and there they take the places of placeholder tokens. The config chooses other parts.

Shapes: B batch, T tokens, N media, F frames or segments of a medium, S source features, Q queries a
medium, D width of the language model.
"""

import warnings
from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    Cache,
    GenerationMixin,
    LlamaForCausalLM,
    PreTrainedModel,
)
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.utils import logging

from nuthatch.messages import shown
from nuthatch.mllm.bridges.qformer import Sense
from nuthatch.mllm.bridging import across, bridge_of
from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.encoders.beats import Beats, BeatsConfig
from nuthatch.mllm.encoders.clip import Clip
from nuthatch.mllm.encoders.eva import Eva, EvaConfig
from nuthatch.mllm.encoders.imagebind import ImageBind
from nuthatch.mllm.folders import check_fit, local_only
from nuthatch.mllm.repeating import repeat_media

MEDIA_INPUTS = ("pixel_values", "filter_banks", "media_embeds", "frame_counts")


class Core(PreTrainedModel, GenerationMixin):  # type: ignore[misc]
    """A language model that sees and hears.

    Parts: `vision_tower`, `audio_tower` (where the config has this sense), `bridge` (of both
    senses, or of pictures where there is an `audio_bridge`), `language_model`.
    """

    config: CoreConfig
    vision_tower: Any
    audio_tower: Any
    bridge: Any
    audio_bridge: Any
    config_class = CoreConfig
    base_model_prefix = ""
    supports_gradient_checkpointing = True
    # The queries of released weights overflow in float16.
    _keep_in_fp32_modules = ["qformer"]  # noqa: RUF012  transformers reads a list
    _no_split_modules = ["Blip2EncoderLayer", "EncoderLayer", "LlamaDecoderLayer"]  # noqa: RUF012
    _skip_keys_device_placement = ["past_key_values"]  # noqa: RUF012
    _supports_sdpa = True
    _supports_attention_backend = True

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(config)
        vision, audio = config.vision_config, config.audio_config
        hears, shares = "audio" in config.senses, config.audio_bridge_config is None
        self.vision_tower = Eva(vision) if isinstance(vision, EvaConfig) else Clip(vision)
        widths: dict[Sense, int] = {"image": vision.hidden_size}
        if hears:
            self.audio_tower = Beats(audio) if isinstance(audio, BeatsConfig) else ImageBind(audio)
            if shares:
                widths["audio"] = audio.width
        self.bridge = bridge_of(config, config.bridge_config, widths)
        if hears and not shares:
            heard: dict[Sense, int] = {"audio": audio.width}
            self.audio_bridge = bridge_of(config, config.audio_bridge_config, heard)
        self.language_model = LlamaForCausalLM(config.text_config)
        if hears:
            for module in self.audio_tower.modules():
                module._is_hf_initialized = True  # by its own rule
        self.post_init()
        self._suppress_placeholders()

    # -- media ------------------------------------------------------------------------------------

    def embed_image(
        self,
        pixel_values: Tensor,
        frame_counts: Sequence[int] | Tensor | None = None,
        condition: Tensor | None = None,
    ) -> Tensor:
        """Pictures and videos, as `CoreProcessor.pixel_values` gives them, to (N, Q, D).

        Args:
            pixel_values: pictures (N, 3, S, S), or videos (N, F, 3, S, S), whose frames' features
                are put one after the other for the bridge.
            frame_counts: frames of each medium, where `pixel_values` holds the frames of all media
                in a row.
            condition: what makes each medium's queries ask for what matters, (N, 1, D) or
                (N, Q, D) in the Q-Former's width, see `QFormer`.

        Returns:
            (N, Q, D); where media take different numbers of places, these in a row, (places, D).

        Raises:
            ValueError: the pictures are not of the size in the config, the frame counts do not add
                up, or a condition is given to a bridge that takes none.
        """
        size = self.config.vision_config.image_size
        if pixel_values.ndim not in (4, 5) or pixel_values.shape[-3:] != (3, size, size):
            raise ValueError(
                f"given pixel_values of shape {tuple(pixel_values.shape)}, expected "
                f"(pictures, 3, {size}, {size}) or (videos, frames, 3, {size}, {size}); "
                "CoreProcessor.pixel_values makes them"
            )
        if pixel_values.ndim == 5:
            frame_counts = [pixel_values.shape[1]] * len(pixel_values)
            pixel_values = pixel_values.flatten(0, 1)
        counts = [1] * len(pixel_values) if frame_counts is None else [int(n) for n in frame_counts]
        if sum(counts) != len(pixel_values) or min(counts, default=1) < 1:
            raise ValueError(
                f"given frame counts {counts} for {len(pixel_values)} frames in pixel_values; "
                "expected at least one frame a medium, and as many as there are in all"
            )
        pixel_values = pixel_values.to(next(self.vision_tower.parameters()).dtype)
        features = self.vision_tower.features(pixel_values)  # (frames of all media, S, width)
        if len(set(counts)) == 1:
            return across(self.bridge, features.unflatten(0, (-1, counts[0])), "image", condition)
        media = features.split(counts)
        embeds: list[Tensor] = [features.new_empty(0)] * len(counts)
        for number in sorted(set(counts)):  # media of as many frames pass the bridge together
            alike = [index for index, count in enumerate(counts) if count == number]
            stacked = torch.stack([media[index] for index in alike])
            asked = None if condition is None else condition[alike]
            passed = across(self.bridge, stacked, "image", asked)
            for index, embed in zip(alike, passed, strict=True):
                embeds[index] = embed
        alike_in_size = len({len(embed) for embed in embeds}) == 1
        return torch.stack(embeds) if alike_in_size else torch.cat(embeds)

    def embed_audio(self, filter_banks: Tensor, condition: Tensor | None = None) -> Tensor:
        """Sounds (N, segments, frames, bins) as `CoreProcessor.filter_banks` gives, to (N, Q, D).

        The features of a sound's segments are put one after the other for the bridge. A `condition`
        is that of `embed_image`.

        Raises:
            ValueError: the sounds have another number of bins than the config, or the core does not
                hear.
        """
        if "audio" not in self.config.senses:
            raise ValueError("given filter_banks, but this core has no ear: leave sounds out")
        bins = self.config.num_mel_bins
        if filter_banks.ndim != 4 or filter_banks.shape[-1] != bins:
            raise ValueError(
                f"given filter_banks of shape {tuple(filter_banks.shape)}, expected "
                f"(sounds, segments, frames, {bins}); CoreProcessor.filter_banks makes them"
            )
        bridge = self.bridge if self.config.audio_bridge_config is None else self.audio_bridge
        dtype = next(self.audio_tower.parameters()).dtype
        features = self.audio_tower.features(filter_banks.to(dtype))
        return across(bridge, features, "audio", condition)

    def embed_inputs(
        self,
        input_ids: Tensor,
        pixel_values: Tensor | None = None,
        filter_banks: Tensor | None = None,
        media_embeds: Tensor | None = None,
        frame_counts: Sequence[int] | Tensor | None = None,
    ) -> Tensor:
        """Tokens (B, T) to what the language model reads, (B, T, D), with media in their places.

        Every medium takes `config.num_tokens` placeholder tokens in a row. Media come in order of
        appearance, row after row: either as `pixel_values` (with `frame_counts` where there are
        videos) and `filter_banks`, each sense by itself, or as `media_embeds` (N, Q, D), media of
        both senses that are embedded already; (N * Q, D) where they differ in Q.

        Raises:
            ValueError: the placeholders are not those of the media given, or media are given twice.
        """
        is_image = input_ids == self.config.image_token_id
        is_audio = input_ids == self.config.audio_token_id
        words = input_ids.masked_fill(is_image | is_audio, 0)  # placeholders may have no embedding
        embeds: Tensor = self.get_input_embeddings()(words)
        if media_embeds is not None:
            if pixel_values is not None or filter_banks is not None:
                raise ValueError(
                    "given media_embeds and raw media; give all media of a batch in one form"
                )
            return self._place(embeds, is_image | is_audio, media_embeds, "media")
        images = None if pixel_values is None else self.embed_image(pixel_values, frame_counts)
        sounds = None if filter_banks is None else self.embed_audio(filter_banks)
        embeds = self._place(embeds, is_image, images, "image")
        return self._place(embeds, is_audio, sounds, "audio")

    def _place(self, embeds: Tensor, places: Tensor, media: Tensor | None, kind: str) -> Tensor:
        given = 0 if media is None else media.numel() // media.shape[-1]
        if not torch.compiler.is_compiling() and int(places.sum()) != given:
            raise ValueError(_mismatch(kind, int(places.sum()), given))
        if media is None:
            return embeds
        return embeds.masked_scatter(places.unsqueeze(-1), media.to(embeds.dtype))

    # -- language ---------------------------------------------------------------------------------

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        filter_banks: Tensor | None = None,
        media_embeds: Tensor | None = None,
        frame_counts: Sequence[int] | Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        labels: Tensor | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool | None = None,
        inputs_embeds: Tensor | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Logits of the next token at every place, and the loss where labels are given.

        Args:
            input_ids: (B, T), with placeholders for media (see `embed_inputs`, also for the media).
            attention_mask: (B, past + T), nonzero where a token is real, or (B, 1, T, past + T):
                bool, True where the query may look, or floats to add to the attention's logits.
            position_ids: (B, T); by default real tokens count from 0 where the mask is 2-D, and
                all tokens count from the length of the cache otherwise.
            labels: (B, T), -100 where nothing is to be learned; a label stands at the place of its
                token, and the place before it predicts it.
            past_key_values: keys and values of the tokens before.
            inputs_embeds: (B, T, D) in place of `input_ids` and media, see `embed_inputs`.
            kwargs: on to `LlamaForCausalLM`, for instance `logits_to_keep`.

        Returns:
            `logits` (B, T, vocabulary); `loss`, the mean over labels in nats; `past_key_values`.

        Raises:
            ValueError: media and placeholders do not match; both or neither of `input_ids` and
                `inputs_embeds`; or more tokens than the language model reads.

        Labels that are all -100 teach nothing: there is a warning, and the loss and its gradients
        are zero, never NaN. (An optimizer with momentum still moves a little.)
        """
        if input_ids is not None and inputs_embeds is None:
            embeds = self.embed_inputs(
                input_ids, pixel_values, filter_banks, media_embeds, frame_counts
            )
        elif inputs_embeds is not None and input_ids is None:
            embeds = inputs_embeds
        else:
            raise ValueError("give input_ids or inputs_embeds, exactly one of them")
        tokens = embeds.shape[1]
        if position_ids is None:
            self._check_context(tokens, past_key_values)
        if attention_mask is not None and attention_mask.ndim == 4:
            attention_mask = _additive(attention_mask, embeds.dtype)
        elif attention_mask is not None and position_ids is None:
            position_ids = (attention_mask.long().cumsum(-1) - 1).clamp_min(0)
            position_ids = position_ids[:, -tokens:]
        output: CausalLMOutputWithPast = self.language_model(
            inputs_embeds=embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            labels=labels,
            past_key_values=past_key_values,
            use_cache=use_cache,
            **kwargs,
        )
        if labels is not None and not torch.compiler.is_compiling() and (labels[:, 1:] < 0).all():
            warnings.warn("the labels are all -100: the batch teaches nothing", stacklevel=2)
            output.loss = 0.0 * output.logits.sum()  # the mean over no labels is NaN
        return output

    def _check_context(self, tokens: int, past: Cache | None = None) -> None:
        seen = 0 if past is None else int(past.get_seq_length())
        most = self.config.text_config.max_position_embeddings
        if tokens + seen > most:
            raise ValueError(
                f"the talk would have {tokens + seen:,} tokens, media and answer included; the "
                f"language model reads at most {most:,}: shorten it, or ask for fewer new tokens"
            )

    def _prepare_generated_length(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse, before anything is written, an answer that may leave the context."""
        prepared = super()._prepare_generated_length(*args, **kwargs)
        self._check_context(prepared.max_length)
        return prepared

    def get_output_embeddings(self) -> nn.Module:
        """The layer from the language model's width to logits, for transformers."""
        head: nn.Module = self.language_model.get_output_embeddings()
        return head

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        """Put another such layer in its place, for transformers."""
        self.language_model.set_output_embeddings(new_embeddings)

    def prepare_inputs_for_generation(
        self,
        *args: Any,
        inputs_embeds: Tensor | None = None,
        is_first_iteration: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """What one step of `generate` gives to `forward`: media only while they are read."""
        if not is_first_iteration and kwargs.get("use_cache", True):
            kwargs = {name: value for name, value in kwargs.items() if name not in MEDIA_INPUTS}
        inputs: dict[str, Any] = super().prepare_inputs_for_generation(
            *args, inputs_embeds=inputs_embeds, is_first_iteration=is_first_iteration, **kwargs
        )
        return inputs

    def _expand_inputs_for_generation(
        self, expand_size: int = 1, *, input_ids: Tensor | None = None, **kwargs: Any
    ) -> tuple[Tensor, dict[str, Any]]:
        """Repeat every row for beams or several samples, each with all media of its row."""
        media = {name: kwargs.pop(name) for name in MEDIA_INPUTS if kwargs.get(name) is not None}
        rows, expanded = super()._expand_inputs_for_generation(
            expand_size=expand_size, input_ids=input_ids, **kwargs
        )
        if input_ids is not None:
            expanded |= repeat_media(media, input_ids, self.config, expand_size)
        return rows, expanded

    def resize_token_embeddings(self, *args: Any, **kwargs: Any) -> nn.Module:
        """As transformers' own; placeholders that now have an embedding are never generated."""
        embeddings: nn.Module = super().resize_token_embeddings(*args, **kwargs)
        self._suppress_placeholders()
        return embeddings

    def _suppress_placeholders(self) -> None:
        vocabulary = self.config.text_config.vocab_size
        placeholders = [token for token in self.config.media_token_ids if token < vocabulary]
        self.generation_config.suppress_tokens = placeholders or None

    # -- training and files -----------------------------------------------------------------------

    def train_only(self, *parts: str) -> list[nn.Parameter]:
        """Freeze everything but the named parts, and return the parameters left to train.

        Args:
            parts: names of modules or parameters, such as "bridge.qformer",
                "bridge.qformer.query_tokens.audio" or "language_model.model.layers.0".

        Raises:
            ValueError: a name that no parameter has.
        """
        for part in parts:
            if not any(_within(name, part) for name, _ in self.named_parameters()):
                known = ", ".join(name for name, _ in self.named_children())
                raise ValueError(f"no parameter lies in {shown(part)!r}; the parts are {known}")
        for name, parameter in self.named_parameters():
            parameter.requires_grad = any(_within(name, part) for part in parts)
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    @classmethod
    def from_pretrained(
        cls,
        folder: Any,
        *args: Any,
        dtype: torch.dtype | str = torch.float32,
        hub: bool = False,
        **kwargs: Any,
    ) -> Self:
        """The core that `save_pretrained` wrote, ready for use, in float32 unless asked otherwise.

        Args:
            folder: a path. With `hub` it may be the name of a repository, to be downloaded.
            kwargs: on to transformers, for instance `quantization_config`, `device_map`.

        Raises:
            OSError: there is no such folder, or it holds no config or no weights.
            ValueError: a tensor is missing, left over, or of another shape than the config says.
        """
        kwargs |= {"local_files_only": True} if local_only(folder, hub=hub) else {}
        kwargs |= {"output_loading_info": True, "use_safetensors": True, "dtype": dtype}
        shows_progress = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()  # it takes a moment only
        try:
            core, report = super().from_pretrained(
                folder, *args, ignore_mismatched_sizes=True, **kwargs
            )
        finally:
            if shows_progress:
                logging.enable_progress_bar()
        check_fit(folder, report)
        loaded: Self = core
        if loaded.generation_config.suppress_tokens is None:  # a folder without one of its own
            loaded._suppress_placeholders()
        return loaded


def _mismatch(kind: str, places: int, given: int) -> str:
    """What to do where media do not fill their places."""
    gives = {"image": "pixel_values", "audio": "filter_banks"}.get(kind, "media_embeds")
    if not given:
        return f"the tokens hold {places} {kind} placeholders, but no {kind} is given: give {gives}"
    return (
        f"the tokens hold {places} {kind} placeholders, but what is given as {gives} takes "
        f"{given}: give each medium `config.num_tokens` placeholders (CoreProcessor does), and "
        "frame_counts where there are videos"
    )


AutoConfig.register(CoreConfig.model_type, CoreConfig)
AutoModelForCausalLM.register(CoreConfig, Core)


def _within(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")


def _additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """A mask of bools as floats to add, since not every attention of transformers knows bools."""
    if mask.dtype != torch.bool:
        return mask
    return torch.zeros_like(mask, dtype=dtype).masked_fill(~mask, torch.finfo(dtype).min)
