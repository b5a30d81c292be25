"""Say in several ways what a picture shows: `caption_many`."""

from typing import Annotated

from pydantic import BaseModel, Field

from nuthatch.tools.base.tool import FOR_PEOPLE, Arguments, Context, ImageRef, Tool
from nuthatch.tools.captioning.captioner import captioner, serving_captions
from nuthatch.tools.weights.store import Weights


class CaptionManyArgs(Arguments):
    image: ImageRef
    n: int = Field(5, ge=1, le=50)
    seed: int = Field(0, ge=0)


class DrawnCaption(BaseModel):
    text: str
    mean_logprob: Annotated[float, FOR_PEOPLE]  # natural logarithm, of a token
    count: Annotated[int, FOR_PEOPLE]  # how many of the draws said so


class Captions(BaseModel):
    """Captions drawn at random, each once, the most frequent first."""

    captions: list[DrawnCaption]
    seed: Annotated[int, FOR_PEOPLE]


class CaptionMany(Tool[CaptionManyArgs, Captions]):
    """Write several different captions of a picture.

    Drawn from the likeliest words, as the intensive captions of LENS (arXiv:2306.16410): together
    they mention more than one caption does, and more that is wrong. The same seed gives the same
    captions; equal ones are merged and counted.

    Raises:
        ToolUnavailable: weights or packages are missing.
    """

    name = "caption_many"
    timeout = 120.0
    caches = True
    weights = ("caption", "core")
    taint = ("captions",)
    Args = CaptionManyArgs
    Result = Captions

    def lack(self, weights: Weights) -> str:
        return weights.lack(serving_captions(weights))

    def run(self, args: CaptionManyArgs, context: Context) -> Captions:
        said = captioner(context.weights).captions(
            context.media.image(args.image),
            context.media[args.image].sha256,
            n=args.n,
            seed=args.seed,
        )
        return Captions(
            captions=[
                DrawnCaption(text=each.text, mean_logprob=each.mean_logprob, count=each.times)
                for each in said
            ],
            seed=args.seed,
        )
