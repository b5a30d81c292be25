"""What is said of some things, elsewhere, or of a kind is no statement that they are there or not.

Judged by the two example pictures: a street with a dog, a bus and a man, a kitchen with three cups.
"""

from functools import cache

import pytest

from nuthatch.tools.media.ingest import read_image
from nuthatch.tools.verification.correction import Item, correct_items
from nuthatch.tools.verification.evidence.calibration import Calibration
from nuthatch.tools.verification.evidence.perception import ModelSenses
from nuthatch.tools.verification.types import Correction
from tests.tools.verification.assertions import ROOT, decided, judges, read_of, refuted

PARTIAL = [
    "There is no dog with a leash.",
    "No dog wearing a hat is visible.",
    "There is no dog sleeping in the street.",
    "No dog is sleeping.",
    "There is no old dog.",
    "There is no big dog in the picture.",
    "No dog is visible in the background.",
    "I see no dog in the foreground.",
    "There is no dog of that breed.",
    "There is no dog by the bus.",
    "There is no dog at the window.",
    "There is no dog who is asleep.",
    "There is no dog like that.",
    "There isn't a dog with a hat.",
    "The picture shows no dog with a collar.",
    "No person with a hat can be seen.",
    "There are no cars parked here.",
    "There is no dog but one.",
    "There is no dog (only a puppy).",
    "There is no dog as big as a horse.",
    "No one is riding the bicycle.",
    "Nobody is riding the bicycle.",
    "No bus is coming.",
    "On the roof there is no person.",
    "Above the bus there is no dog.",
    "In the corner there is no dog.",
    "At the top no dog can be seen.",
    "By the bus there is no person.",
    "There is no dog here, but there is one there.",
    "There isn't a single car but two.",
    "There is no one but a man.",
    "No bus without wheels is here.",
    "Two cars are visible. None of them is blue.",
    "The bus is driving to the right.",
    "The dog is walking to the left.",
    "The dog runs to the left.",
    "A dog is heading towards the left.",
]
UNSAID = [
    ("There is a horse fly on the wall.", "horse"),
    ("There is a train set.", "train"),
    ("There is a dog show in town.", "dog"),
    ("There is a dog walk.", "dog"),
    ("There is a horse race.", "horse"),
    ("There is a bear hug.", "bear"),
    ("There is a cow pat.", "cow"),
    ("At the kennel there is a dog.", "dog"),
    ("At the zoo there are two elephants.", "elephant"),
    ("On the farm there are cows.", "cow"),
    ("In my garden there is a horse.", "horse"),
    ("In many kitchens there is a dog.", "dog"),
    ("On Mondays there is a cat here.", "cat"),
    ("A dog barks.", "dog"),
    ("The dog eats meat.", "dog"),
    ("Cats like milk.", "cat"),
    ("A bear sleeps through winter.", "bear"),
    ("It's raining cats and dogs.", "cat"),
]
PLAIN = [
    ("I could not find any cats in the image.", True),
    ("I could not find any cups in the image.", False),
    ("There is no dog.", True),
    ("A picture with no dogs.", True),
    ("There are two animals: a dog and a cat.", False),
    ("On the table there is a dog.", False),
    ("A bottle is placed in the upper left corner.", True),
    ("A bottle is placed in the lower left corner.", False),
    ("An apple and an orange are lying in the lower right corner.", True),
    ("The clock and a cup of dark coffee are visible.", True),
]


@cache
def checked(picture: str, text: str) -> Correction:
    weights = judges(picture)
    pixels = read_image(ROOT / "examples" / f"{picture}.png")[0]
    (done,) = correct_items([Item(text, None, pixels)], ModelSenses(weights), Calibration(weights))
    return done


@pytest.mark.parametrize("text", PARTIAL)
def test_a_denial_of_some_is_none_of_all_and_a_direction_no_place(text: str) -> None:
    done = checked("street", text)
    assert (done.final, refuted(done)) == (text, [])
    placed = [v for v in done.verdicts if v.claim.kind == "relation"]
    assert done.unread or placed or decided(done) is not True


@pytest.mark.parametrize(("text", "name"), UNSAID)
def test_what_is_no_thing_of_this_picture_is_not_read(text: str, name: str) -> None:
    done = checked("kitchen", text)
    seen = [v.claim.subject for v in done.verdicts if v.claim.kind == "existence"]
    assert name not in seen
    assert (done.final, refuted(done)) == (text, [])
    assert done.unread or decided(done) is None


@pytest.mark.parametrize(("text", "true"), PLAIN)
def test_what_is_plainly_said_is_decided(text: str, true: bool) -> None:
    done = checked("kitchen", text)
    assert bool(refuted(done)) is not true
    supported = [v for v in done.verdicts if v.verdict == "supported"]
    assert supported or not true


def test_what_another_one_is_like_is_not_read_as_the_first() -> None:
    done = checked("street", "There is a yellow car on the right and a red one on the left.")
    assert read_of(done) == {"car", "yellow car"}
    assert [v.verdict for v in done.verdicts if v.claim.value == "centre"] == ["supported"]
    assert done.unread
