"""The answer as a picture: what was found, what was checked, what was changed."""

import textwrap
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from nuthatch.tools.base import ToolResult
from nuthatch.tools.geometry import Box, Mask
from nuthatch.tools.media import Detection, Media
from nuthatch.tools.render import VERDICT_COLOURS, overlay
from nuthatch.tools.verification.types import Verdict

_WORDS = {"supported": "supported", "refuted": "refuted", "not_enough_evidence": "undecided"}
_INK, _DIM, _PAPER = (28, 30, 34), (110, 114, 120), (250, 250, 248)


def draw(
    text: str,
    draft: str,
    verdicts: Sequence[Verdict],
    calls: Sequence[ToolResult],
    media: Sequence[Media],
) -> Image.Image | None:
    """The first picture of the talk with boxes, masks and verdict colours, and the claims below.

    None when the talk had no picture.
    """
    pictures = [item for item in media if item.type == "image"]
    if not pictures:
        return None
    first = pictures[0]
    with Image.open(first.path) as source:
        pixels = np.asarray(source.convert("RGB"))
    masks = [
        Mask.model_validate_json(item.path.read_bytes())
        for item in media
        if item.type == "mask" and first.handle in item.parents
    ]
    drawn = overlay(pixels, _boxes(verdicts, calls, first.handle), masks)
    return _with_caption(drawn, text, draft, verdicts)


def _boxes(
    verdicts: Sequence[Verdict], calls: Sequence[ToolResult], handle: str
) -> list[tuple[Box, str, tuple[int, int, int] | None]]:
    """Boxes of the evidence in the colour of their verdict; without claims, all detections."""
    boxes: dict[tuple[float, ...], tuple[Box, str, tuple[int, int, int] | None]] = {}
    for verdict in verdicts:
        for item in verdict.evidence:
            for box in item.boxes:
                label = verdict.claim.subject
                boxes.setdefault(box.xyxy, (box, label, VERDICT_COLOURS[verdict.verdict]))
    if boxes:
        return list(boxes.values())
    return [
        (found.box, f"{found.label} {found.score:.2f}", None)
        for result in calls
        for found in _detections(result)
        if found.image == handle
    ]


def _detections(result: ToolResult) -> list[Detection]:
    found: list[Detection] = getattr(result.value, "detections", [])
    return found


def _with_caption(
    drawn: Image.Image, text: str, draft: str, verdicts: Sequence[Verdict]
) -> Image.Image:
    """A strip below the picture: draft, answer, and one line per claim."""
    font, small = ImageFont.load_default(size=18), ImageFont.load_default(size=15)
    width = max(drawn.width, 560)
    lines: list[tuple[str, ImageFont.ImageFont | ImageFont.FreeTypeFont, tuple[int, int, int]]] = []
    columns = width // 10
    if draft != text:
        lines += [(line, small, _DIM) for line in textwrap.wrap(f"draft: {draft}", columns)]
    lines += [(line, font, _INK) for line in textwrap.wrap(text, columns)]
    for verdict in verdicts:
        words = f"{_WORDS[verdict.verdict]} {verdict.probability:.2f}: {verdict.claim.text}"
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
