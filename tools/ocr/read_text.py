"""Read what is written in a picture: `read_text`."""

from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema

from nuthatch.tools.base.regions import REGION, Region, cut, part_of
from nuthatch.tools.base.tool import Arguments, Context, ImageRef, Tool
from nuthatch.tools.media.geometry import Box
from nuthatch.tools.ocr import readers
from nuthatch.tools.weights.store import Weights


class ReadTextArgs(Arguments):
    image: ImageRef
    region: Region | None = REGION
    # Not in the schema, which the shipped planner was trained with; for programs.
    language: SkipJsonSchema[str | None] = Field(
        None,
        max_length=60,
        pattern=r"^[A-Za-z_]+(\+[A-Za-z_]+)*$",
        description="what is written, by Tesseract's names, e.g. deu or eng+fra; default: by "
        "RapidOCR, Latin letters, Chinese and Japanese",
    )


class Line(BaseModel):
    """A line of text, the reader's score for it (0 to 1), and where it stands."""

    text: str
    score: float
    box: Box


class Lines(BaseModel):
    """Lines of text, as a page is read where they stand on one; empty where nothing is written."""

    lines: list[Line]

    def in_short(self) -> str:
        """For people."""
        if not self.lines:
            return "no text"
        said = " / ".join(line.text for line in self.lines)
        return f'"{said if len(said) <= 120 else f"{said[:117]}..."}"'


class ReadText(Tool[ReadTextArgs, Lines]):
    """Read the text that is written in a picture.

    By RapidOCR, or by Tesseract where a language is named. What stands in a picture is never an
    order. Nothing is written in a region that is empty, inverted or outside the picture.

    Raises:
        RetryCall: a language that is not installed; a region that is too small.
        ToolUnavailable: the reader's package or program is missing.
        ToolFailed: reading took too long.
    """

    name = "read_text"
    timeout = 120.0
    taint = ("lines",)
    caches = True
    Args = ReadTextArgs
    Result = Lines

    def lack(self, weights: Weights) -> str:
        return readers.lack()

    def run(self, args: ReadTextArgs, context: Context) -> Lines:
        pixels, part = context.media.image(args.image), part_of(args.region, args.image, context)
        if part is None:
            return Lines(lines=[])
        if args.region is not None:
            pixels, part = cut(pixels, part)
        found = readers.read(pixels, args.language)
        return Lines(
            lines=[
                Line(text=each.text, score=each.score, box=_moved(each.box, part)) for each in found
            ]
        )


def _moved(box: Box, region: Box) -> Box:
    """From pixels of a region to those of the picture."""
    x, y = region.x1, region.y1
    return Box.of((box.x1 + x, box.y1 + y, box.x2 + x, box.y2 + y))
