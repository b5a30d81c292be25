"""Texts of which some phrases have boxes: `a<phrase> dog</phrase><object>...</object> sleeps`.

Example: `examples/box_notations.py`.
"""

import re
from dataclasses import dataclass
from itertools import pairwise

from nuthatch.mllm.codecs.boxes import Box, BoxCodec, Size

Span = tuple[int, int]


@dataclass(frozen=True)
class GroundedText:
    """A text, and where in the picture the things are that some of its phrases name.

    Raises (on construction):
        ValueError: spans and boxes differ in number, a phrase has no box, or a span is not a phrase
            of the text: outside of it, before the end of the one before, empty, or with a blank
            at an end.
    """

    text: str
    spans: tuple[Span, ...] = ()
    """Of each phrase its first character, and the first one after it; in order."""

    boxes: tuple[tuple[Box, ...], ...] = ()
    """Of each phrase, x1 y1 x2 y2 in pixels."""

    def __post_init__(self) -> None:
        if len(self.spans) != len(self.boxes) or not all(map(len, self.boxes)):
            raise ValueError(
                f"given {len(self.spans)} phrases, and boxes {[len(b) for b in self.boxes]} in "
                "number; expected at least one box for every phrase"
            )
        ends = [0, *(place for span in self.spans for place in span), len(self.text)]
        phrases = self.phrases
        if any(a > b for a, b in pairwise(ends)) or not all(p and p == p.strip() for p in phrases):
            raise ValueError(
                f"given the spans {list(self.spans)} of '{self.text}', that is {phrases}; expected "
                "phrases in order, apart from each other, neither empty nor with a blank at an end"
            )

    @property
    def phrases(self) -> list[str]:
        return [self.text[start:end] for start, end in self.spans]


@dataclass(frozen=True)
class PhraseTags:
    """A way to write grounded text: each phrase between two tags, its boxes right behind it.

    By default as Kosmos-2 (Peng et al., 2023, section 3.1) with `CellTokens`. Qwen-VL (Bai et al.,
    2023, section 2.2) is `PhraseTags(Thousandths(), "<ref>", "</ref>", blank_inside=False)`.
    """

    codec: BoxCodec
    opening: str = "<phrase>"
    closing: str = "</phrase>"
    blank_inside: bool = True
    """Write the blank before a phrase behind the opening tag: `a<phrase> ball</phrase>`."""

    def encode(self, grounded: GroundedText, size: Size) -> str:
        """Grounded text as one string.

        Args:
            grounded: boxes in pixels of a picture of this size.
            size: width and height.

        Raises:
            ValueError: the text holds a tag of its own, or as `BoxCodec.encode`.
        """
        text, written, end = grounded.text, "", 0
        self._refuse_tags(text)
        for span, boxes in zip(grounded.spans, grounded.boxes, strict=True):
            start = span[0]
            if self.blank_inside and text[:start].endswith(" "):
                start -= 1
            before, end = text[end:start], span[1]
            phrase = f"{self.opening}{text[start:end]}{self.closing}"
            written += before + phrase + self.codec.encode(boxes, size)
        return written + text[end:]

    def decode(self, text: str, size: Size) -> GroundedText:
        """Text without tags, and its phrases. Blanks at both ends go, blanks inside stay.

        Args:
            text: as `encode` writes it, or a model.
            size: width and height of the picture in whose pixels the boxes shall be.

        Raises:
            ValueError: a phrase is empty or has no boxes, boxes have no phrase, a tag stands
                alone, or as `BoxCodec.decode`.
        """
        tags = f"{re.escape(self.opening)}(.*?){re.escape(self.closing)}({self.codec.pattern})"
        clean, end = "", 0
        spans: list[Span] = []
        boxes: list[tuple[Box, ...]] = []
        for match in re.finditer(tags, text, re.DOTALL):
            clean += text[end : match.start()]
            phrase, end = match[1], match.end()
            blanks = len(phrase) - len(phrase.lstrip())
            spans.append((len(clean) + blanks, len(clean) + len(phrase.rstrip())))
            boxes.append(tuple(self.codec.decode(match[2], size)))
            clean += phrase
        clean += text[end:]
        self._refuse_tags(clean)
        lead = len(clean) - len(clean.lstrip())
        spans = [(first - lead, after - lead) for first, after in spans]
        return GroundedText(clean.strip(), tuple(spans), tuple(boxes))

    def tokens(self) -> list[str]:
        """What the tokenizer's vocabulary must hold."""
        return [self.opening, self.closing, *self.codec.tokens()]

    def _refuse_tags(self, text: str) -> None:
        if stray := next((token for token in self.tokens() if token in text), None):
            raise ValueError(
                f"'{stray}' stands outside of a phrase with boxes in '{text}'; expected each "
                f"phrase as {self.opening}phrase{self.closing} with its boxes right behind it"
            )
