"""The whole core while it is joined: what it sees and hears, and what it says of it.

Shapes: M media, Q queries a medium, D width of the phrase vectors.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from nuthatch.mllm.bridges.qformer import Sense
from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.core import Core
from nuthatch.tools.vocabulary import TINTS
from nuthatch.training.collate import IGNORED
from nuthatch.training.fit import Losses, has_fast_bf16
from nuthatch.training.stages.bridge import NEAR
from nuthatch.training.stages.bridge_loss import (
    Wanted,
    bridge_losses,
    directions,
    distances_in_meaning,
    distances_in_picture,
    match,
    places,
    prediction_cost,
)
from nuthatch.training.stages.grouped_attention import NAME as GROUPED
from nuthatch.training.stages.phrase_vectors import PhraseVectors
from nuthatch.training.stages.reader import speaking_losses

BRIDGE_WEIGHT, TINT_WEIGHT = 0.5, 0.2


class Joiner(nn.Module):
    """The core, the heads of its bridge, and the layers that take simulated queries."""

    KINDS: ClassVar[tuple[str, ...]] = ("image", "audio", "simulated")
    """What a medium is made of: pixels, filter banks or a simulated query."""

    image_vectors: Tensor
    audio_vectors: Tensor

    def __init__(
        self, config: CoreConfig, categories: PhraseVectors, sounds: PhraseVectors
    ) -> None:
        super().__init__()
        self.core = Core(config)
        self.core.vision_tower.requires_grad_(False)
        self.core.language_model.set_attn_implementation(GROUPED)
        if not torch.cuda.is_available() and has_fast_bf16():  # there the fused kernel is slower
            for part in (self.core.vision_tower, self.core.bridge.qformer):
                part.set_attn_implementation("eager")
        width, named = config.bridge_config.hidden_size, categories.vectors.shape[1]
        spoken = config.text_config.hidden_size
        self.itc, self.box = nn.Linear(width, named), nn.Linear(width, 4)
        self.from_vector, self.from_box = nn.Linear(named, spoken), nn.Linear(4, spoken)
        self.name = nn.Linear(spoken, named)
        self.tint = nn.Linear(width, 1 + len(TINTS))
        queries = config.num_query_tokens
        self.register_buffer("image_vectors", categories.vectors, persistent=False)
        self.register_buffer("audio_vectors", sounds.vectors, persistent=False)
        self.register_buffer("image_anchors", places(queries), persistent=False)
        self.register_buffer("audio_anchors", directions(queries, named), persistent=False)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.image_vectors.device

    @staticmethod
    def media_of(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of a batch, what `embed_media` takes."""
        names = ("kinds", "queries", "pixels", "filter_banks")
        return {name: batch[name] for name in names if name in batch}

    def queries(self, media: Tensor, sense: Sense) -> Tensor:
        """What the bridge says, (N, Q, width), of pictures or of sounds as the core takes them."""
        if sense == "image":
            with torch.no_grad():
                features = self.core.vision_tower.features(media).unsqueeze(1)
        else:
            features = self.core.audio_tower.features(media)
        carried: Tensor = self.core.bridge.carry(features, sense)
        return carried

    def embed_media(
        self,
        kinds: Tensor,
        queries: Tensor,
        pixels: Tensor | None = None,
        filter_banks: Tensor | None = None,
    ) -> Tensor:
        """What stands in the places of media, (M, Q, width of the language model).

        Args:
            kinds: (M,) of each medium in order of appearance, indices in `KINDS`.
            queries: (simulated, Q, D + 4).
            pixels: (pictures, 3, S, S).
            filter_banks: (sounds, segments, frames, bins).
        """
        carried = self._carried(pixels, filter_banks)
        return self._placed(kinds, queries, carried)

    def losses(
        self,
        input_ids: Tensor,
        position_ids: Tensor,
        groups: Tensor,
        branches: Tensor,
        labels: Tensor,
        weights: Tensor,
        names: Tensor,
        kinds: Tensor,
        queries: Tensor,
        pixels: Tensor | None = None,
        filter_banks: Tensor | None = None,
        **wanted: Tensor,
    ) -> Losses:
        """What a batch teaches.

        Args:
            input_ids, position_ids, groups, branches, labels, weights, names: as `Reader.losses`.
            kinds, queries, pixels, filter_banks: as `embed_media`.
            wanted: `image_names`, `image_boxes`, `audio_names`, `audio_boxes`: `Wanted` of those
                media that there are. `image_tints` (pictures, N): 0 for natural colours, else 1 +
                the tint's index in `TINTS`; -100 where it is not known.
        """
        carried = self._carried(pixels, filter_banks)
        embeds = self.core.embed_inputs(
            input_ids, media_embeds=self._placed(kinds, queries, carried)
        )
        losses = speaking_losses(
            self.core.language_model,
            self.name,
            self.image_vectors,
            embeds,
            position_ids,
            groups,
            branches,
            labels,
            weights,
            names,
        )
        for sense, said in carried.items():
            there = Wanted(wanted[f"{sense}_names"], wanted[f"{sense}_boxes"])
            given, boxes = self.itc(said), self.box(said)
            owner = self._owners(given, boxes, there, sense)
            vectors = self.get_buffer(f"{sense}_vectors")
            parts = bridge_losses(given, boxes, owner, there, vectors)
            losses[f"bridge_{sense}"] = BRIDGE_WEIGHT * torch.stack(list(parts.values())).sum()
            if sense == "image":
                losses["tint"] = TINT_WEIGHT * self._tint_loss(said, wanted["image_tints"], owner)
        return losses

    def _carried(self, pixels: Tensor | None, filter_banks: Tensor | None) -> dict[Sense, Tensor]:
        given: dict[Sense, Tensor | None] = {"image": pixels, "audio": filter_banks}
        return {
            sense: self.queries(media, sense) for sense, media in given.items() if media is not None
        }

    def _placed(self, kinds: Tensor, queries: Tensor, carried: Mapping[Sense, Tensor]) -> Tensor:
        vectors, boxes = queries[..., :-4], queries[..., -4:]
        simulated: Tensor = self.from_vector(vectors) + self.from_box(boxes)
        spoken = {"simulated": simulated}
        spoken |= {sense: self.core.bridge.llm_projection(said) for sense, said in carried.items()}
        placed = simulated.new_empty(len(kinds), *simulated.shape[1:])
        for kind, said in spoken.items():
            placed[kinds == self.KINDS.index(kind)] = said
        return placed

    def _owners(self, given: Tensor, boxes: Tensor, wanted: Wanted, sense: Sense) -> Tensor:
        """(M, Q): what each query answers for, by anchors and by what the queries say."""
        anchors = self.get_buffer(f"{sense}_anchors")
        vectors = self.get_buffer(f"{sense}_vectors")
        far = (
            distances_in_picture(wanted, anchors)
            if sense == "image"
            else distances_in_meaning(wanted, anchors, vectors)
        )
        cost = prediction_cost(given, boxes, wanted, vectors)
        return match(NEAR * far + cost, wanted)

    def _tint_loss(self, said: Tensor, tints: Tensor, owner: Tensor) -> Tensor:
        """Detecting things teaches the bridge to overlook their colours; this keeps them."""
        true = tints.gather(1, owner.clamp_min(0))
        known = (owner >= 0) & (true != IGNORED)
        wrong = functional.cross_entropy(self.tint(said[known]), true[known], reduction="sum")
        return wrong / known.sum().clamp_min(1)
