"""Answer a question about parts of a picture: `ask_region`."""

import math
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import BaseModel, Field

from nuthatch.tools.base.regions import Sides, box_of, cut
from nuthatch.tools.base.tool import Arguments, Context, ImageRef, Tool

if TYPE_CHECKING:
    from nuthatch.mllm.generation.generator import Question, Speaker

MARGIN = 0.1
"""Added on each side of a box: what stands beside a thing tells what it is."""
LONGEST = 256
"""Characters of a question, and of an option."""
Option = Annotated[str, Field(pattern=r"\S", max_length=LONGEST)]


class AskRegionArgs(Arguments):
    image: ImageRef
    question: str = Field(min_length=1, max_length=LONGEST)
    boxes: list[Sides] | None = Field(
        None, max_length=64, description="x1 y1 x2 y2 in pixels of the image; default: all of it"
    )
    options: list[Option] | None = Field(
        None, min_length=1, max_length=16, description="answers to choose from"
    )


class RegionAnswer(BaseModel):
    answer: str
    score: float  # 0 to 1


class RegionAnswers(BaseModel):
    answers: list[RegionAnswer]  # one a box, in their order
    score_kind: str


class AskRegion(Tool[AskRegionArgs, RegionAnswers]):
    """Answer a question about regions of a picture.

    The core looks at each region by itself; with options, it says which one it finds likeliest.

    Raises:
        RetryCall: a box lies outside the picture, or is too small; an option is blank or too long.
        ToolUnavailable: weights or packages are missing.
    """

    name = "ask_region"
    weights = ("core",)
    taint = ("answers",)  # they may repeat what is written in the picture
    Args = AskRegionArgs
    Result = RegionAnswers

    def run(self, args: AskRegionArgs, context: Context) -> RegionAnswers:
        from nuthatch.mllm.generation.generator import Question

        speaker: Speaker = context.weights.get("core")
        pixels = context.media.image(args.image)
        parts = [
            cut(pixels, box_of(sides, args.image, context), MARGIN)[0] for sides in args.boxes or ()
        ]
        if parts:
            seen = list(speaker.see(parts))
        else:
            sha256 = context.media[args.image].sha256
            seen = [speaker.known.get(sha256, lambda: speaker.see([pixels])[0])]
        asked = [Question(args.question, (("image", vectors),)) for vectors in seen]
        if args.options is not None:
            return _chosen(speaker, asked, args.options)
        said = speaker.answers(asked)
        likely = speaker.log_likelihoods(list(zip(asked, said, strict=True)))
        return RegionAnswers(
            answers=[
                RegionAnswer(answer=answer, score=math.exp(whole / tokens))
                for answer, (whole, tokens) in zip(said, likely, strict=True)
            ],
            score_kind="probability a token",
        )


def _chosen(speaker: "Speaker", asked: list["Question"], options: list[str]) -> RegionAnswers:
    """Of each region the option that is likeliest a token, and its share of all options."""
    pairs = [(question, option) for question in asked for option in options]
    likely = [whole / tokens for whole, tokens in speaker.log_likelihoods(pairs)]
    scores = np.exp(np.array(likely).reshape(len(asked), len(options)))
    scores /= [[math.fsum(row)] for row in scores]  # the same in every order of the options
    return RegionAnswers(
        answers=[
            RegionAnswer(answer=options[best], score=float(row[best]))
            for row, best in zip(scores, scores.argmax(axis=1), strict=True)
        ],
        score_kind="share among the options",
    )
