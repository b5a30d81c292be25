"""The Q-Former, shared by all senses: queries look at an encoder's features and carry them on.

Li et al., "BLIP-2" (2023), section 3; one Q-Former for all senses with queries of its own for each
is ChatBridge's (Zhao et al., 2023, section 3.1).

Shapes: B batch, S source features, Q queries, D width of the Q-Former.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from transformers import Blip2QFormerConfig, Blip2QFormerModel
from transformers import initialization as init

Sense = Literal["image", "audio"]


class SharedQFormer(Blip2QFormerModel):  # type: ignore[misc]
    """transformers' Q-Former with a table of queries for each sense.

    The queries for sound start as a copy of those for pictures: at zero, as ChatBridge's did, they
    would all be alike, and the first layer norm would scale their gradient by a million.
    """

    def __init__(self, config: Blip2QFormerConfig, num_query_tokens: int) -> None:
        super().__init__(config)
        self.query_tokens = nn.ParameterDict(
            {
                sense: nn.Parameter(torch.empty(1, num_query_tokens, config.hidden_size))
                for sense in ("image", "audio")
            }
        )
        self.post_init()

    def forward(self, features: Tensor, sense: Sense) -> Tensor:
        """Features (B, S, encoder_hidden_size) of one sense to (B, Q, D); all S are looked at."""
        queries = self.query_tokens[sense].expand(len(features), -1, -1)
        output = super().forward(query_embeds=queries, encoder_hidden_states=features)
        summary: Tensor = output.last_hidden_state
        return summary

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, nn.ParameterDict):
            init.normal_(module["image"], std=self.config.initializer_range)
            init.copy_(module["audio"], module["image"])


def qformer_from_released(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights under the names of LAVIS and ChatBridge, to the names of `SharedQFormer`.

    Args:
        state: `Qformer.bert.*`, `image_query_tokens` and `audio_query_tokens`; every other name,
            and the constant `position_ids`, is left out.

    Returns:
        A state dict for `SharedQFormer.load_state_dict`, which names what is missing.
    """
    result = {
        f"query_tokens.{sense}": state[f"{sense}_query_tokens"] for sense in ("image", "audio")
    }
    parts = (
        ("Qformer.bert.", ""),
        ("embeddings.LayerNorm.", "layernorm."),
        ("attention.self.", "attention.attention."),
    )
    for name, tensor in state.items():
        if not name.startswith("Qformer.bert.") or name.endswith("position_ids"):
            continue
        for theirs, ours in parts:
            name = name.replace(theirs, ours)
        result[name] = tensor
    return result
