"""Say what a picture shows without being asked for names: `tag`."""

from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from nuthatch.tools.base import Arguments, Context, ImageRef, Label, Tool
from nuthatch.tools.faults import RetryCall
from nuthatch.tools.vocabulary import CATEGORIES, canonical

if TYPE_CHECKING:
    from nuthatch.tools.taggers import Tagger


class TagArgs(Arguments):
    image: ImageRef
    labels: list[Label] | None = Field(
        None, min_length=1, max_length=64, description="score these only; default: all known words"
    )
    top_k: int = Field(5, ge=1, le=100)


class Tag(BaseModel):
    label: str
    score: float  # 0 to 1


class Tags(BaseModel):
    """Ranked tags, best first."""

    tags: list[Tag]
    score_kind: str
    unknown: list[str] = []  # labels outside the tagger's vocabulary: it cannot judge them


class TagPicture(Tool[TagArgs, Tags]):
    """Rank the words that fit a picture, with a score each.

    A closed-vocabulary tagger in the manner of LENS (arXiv:2306.16410): it looks at overlapping
    tiles of several sizes and keeps each word's best. It shares neither weights nor backbone with
    the detector, so the two can judge each other.

    Raises:
        RetryCall: none of the labels is in the vocabulary.
        ToolUnavailable: weights or packages are missing.
    """

    name = "tag"
    weights = ("tag",)
    Args = TagArgs
    Result = Tags

    def run(self, args: TagArgs, context: Context) -> Tags:
        asked = {label: canonical(label) for label in args.labels or CATEGORIES}
        known = {label: category for label, category in asked.items() if category}
        if not known:
            raise RetryCall(
                f"the tagger knows none of {args.labels}; it knows: {', '.join(CATEGORIES)}"
            )
        tagger: Tagger = context.weights.get("tag")
        scores = tagger.tag_image(context.media.image(args.image))
        tags = [Tag(label=label, score=scores[category]) for label, category in known.items()]
        tags.sort(key=lambda tag: -tag.score)
        return Tags(
            tags=tags[: args.top_k],
            score_kind="best tile's probability",
            unknown=[label for label in asked if label not in known],
        )
