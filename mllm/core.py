"""The core: eyes, ears, a shared bridge and a language model in one transformers model.

After ChatBridge (Zhao et al., 2023, section 3.1): EVA sees, BEATs hears, one Q-Former turns either
into a fixed number of queries, one linear layer brings these to the language model's width, and
there they take the places of placeholder tokens.

Shapes: B batch, T tokens, N media, S source features, Q queries a medium, D width of the language
model.
"""

from typing import Any, Self

import torch
from torch import Tensor, nn
from transformers import Cache, GenerationMixin, LlamaForCausalLM, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.utils import logging

from nuthatch.mllm.bridges.qformer import Sense, SharedQFormer
from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.encoders.beats import Beats
from nuthatch.mllm.encoders.eva import Eva

MEDIA_INPUTS = ("pixel_values", "filter_banks", "media_embeds")


class Core(PreTrainedModel, GenerationMixin):  # type: ignore[misc]
    """A language model that sees and hears.

    Parts: `vision_tower`, `audio_tower`, `audio_norm`, `audio_projection` (to the width of vision),
    `qformer` (with `query_tokens` for each sense), `llm_projection`, `language_model`.
    """

    config: CoreConfig
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
        vision_width = config.vision_config.hidden_size
        audio_width = config.audio_config.encoder_embed_dim
        self.vision_tower = Eva(config.vision_config)
        self.audio_tower = Beats(config.audio_config)
        self.audio_norm = nn.LayerNorm(audio_width)
        self.audio_projection = nn.Linear(audio_width, vision_width)
        self.qformer = SharedQFormer(config.bridge_config, config.num_query_tokens)
        self.llm_projection = nn.Linear(
            config.bridge_config.hidden_size, config.text_config.hidden_size
        )
        self.language_model = LlamaForCausalLM(config.text_config)
        for module in self.audio_tower.modules():
            module._is_hf_initialized = True  # type: ignore[assignment]  # by DeepNet's rule
        self.post_init()
        self.generation_config.suppress_tokens = list(config.media_token_ids)

    # -- media ------------------------------------------------------------------------------------

    def embed_image(self, pixel_values: Tensor) -> Tensor:
        """Pictures (N, 3, S, S), as `CoreProcessor.pixel_values` gives them, to (N, Q, D).

        Raises:
            ValueError: the pictures are not of the size in the config.
        """
        size = self.config.vision_config.image_size
        if pixel_values.ndim != 4 or pixel_values.shape[1:] != (3, size, size):
            raise ValueError(
                f"given pixel_values of shape {tuple(pixel_values.shape)}, expected "
                f"(pictures, 3, {size}, {size}); CoreProcessor.pixel_values makes them"
            )
        features = self.vision_tower(pixel_values).last_hidden_state
        return self._bridge(features, "image")

    def embed_audio(self, filter_banks: Tensor) -> Tensor:
        """Sounds (N, segments, frames, bins) as `CoreProcessor.filter_banks` gives, to (N, Q, D).

        The features of a sound's segments are put one after the other for the Q-Former.

        Raises:
            ValueError: the sounds have another number of bins than the config.
        """
        bins = self.config.num_mel_bins
        if filter_banks.ndim != 4 or filter_banks.shape[-1] != bins:
            raise ValueError(
                f"given filter_banks of shape {tuple(filter_banks.shape)}, expected "
                f"(sounds, segments, frames, {bins}); CoreProcessor.filter_banks makes them"
            )
        dtype = self.audio_projection.weight.dtype
        features = self.audio_tower(filter_banks.flatten(0, 1).to(dtype))  # (N * segments, S, D)
        features = self.audio_projection(self.audio_norm(features))
        return self._bridge(features.reshape(len(filter_banks), -1, features.shape[-1]), "audio")

    def _bridge(self, features: Tensor, sense: Sense) -> Tensor:
        queries = self.qformer(features, sense)
        projected: Tensor = self.llm_projection(queries.to(self.llm_projection.weight.dtype))
        return projected

    def embed_inputs(
        self,
        input_ids: Tensor,
        pixel_values: Tensor | None = None,
        filter_banks: Tensor | None = None,
        media_embeds: Tensor | None = None,
    ) -> Tensor:
        """Tokens (B, T) to what the language model reads, (B, T, D), with media in their places.

        Every medium takes Q placeholder tokens in a row. Media come in order of appearance, row
        after row: either as `pixel_values` and `filter_banks`, each sense by itself, or as
        `media_embeds` (N, Q, D), media of both senses that are embedded already.

        Raises:
            ValueError: the placeholders are not Q times the media given, or media are given twice.
        """
        embeds: Tensor = self.get_input_embeddings()(input_ids)
        is_image = input_ids == self.config.image_token_id
        is_audio = input_ids == self.config.audio_token_id
        if media_embeds is not None:
            if pixel_values is not None or filter_banks is not None:
                raise ValueError(
                    "given media_embeds and raw media; give all media of a batch in one form"
                )
            return self._place(embeds, is_image | is_audio, media_embeds, "media")
        images = None if pixel_values is None else self.embed_image(pixel_values)
        sounds = None if filter_banks is None else self.embed_audio(filter_banks)
        embeds = self._place(embeds, is_image, images, "image")
        return self._place(embeds, is_audio, sounds, "audio")

    def _place(self, embeds: Tensor, places: Tensor, media: Tensor | None, kind: str) -> Tensor:
        given, queries = 0 if media is None else len(media), self.config.num_query_tokens
        if not torch.compiler.is_compiling() and int(places.sum()) != given * queries:
            raise ValueError(
                f"given {given} of {kind} for {int(places.sum())} {kind} placeholder tokens; "
                f"expected {queries} tokens for each (see processing.expand_placeholders)"
            )
        if media is None:
            return embeds
        return embeds.masked_scatter(places.unsqueeze(-1), media.to(embeds.dtype))

    # -- language ---------------------------------------------------------------------------------

    def forward(
        self,
        input_ids: Tensor,
        pixel_values: Tensor | None = None,
        filter_banks: Tensor | None = None,
        media_embeds: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        labels: Tensor | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool | None = None,
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
            kwargs: on to `LlamaForCausalLM`, for instance `logits_to_keep`.

        Returns:
            `logits` (B, T, vocabulary); `loss`, the mean over labels in nats; `past_key_values`.

        Raises:
            ValueError: media and placeholders do not match, or labels are given but all are -100.
        """
        if labels is not None and not torch.compiler.is_compiling() and (labels[:, 1:] < 0).all():
            raise ValueError(
                "given labels that are all -100, whose mean loss is NaN; leave such batches out"
            )
        embeds = self.embed_inputs(input_ids, pixel_values, filter_banks, media_embeds)
        if attention_mask is not None and attention_mask.ndim == 4:
            attention_mask = _additive(attention_mask, embeds.dtype)
        elif attention_mask is not None and position_ids is None:
            position_ids = (attention_mask.long().cumsum(-1) - 1).clamp_min(0)
            position_ids = position_ids[:, -input_ids.shape[1] :]
        return self.language_model(
            inputs_embeds=embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            labels=labels,
            past_key_values=past_key_values,
            use_cache=use_cache,
            **kwargs,
        )

    def get_output_embeddings(self) -> nn.Module:
        """The layer from the language model's width to logits, for transformers."""
        head: nn.Module = self.language_model.get_output_embeddings()
        return head

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        """Put another such layer in its place, for transformers."""
        self.language_model.set_output_embeddings(new_embeddings)

    def prepare_inputs_for_generation(
        self, *args: Any, is_first_iteration: bool = False, **kwargs: Any
    ) -> dict[str, Any]:
        """What one step of `generate` gives to `forward`: media only while they are read."""
        if not is_first_iteration and kwargs.get("use_cache", True):
            kwargs = {name: value for name, value in kwargs.items() if name not in MEDIA_INPUTS}
        inputs: dict[str, Any] = super().prepare_inputs_for_generation(
            *args, is_first_iteration=is_first_iteration, **kwargs
        )
        return inputs

    def _expand_inputs_for_generation(
        self, expand_size: int = 1, *, input_ids: Tensor, **kwargs: Any
    ) -> tuple[Tensor, dict[str, Any]]:
        """Repeat every row for beams or several samples, each with all media of its row."""
        media = {name: kwargs.pop(name) for name in MEDIA_INPUTS if kwargs.get(name) is not None}
        rows, expanded = super()._expand_inputs_for_generation(
            expand_size=expand_size, input_ids=input_ids, **kwargs
        )
        is_image = input_ids == self.config.image_token_id
        is_audio = input_ids == self.config.audio_token_id
        places = dict(zip(MEDIA_INPUTS, (is_image, is_audio, is_image | is_audio), strict=True))
        for name, tensor in media.items():
            counts = places[name].sum(-1) // self.config.num_query_tokens  # media in each row
            of_rows = torch.arange(len(tensor)).split(counts.tolist())
            order = torch.cat([row for row in of_rows for _ in range(expand_size)])
            expanded[name] = tensor[order.to(tensor.device)]
        return rows, expanded

    # -- training and files -----------------------------------------------------------------------

    def train_only(self, *parts: str) -> list[nn.Parameter]:
        """Freeze everything but the named parts, and return the parameters left to train.

        Args:
            parts: names of modules or parameters, such as "qformer", "qformer.query_tokens.audio"
                or "language_model.model.layers.0".

        Raises:
            ValueError: a name that no parameter has.
        """
        for part in parts:
            if not any(_within(name, part) for name, _ in self.named_parameters()):
                known = ", ".join(name for name, _ in self.named_children())
                raise ValueError(f"no parameter lies in {part!r}; the parts are {known}")
        for name, parameter in self.named_parameters():
            parameter.requires_grad = any(_within(name, part) for part in parts)
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    @classmethod
    def from_pretrained(
        cls, folder: Any, *args: Any, dtype: torch.dtype | str = torch.float32, **kwargs: Any
    ) -> Self:
        """The core that `save_pretrained` wrote, ready for use, in float32 unless asked otherwise.

        Raises:
            OSError: the folder holds no config or no weights.
            ValueError: a tensor is missing, left over, or of another shape than the config says.
        """
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
        wrong = [
            f"{what}: {', '.join(sorted(str(name) for name in names))}"
            for what, names in (
                ("missing", report["missing_keys"]),
                ("not known", report["unexpected_keys"]),
                ("of another shape (name, given, expected)", report["mismatched_keys"]),
            )
            if names
        ]
        if wrong:
            raise ValueError(f"the weights in {folder} do not fit the config; " + "; ".join(wrong))
        loaded: Self = core
        return loaded


def _within(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")


def _additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """A mask of bools as floats to add, since not every attention of transformers knows bools."""
    if mask.dtype != torch.bool:
        return mask
    return torch.zeros_like(mask, dtype=dtype).masked_fill(~mask, torch.finfo(dtype).min)
