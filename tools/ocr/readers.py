"""Readers of text: RapidOCR where no language is named, Tesseract for one that is.

RapidOCR comes by pip with its models and reads Latin letters, Chinese and Japanese at once;
Tesseract is a program of the system and reads the languages that are installed for it.
"""

from nuthatch.extras import installed
from nuthatch.tools.faults import RetryCall, ToolUnavailable
from nuthatch.tools.media.ingest import Pixels
from nuthatch.tools.ocr import rapidocr as rapidocr_reader
from nuthatch.tools.ocr import tesseract as tesseract_reader
from nuthatch.tools.ocr.text_lines import TextLine

USUAL = "eng"
"""The language that Tesseract reads without being told, where it is installed."""


_MISSING = (
    "reading text needs packages that are missing (rapidocr, onnxruntime): "
    "pip install 'nuthatch[vision]'"
)


def lack() -> str:
    """What keeps text from being read in a language that is not named; empty: nothing."""
    if installed("rapidocr", "onnxruntime"):
        return ""
    try:
        tesseract_reader.languages()
    except ToolUnavailable as fault:
        return fault.message if installed("pytesseract") else _MISSING
    return ""


def read(pixels: Pixels, language: str | None = None, *, seconds: float = 100.0) -> list[TextLine]:
    """The lines of text in a picture as a page is read; none where it shows none.

    Args:
        pixels: (height, width, 3) uint8 RGB, upright.
        language: what is written, by Tesseract's names, e.g. `deu` or `eng+fra`; None: by RapidOCR,
            or where that is missing by Tesseract in English.
        seconds: what Tesseract may take.

    Returns:
        Lines with boxes in pixels of the picture given.

    Raises:
        RetryCall: the language is not installed.
        ToolUnavailable: the reader's package or program is missing.
        ToolFailed: reading took too long (`timeout`), or the reader gave up.
    """
    if language is None and installed("rapidocr", "onnxruntime"):
        return rapidocr_reader.read(pixels)
    if language is None and not installed("pytesseract"):
        raise ToolUnavailable(_MISSING, "dependency_missing")
    known = tesseract_reader.languages()
    unknown = [each for each in (language or "").split("+") if language and each not in known]
    if unknown:
        raise RetryCall(
            f"language '{unknown[0]}' is not installed here; there is: {', '.join(known)}. More "
            "come from the system's packages, e.g. apt-get install tesseract-ocr-deu"
        )
    usual = USUAL if USUAL in known else known[0]
    return tesseract_reader.read(pixels, language or usual, seconds=seconds)
