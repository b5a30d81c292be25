"""Reading text by RapidOCR (PP-OCRv6, arXiv:2009.09941 and its successors; Apache-2.0).

The package brings its models along and runs them through onnxruntime; nothing is fetched.
"""

import threading
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from nuthatch.tools.faults import ToolFailed, ToolUnavailable
from nuthatch.tools.media.ingest import Pixels
from nuthatch.tools.ocr.text_lines import TextLine, box_within, distinct, is_text

SIDE = 640
"""Smaller pictures are enlarged until their longer side has this many pixels,"""
LARGEST_SCALE = 4
"""but not by more than this."""
LARGEST = 1600
"""Larger pictures are made smaller to this longer side."""
LEAST = 48
"""Pixels a side that a picture is padded to,"""
THINNEST = 16
"""and to this share of its longer side, 1 in 16: the package enlarges what is thinner beyond all
bounds."""
SUREST = 0.99
"""The highest score of a line: the package comes near to certainty, which no reader has, and the
shipped planner has learnt from scores below it."""
_ENGINE = threading.Lock()
"""The engine keeps the settings of its last call, so there is one, used by one call at a time."""


def read(pixels: Pixels) -> list[TextLine]:
    """The lines of text in a picture; arguments and errors as `text_reader.read`.

    Lines are in the order in which a page is read, from top to bottom and from left to right.
    """
    height, width = pixels.shape[:2]
    longer = max(height, width)
    scale = min(LARGEST / longer, max(1.0, min(LARGEST_SCALE, SIDE / longer)))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    picture = Image.fromarray(pixels)
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    least = max(LEAST, -(-max(size) // THINNEST))
    beside, over = (max(0, least - side + 1) // 2 for side in size)
    padded = np.pad(np.asarray(picture), ((over, over), (beside, beside), (0, 0)), mode="edge")
    with _ENGINE:
        found = _run(_engine(), np.ascontiguousarray(padded[:, :, ::-1]))
    across, down = size[0] / width, size[1] / height
    lines = []
    for corners, text, score in found:
        said = "".join(letter for letter in text if letter.isprintable()).strip()
        if is_text(said, score):
            (x1, y1), (x2, y2) = corners.min(axis=0), corners.max(axis=0)
            sides = (
                (x1 - beside) / across,
                (y1 - over) / down,
                (x2 - beside) / across,
                (y2 - over) / down,
            )
            lines.append(TextLine(said, score, box_within(sides, width=width, height=height)))
    return distinct(lines)


def _run(engine: Any, picture: Pixels) -> list[tuple[np.ndarray[Any, Any], str, float]]:
    """Corners (4, 2), text and score of each line in a BGR picture."""
    try:
        # All settings at every call: they would stay as the last call left them.
        found = engine(
            picture,
            use_det=True,
            use_cls=True,
            use_rec=True,
            return_word_box=False,
            return_single_char_box=False,
            text_score=0.5,
            box_thresh=0.5,
            unclip_ratio=1.6,
        )
    except Exception as error:  # the package and onnxruntime raise plain exceptions of many kinds
        raise ToolFailed(f"the reader gave up: {type(error).__name__}: {error}"[:200]) from error
    if found.boxes is None or found.txts is None or found.scores is None:
        return []
    rows = zip(found.boxes, found.txts, found.scores, strict=True)
    return [(np.asarray(box), text, min(float(score), SUREST)) for box, text, score in rows]


@cache
def _engine() -> Any:
    try:
        import onnxruntime  # noqa: F401  (RapidOCR names its absence only in a log)
        from rapidocr import RapidOCR
    except ImportError as error:
        raise ToolUnavailable(
            f"reading text needs a package that is missing ({error.name}): "
            "pip install 'nuthatch[vision]'",
            "dependency_missing",
        ) from error
    return RapidOCR(
        params={
            "Global.log_level": "critical",
            # Pictures come in the right size; by default small ones are enlarged without bounds.
            "Global.max_side_len": 2 * LARGEST,
            "Det.limit_type": "max",
            "Det.limit_side_len": 2 * LARGEST,
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )
