"""LENS: pictures told in words, so that any language model can answer (arXiv:2306.16410).

Three steps that need no model of their own: which entries of a vocabulary fit a picture
(`best`), the order and separators in which tags, attributes and captions are written for a language
model (`prompt`), and what an encoder must offer (`Contrastive`). Vectors are unit rows, scores are
cosines: they rank, but say nothing of how likely an entry is. Shapes: N entries, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from nuthatch.messages import shown
from nuthatch.tools.media.ingest import Pixels
from nuthatch.tools.tagging.word_lists import Vocabulary

Vectors = NDArray[np.float32]
Mode = Literal["all", "vision", "vqa"]

COSINE = "uncalibrated cosine"
"""The kind of score of a contrastive encoder: no probability, not to be compared with one."""
THRESHOLD = 0.2
"""Lowest cosine kept, as in the authors' code."""
MOST_CAPTIONS = 50


@runtime_checkable
class Contrastive(Protocol):
    """Puts pictures and texts into one space, where a picture lies near what describes it."""

    encoder_id: str
    """Back end, size, first digits of the SHA-256 of what it was loaded from."""

    def picture(self, pixels: Pixels, key: str | None = None) -> Vectors:
        """The vector (D,) of a picture, (H, W, 3) uint8 RGB.

        `key` names its content, e.g. by sha256: what was seen under a key is not encoded again.
        """
        ...

    def matrix(self, vocabulary: Vocabulary) -> Vectors:
        """The vectors (N, D) of a vocabulary's sentences, kept by its SHA-256.

        Raises:
            ValueError: a sentence has more tokens than the encoder reads.
        """
        ...


def best(
    picture: Vectors, matrix: Vectors, *, top_k: int, threshold: float
) -> list[tuple[int, float]]:
    """The entries that fit best, best first: the first `top_k`, and of these, in this order, those
    whose cosine is at least `threshold`.

    Args:
        picture: (D,), of any length.
        matrix: (N, D), unit rows.
        top_k: entries kept at most.
        threshold: lowest cosine kept.

    Returns:
        Row and cosine of each; at equal cosines the earlier row comes first.
    """
    cosines = matrix @ (picture / np.linalg.norm(picture))
    ranked = np.argsort(-cosines, kind="stable")[:top_k]
    return [(int(row), float(cosines[row])) for row in ranked if cosines[row] >= threshold]


@dataclass(frozen=True)
class _Style:
    """How one mode writes its blocks."""

    blocks: tuple[str, ...]
    """In order, of tags, attributes and captions."""
    opening: str
    """Between a heading and its items."""
    between: str


_STYLES: dict[str, _Style] = {
    "all": _Style(("tags", "attributes", "captions"), "\n-", "\n-"),
    "vision": _Style(("tags", "attributes"), " ", ","),
    "vqa": _Style(("captions",), " ", "."),
}
_HEADINGS = {
    "tags": "What is in the picture:",
    "attributes": "How it looks:",
    "captions": "What others said of it:",
}
QUESTION = "Question:"
CUE = "Short answer:"


def prompt(
    question: str,
    *,
    tags: Sequence[str] = (),
    attributes: Sequence[str] = (),
    captions: Sequence[str] = (),
    mode: Mode = "all",
) -> str:
    """What a language model reads in place of the picture, up to where it answers.

    The blocks are those of `mode`: all of them as lists; `vision` (what is there) with tags and
    attributes; `vqa` (questions about it) with captions only, which helped most there. A
    block without items is left out; at most 50 captions are written. An item stays on one line, so
    that words read from a picture cannot begin a block of their own.

    Raises:
        ValueError: no such mode, or a blank question.
    """
    if mode not in _STYLES:
        raise ValueError(f"mode is {shown(mode)!r}; expected one of {', '.join(get_args(Mode))}")
    if not question.strip():
        raise ValueError("the question is blank; give the one to be answered")
    style = _STYLES[mode]
    told = {"tags": tags, "attributes": attributes, "captions": captions[:MOST_CAPTIONS]}
    lines = []
    for block in style.blocks:
        items = [_line(item, style.between) for item in told[block] if item.strip()]
        if items:
            lines.append(f"{_HEADINGS[block]}{style.opening}{style.between.join(items)}")
    return "\n".join([*lines, f"{QUESTION} {question.strip()}", CUE])


def _line(item: Any, between: str) -> str:
    """On one line, and without the full stop that the separator will set."""
    text = " ".join(str(item).split())
    return text.rstrip(". ") if between == "." else text
