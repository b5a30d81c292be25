"""Look closer: `crop` makes a new picture from a part of one."""

from typing import Self

from pydantic import BaseModel, Field, model_validator

from nuthatch.tools.base.regions import Sides, box_of, cut
from nuthatch.tools.base.tool import (
    Arguments,
    Context,
    DetectionRef,
    ImageRef,
    Tool,
    exactly_one_of,
)
from nuthatch.tools.media.geometry import Box


class CropArgs(Arguments):
    model_config = exactly_one_of("box", "detection")

    image: ImageRef
    box: Sides | None = Field(None, description="x1 y1 x2 y2 in pixels of the image")
    detection: DetectionRef | None = None
    margin: float = Field(0.1, ge=0, le=1, description="added on each side, share of the box")

    @model_validator(mode="after")
    def _one_region(self) -> Self:
        if (self.box is None) == (self.detection is None):
            raise ValueError("give exactly one of box and detection")
        return self


class Crop(BaseModel):
    """The new picture and where it lies in the old one."""

    image: str  # handle
    box: Box  # pixels of the parent image


class CropPicture(Tool[CropArgs, Crop]):
    """Cut a region out of a picture as a new picture, to look at it on its own.

    Raises:
        RetryCall: the region lies outside the picture, or is under 8 pixels wide or high.
    """

    name = "crop"
    effects = "writes_media"
    Args = CropArgs
    Result = Crop

    def run(self, args: CropArgs, context: Context) -> Crop:
        pixels = context.media.image(args.image)
        region = box_of(args.detection or args.box, args.image, context)
        part, box = cut(pixels, region, args.margin)
        made = context.add_image(part, parents=(args.image,))
        return Crop(image=made.handle, box=box)
