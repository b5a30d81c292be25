"""RapidOCR and Tesseract side by side on drawn signs: what they read, what a comparison with words
that are claimed is worth, and their CPU time.

    python tests/benchmarks/bench_read_text.py [PICTURES]

Each picture shows one to three signs, on plain or busy ground, with letters 12 to 44 pixels high.
Claims are the words of a sign, and words of no sign.
"""

import re
import sys
import time
from random import Random

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from nuthatch.tools.media.ingest import Pixels
from nuthatch.tools.ocr.readers import read
from nuthatch.tools.ocr.text_lines import TextLine
from nuthatch.tools.verification.evidence.ocr_match import FOUND, OTHER, compare, folded
from nuthatch.tools.verification.evidence.perception import Written
from nuthatch.training.evaluate.statistics import wilson

WORDS = re.findall(
    r"\S+",
    "open closed bakery coffee market garden platform ticket office exit no parking fresh "
    "bread daily welcome museum station library please ring the bell push pull mind step "
    "hotel central 24 hours 7 days north gate private road keep left lost property sale today "
    "only ",
)


def drawn(random: Random) -> tuple[Pixels, list[str]]:
    """A picture with signs, and what they say."""
    width, height = random.choice([(480, 360), (640, 480), (512, 512)])
    if random.random() < 0.5:
        ground = np.full((height, width, 3), random.randint(120, 255), np.uint8)
    else:
        draws = np.random.default_rng(random.getrandbits(32))
        cells = draws.integers(30, 226, (9, 12, 3), np.uint8)
        size = (width, height)
        ground = np.asarray(Image.fromarray(cells).resize(size, Image.Resampling.BICUBIC))
    picture = Image.fromarray(ground)
    draw, said = ImageDraw.Draw(picture), []
    for row in range(random.randint(1, 3)):
        text = " ".join(random.sample(WORDS, random.randint(1, 3)))
        text = random.choice([str.upper, str.title, str])(text)
        font = ImageFont.load_default(random.randint(16, 58))
        x1, y1, x2, y2 = draw.textbbox((0, 0), text, font=font)
        if x2 - x1 > width - 30:
            continue
        x, y = random.randint(10, int(width - 15 - (x2 - x1))), 15 + row * height // 3
        dark = random.random() < 0.3
        around = x - 6, y + y1 - 6, x + x2 + 6, y + y2 + 6
        draw.rectangle(around, fill="navy" if dark else "ivory")
        draw.text((x, y), text, font=font, fill="white" if dark else "black")
        said.append(text)
    return np.asarray(picture), said


def main(pictures: int = 120) -> None:
    random = Random(0)
    cases = [drawn(random) for _ in range(pictures)]
    cases = [case for case in cases if case[1]]
    print(f"{len(cases)} pictures, {sum(len(said) for _, said in cases)} signs")
    for name, language in (("rapidocr", None), ("tesseract", "eng")):
        began = time.process_time()
        found = [read(pixels, language) for pixels, _ in cases]
        seconds = (time.process_time() - began) / len(cases)
        report(name, [said for _, said in cases], found)
        print(f"  {seconds:.2f} s a picture in this process (Tesseract works in others)")


def report(name: str, cases: list[list[str]], found: list[list[TextLine]]) -> None:
    """Share of true claims read; how often words that were read, or in whose place another line was
    read alone, are there."""
    random = Random(1)
    counts = {
        "quoted": [0, 0],
        "supported": [0, 0],
        "refuted": [0, 0],
        "one sign": [0, 0],
        "more signs": [0, 0],
    }
    true = 0
    for said, lines in zip(cases, found, strict=True):
        written = [Written(*line) for line in lines]
        for line in lines:  # as an answer quotes it, whole
            tell(counts["quoted"], folded(line.text) in {folded(each) for each in said})
        false = [" ".join(random.sample(WORDS, 2)) for _ in said]
        for claim in [*said, *false]:
            holds = any(claim.lower() in each.lower() for each in said)
            true += holds
            chance = compare(claim, written).probability
            if chance == FOUND:
                tell(counts["supported"], holds)
            elif chance == OTHER:
                tell(counts["refuted"], holds)
                tell(counts["one sign" if len(said) == 1 else "more signs"], holds)
    print(f"{name}: {counts['supported'][0]} of {true} true claims read")
    for kind, (held, n) in counts.items():
        low, high = wilson(held, n) if n else (0.0, 1.0)
        print(f"  {kind}: {held} of {n} claims hold ({low:.3f} to {high:.3f})")


def tell(count: list[int], holds: bool) -> None:
    count[0] += holds
    count[1] += 1


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
