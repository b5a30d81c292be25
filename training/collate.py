"""Packing: many dialogues in rows of one length, each as if it stood alone.

Questions about one picture share all that stands before them: the picture is encoded once, each
question sees this prefix and itself (block-diagonal attention), and its positions go on where the
prefix ends. Dialogues that share nothing fill the rest of a row in the same way. Shapes are static,
so that a compiled step is compiled once. A token of an answer of n tokens weighs n^-0.7, so that a
"yes" counts beside a long call.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nuthatch.mllm.chat import Encoded

IGNORED = -100
"""Label of tokens that nobody has to say."""
LENGTH_POWER = -0.7
POOL = 1.5
"""Rows are filled from so many times the tokens that they hold."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Group:
    """Dialogues that begin with the same `shared` tokens; these are written once.

    `media` are those of the shared part and then of each branch, in order of appearance.
    """

    prefix: Ints
    branches: tuple[Ints, ...]
    answers: tuple[Ints, ...]
    """For each branch, 1 where the assistant speaks."""
    media: tuple[Any, ...] = ()

    def __len__(self) -> int:
        return len(self.prefix) + sum(map(len, self.branches))


@dataclass(frozen=True)
class Batch:
    """B rows of T tokens.

    `groups` (B, T): which group of its row a token belongs to, -1 where the row is empty.
    `branches` (B, T): 0 for the shared part of a group, then 1, 2, ... for what follows it.
    `labels` (B, T): the token itself where the assistant speaks, else -100; not shifted.
    `weights` (B, T): what each label counts in the loss. `media`: in order of appearance.
    """

    input_ids: Tensor
    position_ids: Tensor
    groups: Tensor
    branches: Tensor
    labels: Tensor
    weights: Tensor
    media: tuple[Any, ...] = ()

    @property
    def attention(self) -> Tensor:
        """(B, 1, T, T) bool: which tokens (last axis) each token sees."""
        return block_mask(self.groups, self.branches)

    def to(self, device: torch.device | str) -> "Batch":
        moved = {
            name: value.to(device, non_blocking=True)
            for name, value in vars(self).items()
            if isinstance(value, Tensor)
        }
        return Batch(**moved, media=self.media)


def share(dialogues: Sequence[Encoded], media: Sequence[Any] = ()) -> Group:
    """Dialogues about the same media as one group; their longest common beginning is shared.

    What the assistant says is never shared, and neither is the token before it, which predicts it.

    Raises:
        ValueError: no dialogue, or one in which the assistant says nothing.
    """
    if not dialogues:
        raise ValueError("a group needs at least one dialogue")
    rows = [np.asarray(each.ids, np.int64) for each in dialogues]
    masks = [np.asarray(each.answers, np.int64) for each in dialogues]
    if not all(mask.any() for mask in masks):
        raise ValueError("a dialogue has no turn of the assistant: there is nothing to learn")
    common = min(int(mask.argmax()) - 1 for mask in masks) if len(rows) > 1 else 0
    for row in rows[1:]:
        differ = np.flatnonzero(rows[0][:common] != row[:common])
        common = int(differ[0]) if len(differ) else common
    common = max(common, 0)
    return Group(
        rows[0][:common],
        tuple(row[common:] for row in rows),
        tuple(mask[common:] for mask in masks),
        tuple(media),
    )


def split(group: Group, length: int) -> list[Group]:
    """The same dialogues in groups of at most `length` tokens, the prefix repeated.

    Raises:
        ValueError: one dialogue alone is longer.
    """
    room = length - len(group.prefix)
    longest = max(map(len, group.branches))
    if longest > room:
        raise ValueError(
            f"a dialogue has {len(group.prefix) + longest} tokens and a row holds {length}: "
            "make rows longer, or offer fewer tools in it"
        )
    parts: list[list[int]] = [[]]
    used = 0
    for index, branch in enumerate(group.branches):
        if used + len(branch) > room:
            parts.append([])
            used = 0
        parts[-1].append(index)
        used += len(branch)
    return [
        Group(
            group.prefix,
            tuple(group.branches[i] for i in part),
            tuple(group.answers[i] for i in part),
            group.media,
        )
        for part in parts
    ]


