"""Outline all there is, whatever it may be: `segment_everything`."""

from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from nuthatch.tools.base.tool import Arguments, Context, ImageRef, Tool

if TYPE_CHECKING:
    from nuthatch.tools.segmentation.segmenters import Segmenter


class EverythingArgs(Arguments):
    image: ImageRef
    max_masks: int = Field(32, ge=1, le=256, description="the best ones are kept")
    min_area: int = Field(0, ge=0, description="pixels that a mask has at least")


class AllMasks(BaseModel):
    """Masks, the best first; the names of what they show are not known."""

    masks: list[str]  # handles
    predicted_iou: list[float]  # the model's own guess of the overlap with the truth, 0 to 1
    stability: list[float]  # 0 to 1: how still the mask stands when its threshold moves
    areas: list[int]  # pixels
    more: int  # masks beyond max_masks


class SegmentEverything(Tool[EverythingArgs, AllMasks]):
    """Cut out everything in a picture, without being told what to look for.

    Segment Anything on a grid of points (arXiv:2304.02643, section 4). Masks have the size of the
    upright original image.

    Args:
        points_per_side: points of the grid along either side.
        min_predicted_iou: what the model must think of a mask; the shipped one rates its own lower
            than the released ones do: 0.5 finds most objects.
        min_stability: how still a mask must stand; likewise.

    Raises:
        ToolUnavailable: weights or packages are missing.
    """

    name = "segment_everything"
    effects = "writes_media"
    timeout = 600.0
    weights = ("segment",)
    Args = EverythingArgs
    Result = AllMasks

    def __init__(
        self,
        *,
        points_per_side: int = 32,
        min_predicted_iou: float = 0.88,
        min_stability: float = 0.95,
    ) -> None:
        self.points_per_side = points_per_side
        self.min_predicted_iou = min_predicted_iou
        self.min_stability = min_stability

    def run(self, args: EverythingArgs, context: Context) -> AllMasks:
        segmenter: Segmenter = context.weights.get("segment")
        from nuthatch.tools.segmentation.automatic_masks import everything

        found = everything(
            segmenter,
            context.media.image(args.image),
            points_per_side=self.points_per_side,
            min_area=args.min_area,
            min_predicted_iou=self.min_predicted_iou,
            min_stability=self.min_stability,
            check=context.check,
        )
        kept = found[: args.max_masks]
        return AllMasks(
            masks=[context.add_mask(one.mask, parents=(args.image,)).handle for one in kept],
            predicted_iou=[one.predicted_iou for one in kept],
            stability=[one.stability for one in kept],
            areas=[one.mask.area for one in kept],
            more=len(found) - len(kept),
        )
