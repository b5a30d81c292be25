"""Shares of tints: exact, whatever the size of the box, and only where a claim needs them."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from nuthatch.tools.media.geometry import Box
from nuthatch.tools.verification.evidence import colours
from nuthatch.tools.verification.evidence.colours import NEAR, NO_TINT, nearest_tints, tint_shares
from nuthatch.tools.verifier import Verifier
from nuthatch.tools.vocabulary import TINTS
from nuthatch.tools.weights.store import Weights
from tests.fakes import FakeDetector, FakeTagger

GOLDEN = {
    (0, 0, 512, 512): {
        "red": 0.10104652292152293,
        "orange": 0.021664966977466976,
        "yellow": 0.002415986790986791,
        "green": 0.019425019425019424,
        "blue": 0.07031857031857032,
        "pink": 0.28787271756021754,
        "gray": 0.10984241452991453,
    },
    (40.5, 200.2, 180.7, 330.9): {
        "red": 0.09480306817202448,
        "orange": 0.01499612169266569,
        "green": 0.0004309230371455658,
        "pink": 0.3996380246487977,
        "gray": 0.16021718521072137,
    },
    (300, 100, 301, 101): {"gray": 1.0},
}
"""On `examples/kitchen.png`, by comparing every pixel with every shade."""


@pytest.mark.parametrize("box", GOLDEN)
def test_shares_are_those_of_comparing_every_pixel_with_every_shade(
    box: tuple[float, float, float, float],
) -> None:
    kitchen = np.asarray(Image.open("examples/kitchen.png").convert("RGB"))
    shares = tint_shares(kitchen, Box.of(box))
    assert list(shares) == list(TINTS)
    assert {tint: share for tint, share in shares.items() if share} == GOLDEN[box]


def test_every_colour_is_of_the_tint_that_its_distances_say() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    pixels[:100] = pixels[:100] // 64 * 64 + 20  # runs of few colours
    each = pixels.reshape(-1, 1, 1, 3).astype(np.float32)
    distances = np.linalg.norm(each - colours._SHADES, axis=3).min(axis=2)
    kinds = np.where(distances.min(axis=1) <= NEAR, distances.argmin(axis=1), NO_TINT)
    found = nearest_tints(pixels, np.zeros(pixels.shape[:2], bool))
    assert np.array_equal(found.ravel(), kinds)


def test_a_box_in_strips_has_the_shares_of_the_box_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    at_once = tint_shares(pixels, Box.of((3, 4, 66, 88)))
    monkeypatch.setattr(colours, "STRIP", 200)
    assert tint_shares(pixels, Box.of((3, 4, 66, 88))) == at_once


def test_colours_are_not_looked_at_unless_a_claim_is_about_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[Box] = []
    monkeypatch.setattr(
        colours, "tint_shares", lambda _, box: looks.append(box) or dict.fromkeys(TINTS, 0.0)
    )
    judges = Weights()
    judges.put("detect", FakeDetector([("cup", (10, 10, 60, 60)), ("dog", (60, 60, 90, 90))]))
    judges.put("tag", FakeTagger([("cup", None, (10, 10, 60, 60))]))
    picture = np.full((128, 128, 3), 200, np.uint8)
    verifier = Verifier(weights=judges)
    verifier.correct("There is one cup. The cup is left of the dog.", image=picture)
    assert looks == []
    verifier.correct("The cup is red.", image=picture)
    assert set(looks) == {Box.of((10, 10, 60, 60))}


LARGE = """
import resource, sys
import numpy as np
from tests.fakes import FakeDetector, FakeTagger
from nuthatch.tools.verification.correction import Item
from nuthatch.tools.verifier import Verifier
from nuthatch.tools.weights.store import Weights
judges = Weights()
judges.put("detect", FakeDetector([("cup", (0, 0, 2000, 3000))]))
verifier = Verifier(weights=judges)
noise = np.random.default_rng(0)
small = noise.integers(0, 256, (64, 64, 3), np.uint8)
verifier.correct_many([Item("The cup is red.", None, small)])
picture = noise.integers(0, 256, (3000, 4000, 3), np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
verifier.correct_many([Item("The cup is red.", None, picture)])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
def test_half_of_twelve_megapixels_needs_little_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LARGE], capture_output=True, text=True, check=True, timeout=300
    )
    assert float(done.stdout) < 200  # MB; 9,000 where all distances are in memory at once
