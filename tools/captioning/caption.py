"""Say in one sentence what a picture shows: `caption`."""

from typing import Annotated

from pydantic import BaseModel

from nuthatch.tools.base.regions import REGION, Region, box_of, cut
from nuthatch.tools.base.tool import FOR_PEOPLE, Arguments, Context, ImageRef, Tool
from nuthatch.tools.captioning.captioner import REQUEST as REQUEST
from nuthatch.tools.captioning.captioner import captioner, serving_captions
from nuthatch.tools.weights.store import Weights

MARGIN = 0.1
"""Added on each side of a region: what stands beside a thing tells what it is."""


class CaptionArgs(Arguments):
    image: ImageRef
    region: Region | None = REGION


class Caption(BaseModel):
    caption: str
    mean_logprob: Annotated[float | None, FOR_PEOPLE] = None  # natural logarithm, of a token


class CaptionPicture(Tool[CaptionArgs, Caption]):
    """Say in one sentence what a picture shows.

    By a captioner such as BLIP where the preset has one, else by the core: the same caption every
    time. Nothing has checked what it says.

    Raises:
        RetryCall: the region lies outside the picture, or is too small.
        ToolUnavailable: weights or packages are missing.
    """

    name = "caption"
    weights = ("caption", "core")
    taint = ("caption",)  # it may repeat what is written in the picture
    caches = True
    Args = CaptionArgs
    Result = Caption

    def lack(self, weights: Weights) -> str:
        return weights.lack(serving_captions(weights))

    def run(self, args: CaptionArgs, context: Context) -> Caption:
        speaker = captioner(context.weights)
        pixels = context.media.image(args.image)
        if args.region is None:
            said = speaker.caption(pixels, context.media[args.image].sha256)
        else:
            part, _ = cut(pixels, box_of(args.region, args.image, context), MARGIN)
            said = speaker.caption(part)
        return Caption(caption=said.text, mean_logprob=said.mean_logprob)
