"""What is small in the frame is not absent: wide, tall and stretched pictures, wide margins."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from nuthatch.tools.verification.correction import Item
from nuthatch.tools.verification.types import Correction
from nuthatch.tools.verifier import Verifier
from nuthatch.tools.weights.store import Weights
from tests.fakes import FakeDetector, FakeTagger

Picture = NDArray[np.uint8]
TRUE = (
    "There are three cups.",
    "There is a clock.",
    "There is a bottle.",
    "There is an orange and an apple.",
    "There is no giraffe.",
    "The clock is above the bottle.",
)
FALSE = ("There is a giraffe.", "There is a sheep.", "There is a bus.", "I see an elephant.")


@pytest.fixture(scope="module")
def kitchen() -> Picture:
    return np.asarray(Image.open("examples/kitchen.png").convert("RGB"))


@pytest.fixture(scope="module")
def verifier() -> Verifier:
    return Verifier()


def on_canvas(
    picture: Picture, size: tuple[int, int], at: tuple[int, int], colour: tuple[int, int, int]
) -> Picture:
    canvas = np.empty((size[1], size[0], 3), np.uint8)
    canvas[:] = colour
    height, width = picture.shape[:2]
    canvas[at[1] : at[1] + height, at[0] : at[0] + width] = picture
    return canvas


def stretched(picture: Picture, across: int, down: int) -> Picture:
    height, width = picture.shape[:2]
    return np.asarray(Image.fromarray(picture).resize((width * across, height * down)))


def corrected(verifier: Verifier, picture: Picture, sentences: tuple[str, ...]) -> list[Correction]:
    return verifier.correct_many([Item(sentence, None, picture) for sentence in sentences])


def harmed(done: list[Correction]) -> list[str]:
    return [
        each.draft
        for each in done
        if each.final != each.draft or any(v.verdict == "refuted" for v in each.verdicts)
    ]


@pytest.mark.parametrize(
    ("size", "at", "colour"),
    [
        ((2048, 512), (768, 0), (235, 235, 230)),
        ((2048, 512), (0, 0), (0, 0, 0)),
        ((512, 2048), (0, 1536), (60, 110, 190)),
        ((1024, 512), (256, 0), (255, 255, 255)),
        ((1024, 1024), (512, 0), (60, 110, 190)),
        ((4000, 3000), (3488, 2488), (235, 235, 230)),
        ((3000, 520), (1200, 4), (0, 0, 0)),
    ],
)
def test_margins_neither_harm_what_is_true_nor_hide_what_is_false(
    verifier: Verifier,
    kitchen: Picture,
    size: tuple[int, int],
    at: tuple[int, int],
    colour: tuple[int, int, int],
) -> None:
    picture = on_canvas(kitchen, size, at, colour)
    assert harmed(corrected(verifier, picture, TRUE)) == []
    assert len(harmed(corrected(verifier, picture, FALSE))) >= 3


@pytest.mark.parametrize(("across", "down"), [(2, 1), (3, 1), (1, 2), (1, 3)])
def test_a_stretched_picture_harms_nothing_true(
    verifier: Verifier, kitchen: Picture, across: int, down: int
) -> None:
    assert harmed(corrected(verifier, stretched(kitchen, across, down), TRUE)) == []


def test_two_scenes_far_apart_are_both_seen(verifier: Verifier, kitchen: Picture) -> None:
    wide = on_canvas(kitchen, (2560, 512), (0, 0), (235, 235, 230))
    wide[:, 2048:] = kitchen
    done = corrected(verifier, wide, ("There are six cups.", "There are two clocks."))
    assert harmed(done) == []


@pytest.mark.parametrize("size", [(20, 2000), (20_000, 16), (4000, 100)])
def test_in_a_picture_too_thin_to_see_in_nothing_is_denied(size: tuple[int, int]) -> None:
    judges = Weights()
    judges.put("detect", FakeDetector([("cup", (0, 0, 16, 16))]))
    judges.put("tag", FakeTagger([("cup", None, (0, 0, 16, 16))]))
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    report = Verifier(weights=judges).verify("There is a giraffe.", image=noise)
    assert [(v.verdict, v.rule) for v in report.verdicts] == [
        ("not_enough_evidence", "judges.too_small")
    ]


def test_a_judge_without_tints_leaves_the_colour_to_the_pixels() -> None:
    class Nameless(FakeTagger):
        """Knows objects and no tints, as an encoder of whole pictures does."""

        def tag_boxes(self, image: Picture, boxes: object) -> object:
            tags = super().tag_boxes(image, boxes)  # type: ignore[arg-type]
            return tags._replace(tints=tags.tints[:, :0])

    picture = np.full((128, 128, 3), 236, np.uint8)
    picture[10:60, 10:60] = (200, 40, 40)
    judges = Weights()
    judges.put("detect", FakeDetector([("cup", (10, 10, 60, 60))]))
    judges.put("tag", Nameless([("cup", None, (10, 10, 60, 60))]))
    report = Verifier(weights=judges).verify("The cup is red.", image=picture)
    assert [v.rule for v in report.verdicts if v.claim.kind == "attribute"] == ["judges.unsure"]
