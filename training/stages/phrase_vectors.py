"""Phrase vectors: one direction for every name, fixed in stage `see`, shared by all later stages.

Bridge and language model learn to speak about things in these directions, so that a name and what
is seen under it can be compared by a dot product.
"""

import json
from pathlib import Path
from typing import NamedTuple, Self

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from nuthatch.tools.vocabulary import SOUNDS

HEARD = 0.5
"""How far the vector of a sound leans from its source's towards the direction of all sounds."""


class PhraseVectors(NamedTuple):
    """Names and their unit vectors, row by row."""

    names: tuple[str, ...]
    vectors: Tensor
    """(names, D) float32."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: there is no such file; stage `see` writes it.
        """
        if not path.is_file():
            raise FileNotFoundError(f"no phrase vectors at {path}; stage `see` exports them")
        with safe_open(path, "pt") as file:
            names = json.loads(file.metadata()["names"])
            return cls(tuple(names), file.get_tensor("vectors"))

    def save(self, path: Path) -> None:
        """Write a safetensors file with the tensor `vectors` and the names as JSON metadata."""
        path.parent.mkdir(parents=True, exist_ok=True)
        names = {"names": json.dumps(self.names)}
        save_file({"vectors": self.vectors.contiguous()}, path, metadata=names)


def centred(names: tuple[str, ...], vectors: Tensor) -> PhraseVectors:
    """Vectors (names, D) as an encoder gives them: their mean taken off, at unit length."""
    return PhraseVectors(names, apart(vectors.detach().float().cpu()))


def apart(vectors: Tensor) -> Tensor:
    """Vectors (names, D) without what all have in common, at unit length."""
    return functional.normalize(vectors - vectors.mean(0), dim=-1)


def shared_vectors(path: Path) -> tuple[PhraseVectors, PhraseVectors]:
    """The categories' and the sounds' vectors as bridge and language model use them.

    Args:
        path: the categories' vectors as stage `see` exported them.

    Raises:
        FileNotFoundError: there is no such file.
    """
    categories = decorrelated(PhraseVectors.load(path))
    return categories, sound_vectors(categories)


def decorrelated(given: PhraseVectors) -> PhraseVectors:
    """The vectors nearest to these whose names are all equally far from each other.

    The eye's names of things that look alike have nearly one direction (bear and teddy bear, 0.96),
    and half a query's noise would turn one into the other. So all directions in which names differ
    get the same weight (symmetric orthogonalisation: Löwdin, 1950).
    """
    left, sizes, right = torch.linalg.svd(apart(given.vectors), full_matrices=False)
    kept = sizes > 1e-3 * sizes[0]  # the mean was taken off, so one direction is empty
    return PhraseVectors(given.names, functional.normalize(left[:, kept] @ right[kept], dim=-1))


def sound_vectors(categories: PhraseVectors) -> PhraseVectors:
    """One vector for every sound event: that of what makes it, marked as heard.

    A barking dog points to `dog`, and all sounds lean towards one direction that no category has,
    so that what is heard is not taken for what is seen.

    Raises:
        ValueError: the vectors are too narrow to leave a direction free.
    """
    sources = [categories.names.index(sound.object) for sound in SOUNDS.values()]
    vectors = categories.vectors
    heard = torch.randn(vectors.shape[1], generator=torch.Generator().manual_seed(0))
    within = torch.linalg.lstsq(vectors.T, heard[:, None], driver="gelsd").solution
    outside = heard - (vectors.T @ within)[:, 0]
    if outside.norm() < 1e-3 * heard.norm():  # what is left is rounding
        raise ValueError(
            f"the vectors of {len(categories.names)} names fill all {vectors.shape[1]} dimensions, "
            "so no direction is left for what is heard; expected more dimensions than names"
        )
    marked = functional.normalize(
        vectors[sources] + HEARD * functional.normalize(outside, dim=0), dim=-1
    )
    return PhraseVectors(tuple(SOUNDS), marked)
