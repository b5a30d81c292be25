"""The language model of the core by itself, reading simulated queries in the place of media.

Shapes: B rows, T tokens, M media, Q queries a medium, D width of the phrase vectors.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaForCausalLM
from transformers.modeling_outputs import CausalLMOutputWithPast

from nuthatch.mllm.config import CoreConfig
from nuthatch.training.collate import IGNORED
from nuthatch.training.fit import Losses
from nuthatch.training.stages.bridge_loss import SHARPNESS
from nuthatch.training.stages.copying import start_copying
from nuthatch.training.stages.grouped_attention import NAME as GROUPED
from nuthatch.training.stages.grouped_attention import spans_of
from nuthatch.training.stages.phrase_vectors import PhraseVectors

VECTOR_SCALE, BOX_SCALE = 8.0, 2.0
"""Phrase vectors of unit length have small components; so scaled they are about as large as 1."""
NAME_WEIGHT = 0.3


class Reader(nn.Module):
    """Speaks about queries that say a phrase vector and a box each, (M, Q, D + 4).

    `name` is for training alone: in the middle of the model, where the answer begins, a linear map
    must tell the phrase vector of the category that was asked about. Without it the model hardly
    finds out that names are to be compared with what queries say.
    """

    vectors: Tensor

    def __init__(
        self,
        config: CoreConfig,
        categories: PhraseVectors,
        alike: Sequence[tuple[int, int]] = (),
    ) -> None:
        super().__init__()
        self.core = config
        width, named = config.text_config.hidden_size, categories.vectors.shape[1]
        self.language_model = LlamaForCausalLM(config.text_config)
        self.language_model.set_attn_implementation(GROUPED)
        self.from_vector = nn.Linear(named, width)
        self.from_box = nn.Linear(4, width)
        self.name = nn.Linear(width, named)
        start_copying(self.language_model, alike)
        self.register_buffer("vectors", categories.vectors, persistent=False)

    @property
    def config(self) -> Any:
        """As `mllm.decoding.Decoder` looks for it."""
        return self.language_model.config

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.vectors.device

    def embed_queries(self, queries: Tensor) -> Tensor:
        """(M, Q, D + 4) to what stands in the places of placeholders, (M, Q, width)."""
        vectors, boxes = queries[..., :-4], queries[..., -4:]
        said: Tensor = self.from_vector(VECTOR_SCALE * vectors) + self.from_box(BOX_SCALE * boxes)
        return said

    def embed(self, input_ids: Tensor, media_embeds: Tensor | None) -> Tensor:
        """(B, T) tokens with media (M, Q, width) in their places, to (B, T, width)."""
        embeds: Tensor = self.language_model.get_input_embeddings()(input_ids)
        if media_embeds is None or not len(media_embeds):
            return embeds
        places = torch.isin(input_ids, input_ids.new_tensor(self.core.media_token_ids))
        placed: Tensor = embeds.masked_scatter(places[..., None], media_embeds.to(embeds.dtype))
        return placed

    def forward(
        self,
        input_ids: Tensor,
        media_embeds: Tensor | None = None,
        attention_mask: Tensor | None = None,
        **options: Any,
    ) -> CausalLMOutputWithPast:
        """As `Core.forward`, for media that are embedded."""
        embeds = self.embed(input_ids, media_embeds)
        if attention_mask is not None and attention_mask.dtype == torch.bool:
            attention_mask = _additive(attention_mask, embeds.dtype)
        return self.language_model(inputs_embeds=embeds, attention_mask=attention_mask, **options)

    def losses(
        self,
        input_ids: Tensor,
        position_ids: Tensor,
        groups: Tensor,
        branches: Tensor,
        labels: Tensor,
        weights: Tensor,
        names: Tensor,
        queries: Tensor,
    ) -> Losses:
        """What a batch teaches.

        Args:
            input_ids, position_ids, groups, branches, labels, weights: see `collate.Batch`.
            names: see `lessons.Lessons.batch`.
            queries: of the media, in order of appearance.
        """
        embeds = self.embed(input_ids, self.embed_queries(queries))
        return speaking_losses(
            self.language_model,
            self.name,
            self.vectors,
            embeds,
            position_ids,
            groups,
            branches,
            labels,
            weights,
            names,
        )


def speaking_losses(
    model: LlamaForCausalLM,
    name: nn.Linear,
    vectors: Tensor,
    embeds: Tensor,
    position_ids: Tensor,
    groups: Tensor,
    branches: Tensor,
    labels: Tensor,
    weights: Tensor,
    names: Tensor,
) -> Losses:
    """Of packed rows: `answer`, the cross entropy of all answers, and `name`.

    The model's attention must be `grouped_attention`; for the arguments see `Reader.losses`.
    Logits are computed only where something is to be said.
    """
    read = model.model(
        inputs_embeds=embeds,
        spans=spans_of(groups, branches, embeds.dtype),
        position_ids=position_ids,
        use_cache=False,
        output_hidden_states=True,
    )
    said = labels[:, 1:] != IGNORED
    logits = model.lm_head(read.last_hidden_state[:, :-1][said]).float()
    counts = weights[:, 1:][said]
    each = functional.cross_entropy(logits, labels[:, 1:][said], reduction="none")
    losses = {"answer": (each * counts).sum() / counts.sum().clamp_min(1e-8)}

    asked = names >= 0
    middle = read.hidden_states[model.config.num_hidden_layers // 2][asked]
    guesses = SHARPNESS * functional.normalize(name(middle).float(), dim=-1) @ vectors.T
    told = functional.cross_entropy(guesses, names[asked], reduction="sum")
    losses["name"] = NAME_WEIGHT * told / asked.sum().clamp_min(1)
    return losses


def _additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.zeros_like(mask, dtype=dtype).masked_fill(~mask, torch.finfo(dtype).min)
