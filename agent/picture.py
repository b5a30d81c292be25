"""Draws an answer: the picture with boxes and masks, its claims and their verdicts."""

import textwrap
from collections.abc import Sequence

from PIL import Image

from nuthatch.tools.base.tool import ToolResult
from nuthatch.tools.media.blobs import read_mask, read_pixels
from nuthatch.tools.media.geometry import Box, iou
from nuthatch.tools.media.store import Media
from nuthatch.tools.output.overlay import (
    NOTICE_COLOUR,
    VERDICT_COLOURS,
    Colour,
    Line,
    captioned,
    columns_below,
    overlay,
)
from nuthatch.tools.verification.types import Verdict

_WORDS = {"supported": "supported", "refuted": "refuted", "not_enough_evidence": "undecided"}

_INK, _DIM, _PLAIN = (28, 30, 34), (110, 114, 120), (40, 98, 190)


def draw(
    item: Media,
    text: str,
    draft: str,
    verdicts: Sequence[Verdict],
    calls: Sequence[ToolResult],
    media: Sequence[Media],
    notices: Sequence[str] = (),
) -> Image.Image:
    """The picture `item` with masks and boxes; below it the answer, its claims, and notices.

    A box has the colour of the verdict that it was evidence for; the plain colour: it was found,
    but is no evidence.

    Raises:
        MediaError: the file of the picture, or of a mask, is gone or damaged.
    """
    boxes: dict[Box, tuple[str, Colour]] = {}
    for verdict in verdicts:
        for box in (box for evidence in verdict.evidence for box in evidence.boxes):
            boxes.setdefault(box, (verdict.claim.subject, VERDICT_COLOURS[verdict.verdict]))
    for found in (found for call in calls for found in call.detections):
        if found.image == item.handle and all(iou(found.box, box) < 0.9 for box in boxes):
            boxes[found.box] = (found.label, _PLAIN)
    masks = [
        read_mask(made.path)
        for made in media
        if made.type == "mask" and item.handle in made.parents
    ]
    pixels = read_pixels(item.path)
    drawn = overlay(pixels, [(box, *look) for box, look in boxes.items()], masks)
    lines = _lines(text, draft, verdicts, columns=columns_below(drawn))
    lines += [
        (line, 15, NOTICE_COLOUR)
        for notice in notices
        for line in textwrap.wrap(notice, columns_below(drawn))
    ]
    return captioned(drawn, lines)


def _lines(text: str, draft: str, verdicts: Sequence[Verdict], columns: int) -> list[Line]:
    """Draft, answer, and one line per claim."""
    lines: list[Line] = []
    if draft != text:
        lines += [(line, 15, _DIM) for line in textwrap.wrap(f"draft: {draft}", columns)]
    lines += [(line, 18, _INK) for line in textwrap.wrap(text, columns)]
    for verdict in verdicts:
        # "two cups" that are three are there all the same: the number has a line of its own.
        claim = verdict.claim
        said = claim.subject if claim.kind == "existence" else claim.text
        words = f"{_WORDS[verdict.verdict]} {verdict.probability:.2f}: {said}"
        lines.append((words[: columns * 5 // 4], 15, VERDICT_COLOURS[verdict.verdict]))
    return lines
