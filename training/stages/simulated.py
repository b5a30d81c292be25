"""Simulated queries: what a trained bridge would say of media that are known by what they show.

From them the language model learns to read queries before there are any. A query says a phrase
vector and a box (see `bridge`); both follow from a layout or from a list of sound events, with the
faults that real queries have: things half recognised or taken for others, noise, ghosts.

Shapes: M media, Q queries a medium, D width of the phrase vectors. A simulated query is (D + 4,):
a vector, then a box as in `bridge_loss`.
"""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from nuthatch.training.data.sample import Picture, Sound
from nuthatch.training.stages.bridge_loss import (
    Wanted,
    directions,
    distances_in_meaning,
    distances_in_picture,
    match,
    places,
)
from nuthatch.training.stages.phrase_vectors import PhraseVectors

WELL_SEEN = 0.65
"""Share of things whose vector has a length of `STRONG`; that of the others is `WEAK`."""
STRONG, WEAK = (0.8, 1.05), (0.5, 0.9)
CONFUSED, CONFUSION = 0.3, 0.35
"""Share of things that look a little like another, and how much at most."""
GHOSTS, GHOST = 0.15, 0.35
"""Share of empty queries that show something, and how strongly at most."""
ECHOES = 0.4
"""Share of ghosts that are a faint second report of what is there."""
NOISE, BOX_NOISE = 0.015, 0.02
"""Standard deviations, of each component."""
PLACE_JITTER, DIRECTION_JITTER = 0.06, 0.015
"""Queries do not quite keep to their anchors."""


class QuerySimulator:
    """Makes queries of pictures and sounds."""

    def __init__(self, categories: PhraseVectors, sounds: PhraseVectors, queries: int) -> None:
        self.categories, self.sounds = categories, sounds
        self.width = categories.vectors.shape[1]
        self.queries = queries
        self._places = places(queries)
        self._directions = directions(queries, self.width)

    def __call__(self, media: Sequence[Picture | Sound], generator: Generator) -> Tensor:
        """(M, Q, D + 4), in the order of the media."""
        if not media:
            return torch.zeros(0, self.queries, self.width + 4)
        return torch.stack(
            [
                self._picture(each, generator)
                if isinstance(each, Picture)
                else self._sound(each, generator)
                for each in media
            ]
        )

    def _picture(self, picture: Picture, generator: Generator) -> Tensor:
        layout = picture.layout
        names = [self.categories.names.index(each.category) for each in layout.things]
        boxes = [in_shares(each.box, layout.width, layout.height) for each in layout.things]
        wanted = Wanted(
            torch.tensor(names, dtype=torch.long)[None], torch.tensor(boxes).reshape(1, -1, 4)
        )
        anchors = self._places + PLACE_JITTER * _normal(generator, *self._places.shape)
        owner = match(distances_in_picture(wanted, anchors), wanted)[0]
        lengths = _lengths(len(names), generator)
        return _said(owner, wanted, lengths, self.categories.vectors, anchors, generator)

    def _sound(self, sound: Sound, generator: Generator) -> Tensor:
        vectors = self.sounds.vectors
        names = [self.sounds.names.index(event) for event in sound.events]
        start, end = 0.3 * _uniform(generator, 2, len(names))  # what is cut off at both ends
        half, whole = torch.full_like(start, 0.5), torch.ones_like(start)
        boxes = torch.stack([(start + 1 - end) / 2, half, 1 - end - start, whole], -1)
        wanted = Wanted(torch.tensor(names, dtype=torch.long)[None], boxes[None])
        anchors = self._directions + DIRECTION_JITTER * _normal(generator, *self._directions.shape)
        owner = match(distances_in_meaning(wanted, anchors, vectors), wanted)[0]
        lengths = _lengths(len(names), generator).sort(descending=True).values  # loudest first
        middle = torch.full((len(owner), 2), 0.5)
        return _said(owner, wanted, lengths, vectors, middle, generator)


def in_shares(box: tuple[float, float, float, float], width: int, height: int) -> list[float]:
    """x1 y1 x2 y2 in pixels to centre x, centre y, width, height as shares of the picture."""
    x1, y1, x2, y2 = box
    return [(x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height]


def _said(
    owner: Tensor,
    wanted: Wanted,
    lengths: Tensor,
    vectors: Tensor,
    centres: Tensor,
    generator: Generator,
) -> Tensor:
    """What the queries of one medium say, (Q, D + 4).

    Args:
        owner: (Q,) the thing that a query answers for, -1 for none.
        lengths: (N,) how surely each thing is recognised.
        vectors: (K, D) of all names.
        centres: (Q, 2) where queries without a thing say to be.
    """
    queries = len(owner)
    any_name = torch.randint(len(vectors), (queries,), generator=generator)
    ghost = (_uniform(generator, queries) < GHOSTS) * GHOST * _uniform(generator, queries)
    said = vectors[any_name] * ghost[:, None]
    boxes = torch.cat([centres, 0.2 + 0.2 * _uniform(generator, queries, 2)], -1)
    if len(lengths):
        names, true = wanted.names[0], wanted.boxes[0]
        near = torch.cdist(centres, true[:, :2]).argmin(-1)
        echo = ((ghost > 0) & (_uniform(generator, queries) < ECHOES))[:, None]
        said = torch.where(echo, vectors[names[near]] * ghost[:, None], said)
        boxes = torch.where(echo, true[near], boxes)
        confused = (_uniform(generator, queries) < CONFUSED) * CONFUSION
        confused = confused * _uniform(generator, queries)
        seen = vectors[names[owner]] * lengths[owner][:, None]
        seen = seen + vectors[any_name] * confused[:, None]
        filled = (owner >= 0)[:, None]
        said = torch.where(filled, seen, said)
        boxes = torch.where(filled, true[owner], boxes)
    said = said + NOISE * _normal(generator, *said.shape)
    return torch.cat([said, boxes + BOX_NOISE * _normal(generator, *boxes.shape)], -1)


def _lengths(number: int, generator: Generator) -> Tensor:
    sure = _uniform(generator, number) < WELL_SEEN
    least = torch.where(sure, STRONG[0], WEAK[0])
    most = torch.where(sure, STRONG[1], WEAK[1])
    return least + (most - least) * _uniform(generator, number)


def _uniform(generator: Generator, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=generator)


def _normal(generator: Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator)
