"""Reading text by Tesseract (Smith 2007, "An Overview of the Tesseract OCR Engine").

The program comes from the system's packages and is called through pytesseract; nothing leaves this
machine. A picture is looked at twice, since one look alone misses much: as a page in columns and
paragraphs, in colour, and as a scene with a few words somewhere, in shades of grey. Of lines that
lie on each other the surer one counts.
"""

import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from nuthatch.tools.faults import ToolFailed, ToolUnavailable
from nuthatch.tools.media.ingest import Pixels
from nuthatch.tools.ocr.text_lines import TextLine, box_within, distinct, is_text

SIDE = 1200
"""Smaller pictures are enlarged until their longer side has this many pixels,"""
LARGEST_SCALE = 4
"""but not by more than this: letters must be some 20 pixels high to be read well."""
WORD = 0.5
"""Least score of a word: what is below is more often a pattern than text."""
BORDER = 12
"""Pixels put around: letters that touch the edge are read badly."""
PAGE, SPARSE = 3, 11
"""Tesseract's page segmentation modes."""
_INSTALL = "Debian: apt-get install tesseract-ocr; macOS: brew install tesseract"


class _Word(NamedTuple):
    line: tuple[str, ...]
    text: str
    score: float
    sides: tuple[float, float, float, float]  # of the enlarged picture


def languages() -> list[str]:
    """What can be read here, by Tesseract's names, e.g. `eng`, `deu`, `chi_sim`.

    Raises:
        ToolUnavailable: pytesseract, the program or all of its languages are missing.
    """
    tesseract = _tesseract()
    try:
        found = [each for each in tesseract.get_languages() if each != "osd"]
    except tesseract.TesseractNotFoundError as error:
        raise _missing() from error
    if not found:
        raise ToolUnavailable(
            "tesseract has no language to read; Debian: apt-get install tesseract-ocr-eng; macOS: "
            "brew install tesseract-lang",
            "dependency_missing",
        )
    return found


def read(pixels: Pixels, language: str, *, seconds: float = 100.0) -> list[TextLine]:
    """The lines of text in a picture, page by page and line by line; none where it shows none.

    Args:
        pixels: (height, width, 3) uint8 RGB, upright.
        language: one that is installed, or several with "+" between them.
        seconds: what both looks may take together.

    Returns:
        Lines with boxes in pixels of the picture given.

    Raises:
        ToolUnavailable: the program is missing.
        ToolFailed: it took too long (`timeout`), or it gave up.
    """
    height, width = pixels.shape[:2]
    scale = max(1.0, min(LARGEST_SCALE, SIDE / max(height, width)))
    picture = Image.fromarray(pixels)
    if scale > 1:
        size = round(width * scale), round(height * scale)
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    edge = ((BORDER, BORDER), (BORDER, BORDER))
    colours = Image.fromarray(np.pad(np.asarray(picture), (*edge, (0, 0)), mode="edge"))
    across, down = picture.width / width, picture.height / height
    lines: list[TextLine] = []
    end = time.monotonic() + seconds
    for look, mode in ((colours, PAGE), (colours.convert("L"), SPARSE)):
        words = _words(look, language, mode, max(0.1, end - time.monotonic()))
        for sides, text, score in _lines(words):
            x1, x2 = ((side - BORDER) / across for side in sides[::2])
            y1, y2 = ((side - BORDER) / down for side in sides[1::2])
            box = box_within((x1, y1, x2, y2), width=width, height=height)
            lines.append(TextLine(text, score, box))
    return distinct(lines)


def _words(picture: Image.Image, language: str, mode: int, seconds: float) -> Iterator[_Word]:
    """What Tesseract's table of a picture holds; it counts pages, blocks, paragraphs and lines."""
    tesseract = _tesseract()
    try:
        table: str = tesseract.image_to_data(
            picture, lang=language, config=f"--psm {mode}", timeout=seconds
        )
    except tesseract.TesseractNotFoundError as error:
        raise _missing() from error
    except tesseract.TesseractError as error:
        raise ToolFailed(f"tesseract gave up: {error.message[:200]}") from error
    except RuntimeError as error:  # pytesseract's way to say that time is up
        raise ToolFailed(f"reading took more than {seconds:.0f} s", "timeout") from error
    except (OSError, UnicodeDecodeError) as error:  # no room for its files, or killed while writing
        raise ToolFailed(f"tesseract's answer cannot be read: {error}") from error
    for row in table.splitlines()[1:]:
        cells = row.split("\t")
        if len(cells) != 12 or cells[0] != "5":  # 5: a word; others are the boxes around words
            continue
        left, top, wide, high = map(float, cells[6:10])
        text = "".join(letter for letter in cells[11] if letter.isprintable()).strip()
        score = float(cells[10]) / 100
        if text and score >= WORD:
            yield _Word(tuple(cells[1:5]), text, score, (left, top, left + wide, top + high))


def _lines(
    words: Iterable[_Word],
) -> Iterator[tuple[tuple[float, float, float, float], str, float]]:
    """Box, text and score of every line."""
    found: dict[tuple[str, ...], list[_Word]] = {}
    for word in words:
        found.setdefault(word.line, []).append(word)
    for line in found.values():
        text = " ".join(word.text for word in line)
        score = sum(word.score for word in line) / len(line)
        if is_text(text, score):
            x1, y1, x2, y2 = zip(*(word.sides for word in line), strict=True)
            yield (min(x1), min(y1), max(x2), max(y2)), text, score


def _tesseract() -> Any:
    try:
        import pytesseract
    except ImportError as error:
        raise ToolUnavailable(
            "reading text needs a package that is missing (pytesseract): "
            "pip install 'nuthatch[vision]'",
            "dependency_missing",
        ) from error
    return pytesseract


def _missing() -> ToolUnavailable:
    return ToolUnavailable(
        f"reading text needs the program tesseract, which is not here; {_INSTALL}",
        "dependency_missing",
    )
