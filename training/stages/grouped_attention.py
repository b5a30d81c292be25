"""Attention of packed rows, group by group: what cannot see each other is never multiplied.

With one mask for a whole row a third of a step is attention, nearly all of it between dialogues
that are hidden from each other. Here each group of a row (see `collate.Batch`) is attended to by
itself. The numbers are the same; a row may then be as long as a batch.

Registered with transformers as "grouped"; without `spans` it is transformers' "sdpa".
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from nuthatch.training.collate import block_mask

NAME = "grouped"


class Span(NamedTuple):
    """The tokens of one group: those of `row` from `start` to `end`, exclusive."""

    row: int
    start: int
    end: int
    mask: Tensor
    """(1, 1, end - start, end - start), to be added: 0 where a token (third axis) may look."""


def spans_of(groups: Tensor, branches: Tensor, dtype: torch.dtype) -> list[Span]:
    """The groups of all rows, in order; groups and branches (B, T) as in `collate.Batch`."""
    spans = []
    for row, members in enumerate(groups):
        ends = members.unique_consecutive(return_counts=True)[1].cumsum(0).tolist()
        for start, end in zip([0, *ends], ends, strict=False):
            here = (slice(row, row + 1), slice(start, end))
            seen = block_mask(groups[here], branches[here])
            hidden = torch.zeros_like(seen, dtype=dtype)
            spans.append(Span(row, start, end, hidden.masked_fill_(~seen, torch.finfo(dtype).min)))
    return spans


def grouped_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    spans: Sequence[Span] | None = None,
    scaling: float | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """As transformers calls it: query, key, value (B, H, T, D / H) to (B, T, H, D / H)."""
    if spans is None:
        attended: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **options
        )
        return attended
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    # Split, not sliced: the gradient of a slice is as large as the whole. Written out, since in
    # bfloat16 on processors the fused kernel takes 2.5 times as long.
    sizes = [span.end - span.start for span in spans]
    queries, keys, values = (
        _in_a_row(each).to(value.dtype).split(sizes, 2) for each in (scale * query, key, value)
    )
    with torch.autocast(value.device.type, enabled=False):
        parts = [
            (q @ k.transpose(-1, -2) + span.mask.to(value.dtype)).softmax(-1) @ v
            for span, q, k, v in zip(spans, queries, keys, values, strict=True)
        ]
    # All parts in a row, then the rows apart: (1, H, B * T, D / H) to (B, T, H, D / H).
    together = torch.cat(parts, 2)[0].transpose(0, 1)
    return together.unflatten(0, (len(query), -1)), None


def _in_a_row(each: Tensor) -> Tensor:
    """(B, H, T, D / H) to (1, H, B * T, D / H)."""
    return each.transpose(0, 1).flatten(1, 2)[None]


AttentionInterface.register(NAME, grouped_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
