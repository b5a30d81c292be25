"""Say what a picture shows without being asked for names: `tag`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from nuthatch.tools.base.tool import FOR_PEOPLE, Arguments, Context, ImageRef, Label, Tool
from nuthatch.tools.faults import RetryCall
from nuthatch.tools.tagging.lens import COSINE, THRESHOLD, Contrastive, best
from nuthatch.tools.tagging.word_lists import Source, Vocabulary, choose, vocabulary_of
from nuthatch.tools.vocabulary import CATEGORIES, canonical

if TYPE_CHECKING:
    from nuthatch.tools.tagging.taggers import Tagger

DEFAULT = "objects"
"""The vocabulary of an encoder that knows no words of its own."""


class TagArgs(Arguments):
    image: ImageRef
    labels: list[Label] | None = Field(
        None, min_length=1, max_length=64, description="score these only; default: all known words"
    )
    # Not in the schema: the shipped planner was trained without it, and its tagger has one only.
    vocabulary: SkipJsonSchema[str | None] = Field(None, max_length=48)
    """A named word list in place of labels, such as "coco"."""
    top_k: int = Field(5, ge=1, le=100)

    @model_validator(mode="after")
    def _one_list(self) -> Self:
        if self.labels is not None and self.vocabulary is not None:
            raise ValueError("give labels or a vocabulary, not both")
        return self


class Tag(BaseModel):
    label: str
    score: float  # 0 to 1; of a cosine -1 to 1


class Tags(BaseModel):
    """Ranked tags, best first."""

    tags: list[Tag]
    score_kind: str
    unknown: list[str] = []  # labels outside the tagger's vocabulary: it cannot judge them
    threshold: Annotated[float | None, FOR_PEOPLE] = (
        None  # of the best, those below this score were left out
    )
    vocabulary: str | None = None  # the name of the word list
    vocabulary_sha256: Annotated[str | None, FOR_PEOPLE] = None
    encoder: Annotated[str | None, FOR_PEOPLE] = None


class TagPicture(Tool[TagArgs, Tags]):
    """Rank the words that fit a picture, with a score each.

    Two kinds of back end. The one that ships has a vocabulary of its own: it looks at overlapping
    tiles of several sizes and keeps each word's best probability. It shares neither weights nor
    backbone with the detector, so the two can judge each other. A contrastive encoder such as CLIP
    takes any words, as in LENS (arXiv:2306.16410): its scores are cosines of the picture and "a
    photo of ...", of which the best are kept first, and then those at or above `threshold`.

    Args:
        vocabularies: the user's own word lists for contrastive encoders, by name: labels, or a
            text file with one a line.
        threshold: lowest cosine kept.

    Raises:
        RetryCall: none of the labels is in the vocabulary, there is no such vocabulary, or a label
            is longer than the encoder reads.
        ToolUnavailable: weights or packages are missing.
    """

    name = "tag"
    weights = ("tag",)
    caches = True
    Args = TagArgs
    Result = Tags

    def __init__(
        self, vocabularies: Mapping[str, Source] | None = None, *, threshold: float = THRESHOLD
    ) -> None:
        given = (vocabularies or {}).items()
        self.vocabularies = {name: vocabulary_of(name, source) for name, source in given}
        self.threshold = threshold
        if given or threshold != THRESHOLD:  # other settings, other results
            words = {name: each.sha256 for name, each in self.vocabularies.items()}
            self.version = f"{self.version} {threshold} {words}"  # type: ignore[misc]
        for name, vocabulary in self.vocabularies.items():
            if vocabulary.pairs:
                raise ValueError(f"vocabulary {name!r} holds pairs; tag takes labels")

    def run(self, args: TagArgs, context: Context) -> Tags:
        tagger: Any = context.weights.get("tag")
        if isinstance(tagger, Contrastive):
            return self._matched(tagger, args, context)
        return _judged(tagger, args, context)

    def _matched(self, encoder: Contrastive, args: TagArgs, context: Context) -> Tags:
        vocabulary = self._vocabulary(args)
        try:
            matrix = encoder.matrix(vocabulary)
        except ValueError as error:
            raise RetryCall(str(error)) from error
        key = context.media[args.image].sha256
        picture = encoder.picture(context.media.image(args.image), key)
        found = best(picture, matrix, top_k=args.top_k, threshold=self.threshold)
        return Tags(
            tags=[Tag(label=vocabulary.entries[row][0], score=score) for row, score in found],
            score_kind=COSINE,
            threshold=self.threshold,
            vocabulary=vocabulary.name or None,
            vocabulary_sha256=vocabulary.sha256,
            encoder=encoder.encoder_id,
        )

    def _vocabulary(self, args: TagArgs) -> Vocabulary:
        if args.labels is not None:
            try:
                return Vocabulary.of("", args.labels)
            except ValueError as error:
                raise RetryCall(f"labels: {error}") from error
        vocabulary = choose(args.vocabulary or DEFAULT, self.vocabularies)
        if vocabulary.pairs:
            raise RetryCall(f"vocabulary '{vocabulary.name}' holds attributes, not labels")
        return vocabulary


def _judged(tagger: "Tagger", args: TagArgs, context: Context) -> Tags:
    """By a tagger of a fixed vocabulary."""
    if args.vocabulary is not None:
        raise RetryCall(
            f"this tagger knows its own {len(CATEGORIES)} words only; leave out the vocabulary"
        )
    asked = {label: canonical(label) for label in args.labels or CATEGORIES}
    known = {label: category for label, category in asked.items() if category}
    if not known:
        some = ", ".join(repr(label[:40]) for label in list(asked)[:3])
        raise RetryCall(f"the tagger knows none of {some}; it knows: {', '.join(CATEGORIES)}")
    scores = tagger.tag_image(context.media.image(args.image))
    tags = [Tag(label=label, score=scores[category]) for label, category in known.items()]
    tags.sort(key=lambda tag: -tag.score)
    return Tags(
        tags=tags[: args.top_k],
        score_kind="best tile's probability",
        unknown=[label for label in asked if label not in known],
    )
