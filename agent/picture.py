"""The answer as a picture: what was found, what was checked, what was changed."""

import textwrap
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from nuthatch.tools.base import ToolResult
from nuthatch.tools.blobs import read_mask, read_pixels
from nuthatch.tools.geometry import Box, iou
from nuthatch.tools.media import Detection, Media
from nuthatch.tools.overlay import VERDICT_COLOURS, overlay
from nuthatch.tools.verification.types import Verdict

_WORDS = {"supported": "supported", "refuted": "refuted", "not_enough_evidence": "undecided"}
Colour = tuple[int, int, int]

_INK, _DIM, _PAPER, _PLAIN = (28, 30, 34), (110, 114, 120), (250, 250, 248), (40, 98, 190)


def draw(
    item: Media,
    text: str,
    draft: str,
    verdicts: Sequence[Verdict],
    calls: Sequence[ToolResult],
    media: Sequence[Media],
) -> Image.Image:
    """The picture `item` with masks and boxes, and below it the answer and its claims.

    A box has the colour of the verdict that it was evidence for; the plain colour: it was found,
    but is no evidence.

    Raises:
        MediaError: the file of the picture, or of a mask, is gone or damaged.
    """
    boxes: dict[Box, tuple[str, Colour]] = {}
    for verdict in verdicts:
        for box in (box for evidence in verdict.evidence for box in evidence.boxes):
            boxes.setdefault(box, (verdict.claim.subject, VERDICT_COLOURS[verdict.verdict]))
    for found in (found for call in calls for found in getattr(call.value, "detections", ())):
        if not isinstance(found, Detection):  # of a tool that is not known here
            continue
        if found.image == item.handle and all(iou(found.box, box) < 0.9 for box in boxes):
            boxes[found.box] = (found.label, _PLAIN)
    masks = [
        read_mask(made.path)
        for made in media
        if made.type == "mask" and item.handle in made.parents
    ]
    pixels = read_pixels(item.path)
    drawn = overlay(pixels, [(box, *look) for box, look in boxes.items()], masks)
    return _with_caption(drawn, text, draft, verdicts)


def _with_caption(
    drawn: Image.Image, text: str, draft: str, verdicts: Sequence[Verdict]
) -> Image.Image:
    """A strip below the picture: draft, answer, and one line per claim."""
    font, small = ImageFont.load_default(size=18), ImageFont.load_default(size=15)
    width = max(drawn.width, 560)
    lines: list[tuple[str, ImageFont.ImageFont | ImageFont.FreeTypeFont, Colour]] = []
    columns = width // 10
    if draft != text:
        lines += [(line, small, _DIM) for line in textwrap.wrap(f"draft: {draft}", columns)]
    lines += [(line, font, _INK) for line in textwrap.wrap(text, columns)]
    for verdict in verdicts:
        # "two cups" that are three are there all the same: the number has a line of its own.
        claim = verdict.claim
        said = claim.subject if claim.kind == "existence" else claim.text
        words = f"{_WORDS[verdict.verdict]} {verdict.probability:.2f}: {said}"
        lines.append((words[: width // 8], small, VERDICT_COLOURS[verdict.verdict]))
    heights = [26 if font_ is font else 21 for _, font_, _ in lines]
    canvas = Image.new("RGB", (width, drawn.height + sum(heights) + 24), _PAPER)
    canvas.paste(drawn, ((width - drawn.width) // 2, 0))
    pen = ImageDraw.Draw(canvas)
    y = drawn.height + 12
    for (line, font_, colour), height in zip(lines, heights, strict=True):
        pen.text((14, y), line, fill=colour, font=font_)
        y += height
    return canvas
