"""Geometry on what was found, without any model: `measure`."""

from typing import Literal

from pydantic import BaseModel, Field

from nuthatch.tools.base.tool import Arguments, Context, DetectionRef, Tool
from nuthatch.tools.faults import RetryCall
from nuthatch.tools.media.geometry import Box
from nuthatch.tools.media.store import Detection

CLEAR_MARGIN = 0.05  # of the image side: less than this between centres is no clear relation


class MeasureArgs(Arguments):
    op: Literal["count", "relation", "order", "distance"]
    a: list[DetectionRef] = Field(min_length=1, description="detections, or whole sets of them")
    b: list[DetectionRef] | None = Field(None, description="the other side, for two-sided ops")


class Measurement(BaseModel):
    """A value and the numbers it was made from."""

    op: str
    value: int | float | str | list[str]
    numbers: dict[str, float]  # pixels, or shares of the image side
    clear: bool  # False: too close to call


class Measure(Tool[MeasureArgs, Measurement]):
    """Count detections, relate two of them, put them in order, or measure their distance.

    `relation` names where `a` lies from `b`: left of, right of, above or below, on the axis with
    the larger share of the image side; it is clear from 5 % on. `order` lists handles from left
    to right. `distance` is between centres, in pixels. `count` counts each object once.

    Raises:
        RetryCall: `b` is missing, one side has several detections, or the pictures differ.
    """

    name = "measure"
    Args = MeasureArgs
    Result = Measurement

    def run(self, args: MeasureArgs, context: Context) -> Measurement:
        a = _members(args.a, context)
        if args.op == "count":
            return Measurement(op="count", value=len(a), numbers={"count": len(a)}, clear=True)
        if args.op == "order":
            ordered = sorted(a, key=lambda found: found.box.centre[0])
            places = {found.handle: found.box.centre[0] for found in ordered}
            return Measurement(op="order", value=list(places), numbers=places, clear=True)
        b = _members(args.b or [], context)
        if len(a) != 1 or len(b) != 1:
            raise RetryCall(
                f"{args.op} needs one detection on each side, given {len(a)} and {len(b)}"
            )
        if a[0].image != b[0].image:
            raise RetryCall(f"{a[0].handle} and {b[0].handle} lie on different pictures")
        if args.op == "distance":
            (ax, ay), (bx, by) = a[0].box.centre, b[0].box.centre
            pixels = ((ax - bx) ** 2 + (ay - by) ** 2) ** 0.5
            return Measurement(op="distance", value=pixels, numbers={"pixels": pixels}, clear=True)
        size = context.media[a[0].image]
        name, numbers, clear = relation(
            a[0].box, b[0].box, width=size.width or 1, height=size.height or 1
        )
        return Measurement(op="relation", value=name, numbers=numbers, clear=clear)


def relation(a: Box, b: Box, *, width: int, height: int) -> tuple[str, dict[str, float], bool]:
    """Where `a` lies from `b`: the name, the shares of the image side, and whether it is clear."""
    dx = (a.centre[0] - b.centre[0]) / width
    dy = (a.centre[1] - b.centre[1]) / height
    if abs(dx) >= abs(dy):
        name = "left of" if dx < 0 else "right of"
    else:
        name = "above" if dy < 0 else "below"
    return name, {"dx": dx, "dy": dy}, max(abs(dx), abs(dy)) >= CLEAR_MARGIN


def _members(handles: list[str], context: Context) -> list[Detection]:
    """Each detection once, however often it is named."""
    found = [member for handle in handles for member in context.media.detections(handle)]
    return list({member.handle: member for member in found}.values())
