"""Vocabularies for taggers that know no fixed words: any labels, or (object, attribute) pairs.

A picture is matched with sentences, as in LENS (Berrios et al. 2023, arXiv:2306.16410, section 3):
"a photo of cup" for a tag, "a photo of cup which has handle" for an attribute. A vocabulary is its
entries and the template that makes them sentences; its SHA-256 is over the sentences, in order, so
that a matrix of their vectors can never be taken for that of another vocabulary.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Self

from nuthatch.messages import shown
from nuthatch.tools.faults import RetryCall, ToolUnavailable
from nuthatch.tools.vocabulary import CATEGORIES, TINTS

TAG = "a photo of {0}"
ATTRIBUTE = "a photo of {0} which has {1}"
TINTED = "a photo of {1} {0}"


@dataclass(frozen=True)
class Vocabulary:
    """Labels, or pairs of object and attribute, each once, and how they are put into a sentence.

    Make one with `of` or `read`. One without a name is of the moment: what is computed from it is
    not kept on disk.
    """

    name: str
    entries: tuple[tuple[str, ...], ...]
    template: str

    @classmethod
    def of(
        cls, name: str, words: Iterable[str | tuple[str, str]], template: str | None = None
    ) -> Self:
        """From labels, or from pairs (object, attribute).

        Args:
            name: what calls may name it by.
            words: in order of preference at equal scores; white space is made single, repeated
                entries are dropped.
            template: a sentence with `{0}` for the label or object and `{1}` for the attribute.

        Raises:
            ValueError: no entry, one that is blank or no text, labels and pairs in one vocabulary,
                or a template that does not fit them.
        """
        rows = [(word,) if isinstance(word, str) else tuple(word) for word in words]
        tidy = list(dict.fromkeys(tuple(" ".join(part.split()) for part in row) for row in rows))
        if not tidy or not all(all(row) for row in tidy):
            given = f"{len(tidy)} entries, of which some are blank" if tidy else "no entry"
            raise ValueError(
                f"vocabulary {shown(name)!r} has {given}; give labels or pairs, none blank"
            )
        for part in (part for row in tidy for part in row):
            if not _is_text(part):
                raise ValueError(
                    f"vocabulary {shown(name)!r} holds {shown(part)!r}, which is no text"
                )
        sizes = {len(row) for row in tidy}
        if sizes not in ({1}, {2}):
            raise ValueError(
                f"vocabulary {shown(name)!r} has entries of {sorted(sizes)} parts; give labels "
                "only, or pairs (object, attribute) only"
            )
        template = template or (TAG if sizes == {1} else ATTRIBUTE)
        try:
            sentences = {template.format(*row) for row in tidy}
        except (IndexError, KeyError, ValueError) as error:
            raise ValueError(
                f"template {shown(template)!r} does not fit: write {{0}} for the label or object, "
                "{1} for the attribute of a pair, and doubled braces for braces"
            ) from error
        if len(sentences) < len(tidy):
            raise ValueError(
                f"template {shown(template)!r} makes {len(sentences)} sentences of {len(tidy)} "
                "entries; it must use every part of an entry"
            )
        return cls(name, tuple(tidy), template)

    @classmethod
    def read(cls, path: str | Path, template: str | None = None) -> Self:
        """From a UTF-8 text file, one entry a line; a tab stands between object and attribute.

        The vocabulary is named after the file. Blank lines are passed over.

        Raises:
            OSError, ValueError: there is no such file, it is no UTF-8 text, or see `of`.
        """
        lines = Path(path).read_text(encoding="utf-8").splitlines()
        rows = [line.split("\t") for line in lines if line.strip()]
        words = [row[0] if len(row) == 1 else (row[0], "\t".join(row[1:])) for row in rows]
        return cls.of(Path(path).stem, words, template)

    @property
    def pairs(self) -> bool:
        """Whether entries are (object, attribute)."""
        return len(self.entries[0]) == 2

    @cached_property
    def sentences(self) -> tuple[str, ...]:
        """What a text encoder reads, one an entry."""
        return tuple(self.template.format(*entry) for entry in self.entries)

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(json.dumps(self.sentences).encode()).hexdigest()


def _is_text(part: str) -> bool:
    """Whether it can be written as UTF-8: half a surrogate pair cannot."""
    try:
        part.encode()
    except UnicodeEncodeError:
        return False
    return True


Source = Vocabulary | str | Path | Iterable[str | tuple[str, str]]
"""What a user may give: a vocabulary, a file, or the labels or pairs themselves."""


def vocabulary_of(name: str, source: Source) -> Vocabulary:
    """A user's vocabulary; see `Vocabulary.read` and `Vocabulary.of`."""
    if isinstance(source, Vocabulary):
        return source
    if isinstance(source, (str, Path)):
        return Vocabulary.read(source)
    return Vocabulary.of(name, source)


def choose(name: str, own: Mapping[str, Vocabulary]) -> Vocabulary:
    """The vocabulary of this name: the user's own before those that come with the package.

    Raises:
        RetryCall: there is none; the message names the nearest.
        ToolUnavailable: the package that holds its words is missing.
    """
    if name in own:
        return own[name]
    if name in BUILT_IN:
        return _built_in(name)
    known = [*own, *BUILT_IN]
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(known)}"
    raise RetryCall(f"there is no vocabulary '{name}'; {hint}")


@lru_cache
def _built_in(name: str) -> Vocabulary:
    return BUILT_IN[name]()


def _miniature() -> Vocabulary:
    return Vocabulary.of("miniature", CATEGORIES)


def _coco() -> Vocabulary:
    """The 80 classes that COCO has boxes of."""
    named = _torchvision("detection.FasterRCNN_ResNet50_FPN_V2_Weights")
    return Vocabulary.of("coco", (each for each in named if each not in ("__background__", "n/a")))


def _imagenet() -> Vocabulary:
    """The 1000 classes of ImageNet; one name stands for two of them."""
    return Vocabulary.of("imagenet", _torchvision("ResNet50_Weights"))


def _objects() -> Vocabulary:
    """All of these, as LENS unites the class names of many data sets."""
    parts = (_built_in(name).entries for name in ("coco", "miniature", "imagenet"))
    return Vocabulary.of("objects", (entry[0] for part in parts for entry in part))


def _tints() -> Vocabulary:
    pairs = ((category, tint) for category in CATEGORIES for tint in TINTS)
    return Vocabulary.of("tints", pairs, TINTED)


def _torchvision(path: str) -> list[str]:
    """Class names that torchvision keeps with its weights; nothing is downloaded."""
    try:
        from torchvision import models  # type: ignore[import-untyped]
    except ImportError as error:
        raise ToolUnavailable(
            "this vocabulary needs torchvision: pip install 'nuthatch[vision]'",
            "dependency_missing",
        ) from error
    place = models
    for part in path.split("."):
        place = getattr(place, part)
    return [str(name).lower() for name in place.DEFAULT.meta["categories"]]


BUILT_IN: dict[str, Callable[[], Vocabulary]] = {
    "objects": _objects,
    "coco": _coco,
    "imagenet": _imagenet,
    "miniature": _miniature,
    "tints": _tints,
}
"""Name -> what makes it: labels, and of `tints` pairs (category, tint)."""