@dataclass
class Packer:
    """Fills batches of `rows` x `length` tokens from a stream of groups, first come, first served.

    Dialogues longer than a row are left out, and counted in `skipped`.
    """

    rows: int
    length: int
    pad: int = 0
    skipped: int = field(default=0, init=False)

    def batches(self, groups: Iterable[Group], *, last: bool = False) -> Iterator[Batch]:
        """Batches until the stream ends; `last` also gives the one that is not full."""
        waiting: list[Group] = []
        size = 0
        for group in groups:
            try:
                parts = split(group, self.length)
            except ValueError:
                self.skipped += len(group.branches)
                continue
            waiting += parts
            size += sum(map(len, parts))
            if size >= POOL * self.rows * self.length:
                filled, waiting = self._fill(waiting)
                size = sum(map(len, waiting))
                yield self.batch(filled)
        while last and waiting:
            filled, waiting = self._fill(waiting)
            yield self.batch(filled)

    def _fill(self, waiting: list[Group]) -> tuple[list[list[Group]], list[Group]]:
        """Each group goes into the first row that has room; what fits nowhere waits on."""
        room = [self.length] * self.rows
        filled: list[list[Group]] = [[] for _ in range(self.rows)]
        left = []
        for group in waiting:
            size = len(group)
            row = next((row for row in range(self.rows) if room[row] >= size), None)
            if row is None:
                left.append(group)
            else:
                filled[row].append(group)
                room[row] -= size
        return filled, left

    def batch(self, filled: Sequence[Sequence[Group]]) -> Batch:
        """Rows of groups as tensors."""
        shape = (self.rows, self.length)
        ids = np.full(shape, self.pad, np.int64)
        positions, groups = np.zeros(shape, np.int64), np.full(shape, -1, np.int64)
        branches, labels = np.zeros(shape, np.int64), np.full(shape, IGNORED, np.int64)
        weights = np.zeros(shape, np.float32)
        media: list[Any] = []
        for row, members in enumerate(filled):
            at = 0
            for number, group in enumerate(members):
                start, shared = at, len(group.prefix)
                ids[row, at : at + shared] = group.prefix
                positions[row, at : at + shared] = np.arange(shared)
                at += shared
                pairs = zip(group.branches, group.answers, strict=True)
                for branch, (own, said) in enumerate(pairs, start=1):
                    here = slice(at, at + len(own))
                    ids[row, here] = own
                    positions[row, here] = shared + np.arange(len(own))
                    branches[row, here] = branch
                    labels[row, here] = np.where(said, own, IGNORED)
                    weights[row, here] = answer_weights(said)
                    at += len(own)
                groups[row, start:at] = number
                media += group.media
        return Batch(
            input_ids=torch.from_numpy(ids),
            position_ids=torch.from_numpy(positions),
            groups=torch.from_numpy(groups),
            branches=torch.from_numpy(branches),
            labels=torch.from_numpy(labels),
            weights=torch.from_numpy(weights),
            media=tuple(media),
        )


def answer_weights(answers: Ints) -> npt.NDArray[np.float32]:
    """(T,): n^-0.7 for each token of an answer of n tokens, 0 elsewhere."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], answers, [0]))))
    weights = np.zeros(len(answers), np.float32)
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        weights[start:stop] = float(stop - start) ** LENGTH_POWER
    return weights


def block_mask(groups: Tensor, branches: Tensor) -> Tensor:
    """(B, 1, T, T) bool: each token sees itself and what stands before it in its own branch and in
    the shared part of its group. Empty places see each other, so that no row of it is all False."""
    length = groups.shape[-1]
    causal = torch.ones(length, length, dtype=torch.bool, device=groups.device).tril()
    same_group = groups[:, :, None] == groups[:, None, :]
    same_branch = branches[:, :, None] == branches[:, None, :]
    seen = causal & same_group & (same_branch | (branches == 0)[:, None, :])
    return seen[:, None]
