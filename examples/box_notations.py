"""Boxes as text in the notations of Kosmos-2, Shikra, Qwen-VL, OFA and LLaVA, and read back."""

from pathlib import Path

from PIL import Image

from nuthatch import Toolbox
from nuthatch.mllm.codecs.boxes import (
    BinGroups,
    BoxCodec,
    CellTokens,
    DecimalBoxes,
    DecimalGroups,
    ResizedBins,
    Thousandths,
)
from nuthatch.mllm.codecs.grounded_text import GroundedText, PhraseTags

KITCHEN = Path(__file__).with_name("kitchen.png")

found = Toolbox().run("detect", image=KITCHEN, labels=["cup"]).value.detections
cups = [each.box.xyxy for each in found]  # pixels, x1 y1 x2 y2, right and bottom exclusive
size = Image.open(KITCHEN).size
print(f"{len(cups)} cups in a picture of {size}, the first at {cups[0]}")

codecs: dict[str, BoxCodec] = {
    "Kosmos-2": CellTokens(),
    "Shikra, numbers": DecimalGroups(),
    "Shikra, tokens": BinGroups(),
    "Qwen-VL": Thousandths(),
    "OFA": ResizedBins(),
    "LLaVA-1.5": DecimalBoxes(decimals=2, padded=True),
}
for name, codec in codecs.items():
    text = codec.encode(cups[:1], size)
    read = codec.decode(text, size)[0]
    error = max(abs(a - b) for a, b in zip(read, cups[0], strict=True))
    print(f"{name:16} {text}  (read back within {error:.1f} pixels)")

# A sentence with boxes behind its phrases, as Kosmos-2 and Qwen-VL write it.
sentence = GroundedText("Three cups on a table", spans=((0, 10),), boxes=(tuple(cups),))
for tags in (
    PhraseTags(CellTokens()),
    PhraseTags(Thousandths(), "<ref>", "</ref>", blank_inside=False),
):
    written = tags.encode(sentence, size)
    print(written)
    assert tags.decode(written, size).phrases == ["Three cups"]
