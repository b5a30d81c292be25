"""The Q-Former: queries look at an encoder's features and carry them to the language model.

Li et al., "BLIP-2" (2023), section 3; one Q-Former for all senses with queries of its own for each
is ChatBridge's (Zhao et al., 2023, section 3.1).

Shapes: N media, F frames or segments of a medium, S source features of each, W width of the source,
Q queries, D width of the Q-Former.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from transformers import Blip2QFormerConfig, Blip2QFormerModel
from transformers import initialization as init

Sense = Literal["image", "audio"]


class Tables(nn.ParameterDict):
    """Parameters by sense, asked for by a call, as hooks that bring weights from a disk expect."""

    __call__ = nn.Module.__call__

    def forward(self, sense: Sense) -> Tensor:
        """The table of a sense."""
        table: Tensor = self[sense]
        return table


class QFormer(Blip2QFormerModel):  # type: ignore[misc]
    """transformers' Q-Former with a table of queries for each sense.

    The queries for sound start as a copy of those for pictures: at zero, as ChatBridge's did, they
    would all be alike, and the first layer norm would scale their gradient by a million.
    """

    def __init__(
        self,
        config: Blip2QFormerConfig,
        num_query_tokens: int,
        senses: tuple[Sense, ...] = ("image", "audio"),
    ) -> None:
        super().__init__(config)
        self.query_tokens = Tables(
            {
                sense: nn.Parameter(torch.empty(1, num_query_tokens, config.hidden_size))
                for sense in senses
            }
        )
        self.post_init()

    def forward(self, features: Tensor, sense: Sense, condition: Tensor | None = None) -> Tensor:
        """Look at features.

        Args:
            features: (N, S, encoder_hidden_size) of one sense; all S are looked at.
            sense: whose queries ask.
            condition: (N, 1, D) or (N, Q, D), added to the queries before their layer norm, to make
                them ask for what matters in a talk (Wang et al., "Browse and Concentrate", 2024).

        Returns:
            (N, Q, D).
        """
        queries = self.query_tokens(sense).expand(len(features), -1, -1)
        if condition is not None:
            queries = queries + condition
        output = super().forward(query_embeds=queries, encoder_hidden_states=features)
        summary: Tensor = output.last_hidden_state
        return summary

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, nn.ParameterDict):
            first, *others = module.values()
            init.normal_(first, std=self.config.initializer_range)
            for table in others:
                init.copy_(table, first)


class QFormerBridge(nn.Module):
    """A Q-Former with the way to it and the way on to the language model.

    The first sense's features go in as they are. Those of a second one, sound, pass a layer norm
    and a projection to the first one's width. With `frames`, each frame or segment of a medium gets
    a learned embedding, which is zero at first.

    Args:
        config: sizes of the Q-Former.
        widths: width of each sense's features, the first sense first.
        num_query_tokens: queries a medium.
        llm_width: width of the language model.
        frames: of each sense, how many frames have an embedding; none by default.
    """

    looks_at_all_frames = True

    def __init__(
        self,
        config: Blip2QFormerConfig,
        widths: Mapping[Sense, int],
        num_query_tokens: int,
        llm_width: int,
        frames: Mapping[Sense, int] | None = None,
    ) -> None:
        super().__init__()
        first, *others = widths
        if others:
            self.audio_norm = nn.LayerNorm(widths["audio"])
            self.audio_projection = nn.Linear(widths["audio"], widths[first])
        self.others = tuple(others)
        self.qformer = QFormer(config, num_query_tokens, tuple(widths))
        self.llm_projection = nn.Linear(config.hidden_size, llm_width)
        self.frame_embeddings = Tables(
            {
                sense: nn.Parameter(torch.zeros(1, number, 1, widths[first]))
                for sense, number in (frames or {}).items()
            }
        )

    def forward(self, features: Tensor, sense: Sense, condition: Tensor | None = None) -> Tensor:
        """Features (N, F, S, W) of one sense, and a condition as `QFormer` takes it, to (N, Q, D)
        in the language model's width. The features of all frames are looked at together.

        Raises:
            ValueError: more frames than there are embeddings for.
        """
        carried = self.carry(features, sense, condition)
        projected: Tensor = self.llm_projection(carried.to(self.llm_projection.weight.dtype))
        return projected

    def carry(self, features: Tensor, sense: Sense, condition: Tensor | None = None) -> Tensor:
        """As `forward`, but in the Q-Former's width."""
        if sense in self.others:
            features = self.audio_projection(self.audio_norm(features))
        if sense in self.frame_embeddings:
            known = self.frame_embeddings(sense)
            if features.shape[1] > known.shape[1]:
                raise ValueError(
                    f"given {features.shape[1]} frames of {sense}, expected at most "
                    f"{known.shape[1]}, which have an embedding; give fewer"
                )
            features = features + known[:, : features.shape[1]]
        carried: Tensor = self.qformer(features.flatten(1, 2), sense, condition)
        return carried
