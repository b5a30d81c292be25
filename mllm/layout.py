"""Layout: segments of text and media become one batch of token ids, labels, mask and positions.

Text is tokenized segment by segment, without special tokens, and placeholders stand where a medium
will. This is how the published systems wrap media (ChatBridge, Zhao et al., 2023; LLaVA, Liu et
al., 2023), but for two faults of theirs, which `Quirk` names: by default neither how much padding a
row gets nor which side it stands on changes what the model reads.

Shapes: B batch, T tokens.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import torch
from transformers import BatchFeature, PreTrainedTokenizerFast

from nuthatch.mllm.bridges.qformer import Sense
from nuthatch.mllm.config import CoreConfig

IGNORED = -100
Quirk = Literal["masked_bos", "padded_pieces"]
"""What released code does to a batch of rows that differ in length, and what weights have seen.

`masked_bos` (ChatBridge, stage 2): rows are padded on the left, the BOS token is put before the
padding and takes its mask, so it is hidden in every padded row; positions count the padding.
`padded_pieces` (MiniGPT-4, BuboGPT): each piece of text is padded on the right to the longest of
the batch, so masked gaps stand inside the rows; positions count them too.
"""


class Text(NamedTuple):
    """A piece of text, tokenized by itself."""

    text: str
    learned: tuple[tuple[int, int], ...] = ()
    """Spans of characters of which there are labels."""
    said: tuple[tuple[int, int], ...] = ()
    """Spans that somebody said: what looks like a special token there is text like any other."""


class Medium(NamedTuple):
    """A picture, a sound, or a video of some frames."""

    sense: Sense
    frames: int = 1
    content: Any = None
    """The medium itself, for `CoreProcessor.batch`; the layout does not look at it."""


Segment = Text | Medium
Piece = list[tuple[int, int]]
"""Token ids, each with its label."""


def lay_out(
    rows: Sequence[Sequence[Segment]],
    config: CoreConfig,
    tokenizer: PreTrainedTokenizerFast,
    *,
    padding_side: Literal["left", "right"] = "right",
    max_tokens: int | None = None,
    quirk: Quirk | None = None,
) -> BatchFeature:
    """A batch for `Core.forward`, which adds the media themselves.

    Args:
        rows: segments of each row; the BOS token comes in front by itself.
        config: says how many places a medium takes.
        tokenizer: one that keeps the blank at the start of a text (`CoreProcessor.from_pretrained`
            loads such a one).
        padding_side: where shorter rows are padded; "left" to generate.
        max_tokens: places a row may have behind BOS, media included; the rest is cut off.
        quirk: lay out as released code does, see `Quirk`; it decides about padding itself.

    Returns:
        `input_ids`, `attention_mask`, `position_ids` and `labels`, (B, T) each. A learned token is
        one that ends in a learned span; all other labels are -100.

    Raises:
        ValueError: no rows, or an empty one; an argument that is not one of those above; a medium
            that the core does not sense; `max_tokens` would cut through a medium; a row is longer
            than the language model reads; or a tokenizer that loses blanks.
    """
    _check(rows, config, tokenizer, padding_side, max_tokens, quirk)
    if _ids(tokenizer, " a") == _ids(tokenizer, "a"):
        raise ValueError(
            "this tokenizer swallows the blank at the start of a text, so that pieces around media "
            "would read otherwise than in training; load tokenizer.json with "
            "PreTrainedTokenizerFast, and see that its normalizer or pre-tokenizer puts a blank "
            "before every piece, not only before the first"
        )
    pieces = [[_piece(segment, config, tokenizer) for segment in row] for row in rows]
    pad = next(
        token for token in (tokenizer.pad_token_id, tokenizer.eos_token_id, 0) if token is not None
    )
    gap = (pad, IGNORED, 0)
    if quirk == "padded_pieces":
        filled = _filled(pieces, gap)
    else:
        filled = [[(*token, 1) for piece in row for token in piece] for row in pieces]
    media = set(config.media_token_ids)
    for index, row in enumerate(filled):
        if max_tokens is not None and len(row) > max_tokens:
            cut = sum(token in media for token, *_ in row[max_tokens:])
            if cut:
                raise ValueError(
                    f"row {index} has {len(row)} places, and cutting it to {max_tokens} loses "
                    f"{cut} of its media's; give more places, or fewer media"
                )
            filled[index] = row[:max_tokens]
    begin = [] if tokenizer.bos_token_id is None else [(tokenizer.bos_token_id, IGNORED, 1)]
    longest, most = max(map(len, filled)), config.text_config.max_position_embeddings
    if longest + len(begin) > most:
        raise ValueError(
            f"a row has {longest + len(begin):,} places, media included; the language model reads "
            f"at most {most:,}: shorten the talk, or cut rows with max_tokens"
        )
    whole = []
    for row in filled:
        padding = [gap] * (longest - len(row))
        if quirk == "masked_bos":
            start = [(*begin[0][:2], 0)] if padding else begin
            whole.append(start + padding + row)
        elif padding_side == "left" and quirk is None:
            whole.append(padding + begin + row)
        else:
            whole.append(begin + row + padding)
    ids, labels, mask = torch.tensor(whole).unbind(-1)
    counted = torch.ones_like(mask) if quirk else mask
    return BatchFeature(
        {
            "input_ids": ids,
            "attention_mask": mask,
            "position_ids": (counted.cumsum(-1) - 1).clamp_min(0),
            "labels": labels,
        }
    )


def _piece(segment: Segment, config: CoreConfig, tokenizer: PreTrainedTokenizerFast) -> Piece:
    if isinstance(segment, Medium):
        places = config.num_tokens(segment.sense, segment.frames)
        return [(config.token_id(segment.sense), IGNORED)] * places
    if not segment.text:
        return []
    return [
        (token, token if any(first < end <= last for first, last in segment.learned) else IGNORED)
        for token, end in _tokens(segment, tokenizer)
    ]


def _tokens(segment: Text, tokenizer: PreTrainedTokenizerFast) -> list[tuple[int, int]]:
    """Token ids, and where each ends; of special tokens only those that nobody said."""
    special = set(tokenizer.all_special_ids)

    def encoded(text: str, at: int, **how: bool) -> list[tuple[int, int, int]]:
        made = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, **how)
        spans = zip(made["input_ids"], made["offset_mapping"], strict=True)
        return [(token, at + start, at + end) for token, (start, end) in spans]

    whole = encoded(segment.text, 0)
    said = {
        (start, end)
        for token, start, end in whole
        if token in special and any(start < last and first < end for first, last in segment.said)
    }
    if not said:
        return [(token, end) for token, _, end in whole]
    meant = [each for each in whole if each[0] in special and each[1:] not in said]
    parts: list[tuple[int, int, int]] = []
    at = 0
    for token, start, end in [*meant, (-1, len(segment.text), -1)]:
        if start > at:
            parts += encoded(segment.text[at:start], at, split_special_tokens=True)
        if token >= 0:
            parts.append((token, start, end))
        at = end
    return [(token, end) for token, _, end in parts]


def _check(
    rows: Sequence[Sequence[Segment]],
    config: CoreConfig,
    tokenizer: PreTrainedTokenizerFast,
    padding_side: str,
    max_tokens: int | None,
    quirk: str | None,
) -> None:
    if not rows or not all(rows):
        raise ValueError("given no rows, or an empty one; expected segments of at least one talk")
    if padding_side not in ("left", "right"):
        raise ValueError(f"given padding_side={padding_side!r}, expected 'left' or 'right'")
    if max_tokens is not None and max_tokens < 1:
        raise ValueError(f"given max_tokens={max_tokens}, expected at least 1")
    if quirk not in (None, *get_args(Quirk)):
        raise ValueError(f"given quirk={quirk!r}, expected None or one of {get_args(Quirk)}")
    if quirk == "masked_bos" and tokenizer.bos_token_id is None:
        raise ValueError("given quirk='masked_bos' and a tokenizer without a BOS token")
    if quirk == "padded_pieces" and len({tuple(map(type, row)) for row in rows}) > 1:
        raise ValueError(
            "with quirk='padded_pieces' all rows need the same kinds of segments in the same "
            "order; lay out others one by one"
        )
    for medium in (each for row in rows for each in row if isinstance(each, Medium)):
        if medium.sense not in config.senses:
            raise ValueError(
                f"given a medium of sense {medium.sense!r}; this core has "
                f"{' and '.join(config.senses)}"
            )


def _ids(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False))


def _filled(
    pieces: Sequence[Sequence[Piece]], gap: tuple[int, int, int]
) -> list[list[tuple[int, int, int]]]:
    """Rows whose pieces are as long as the longest of each place in the batch."""
    rows: list[list[tuple[int, int, int]]] = [[] for _ in pieces]
    for column in zip(*pieces, strict=True):
        longest = max(map(len, column))
        for row, piece in zip(rows, column, strict=True):
            row += [(*token, 1) for token in piece]
            row += [gap] * (longest - len(piece))
    return rows
