"""Say in one sentence what a picture shows: `caption`."""

from typing import TYPE_CHECKING

from pydantic import BaseModel

from nuthatch.tools.base import Arguments, Context, ImageRef, Tool
from nuthatch.tools.regions import REGION, Region, box_of, cut

if TYPE_CHECKING:
    from nuthatch.mllm.speaking import Speaker

REQUEST = "Describe the picture."


class CaptionArgs(Arguments):
    image: ImageRef
    region: Region | None = REGION


class Caption(BaseModel):
    caption: str


class CaptionPicture(Tool[CaptionArgs, Caption]):
    """Say in one sentence what a picture shows.

    The core looks for itself; nothing has checked what it says.

    Raises:
        RetryCall: the region lies outside the picture, or is too small.
        ToolUnavailable: weights or packages are missing.
    """

    name = "caption"
    weights = ("core",)
    Args = CaptionArgs
    Result = Caption

    def run(self, args: CaptionArgs, context: Context) -> Caption:
        from nuthatch.mllm.speaking import Question

        speaker: Speaker = context.weights.get("core")
        pixels = context.media.image(args.image)
        if args.region is None:
            sha256 = context.media[args.image].sha256
            vectors = speaker.known.get(sha256, lambda: speaker.see([pixels])[0])
        else:
            part, _ = cut(pixels, box_of(args.region, args.image, context))
            (vectors,) = speaker.see([part])
        (said,) = speaker.answers([Question(REQUEST, (("image", vectors),))])
        return Caption(caption=said)
