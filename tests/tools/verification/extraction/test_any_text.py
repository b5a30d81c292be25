"""Any words in any order are read: no text hangs the reader or breaks it."""

from random import Random

import pytest

from nuthatch.tools.verification.editing.edits import make_edits, replay
from nuthatch.tools.verification.extraction.claims import read_claims
from nuthatch.tools.verification.extraction.parsing import read
from nuthatch.tools.verification.rules import POLICIES
from nuthatch.tools.verification.types import Verdict
from nuthatch.tools.workers import run_in_process

WORDS = r"""
    there is are a the dog dogs cup cups no not neither nor and or 3 two red blue left of
    on in with without that which it they shows see hear sounds like bigger than really
    only if could says sign none all each yes picture image table object number clock
    ticking makes barking from behind next to at least more between except instead free
    lacks missing , . : - | * # ` ( ) "open" = => ** isn't don't
""".split()  # noqa: SIM905
WORDS.append("\n")
QUESTIONS = [None, "How many cups are there?", "What do you hear?", "What does the sign say?"]


def texts(seed: int) -> list[str]:
    random = Random(seed)
    found = []
    for _ in range(150):
        words = random.choice([WORDS, random.sample(WORDS, 3), random.sample(WORDS, 8)])
        found.append(" ".join(random.choices(words, k=random.randint(3, 120))))
    return found


def corrected(seed: int) -> int:
    """How many texts were read and edited, with verdicts at random."""
    random = Random(seed)
    for text in texts(seed):
        reading = read_claims(text, random.choice(QUESTIONS), writing=random.random() < 0.5)
        verdicts = [
            Verdict(claim=claim, verdict="refuted", probability=0.01, rule="x", correction=value)
            for claim in reading.claims
            if (value := random.choice(["3", "0", "red", "left of", "a bell ringing", None]))
        ]
        verdicts += [
            Verdict(claim=claim, verdict="supported", probability=0.99, rule="x")
            for claim in reading.claims
            if claim.id not in {verdict.claim.id for verdict in verdicts}
        ]
        read_claims(replay(text, make_edits(reading, verdicts, POLICIES["conservative"])))
        assert all(0 <= first < last <= len(text) for first, last in reading.unread)
    return len(texts(seed))


@pytest.mark.parametrize("seed", range(3))
def test_words_in_any_order_are_read_and_edited(seed: int) -> None:
    assert run_in_process(corrected, seed, timeout=60) == 150


@pytest.mark.parametrize(
    "text",
    ["The dog is bigger, than the cat.", "A dog, like a cat.", "|", "| dog", "|-|", "| |\n"],
)
def test_a_text_is_read_to_its_end(text: str) -> None:
    assert run_in_process(_sentences, text, timeout=20) >= 1


def _sentences(text: str) -> int:
    return len(read(text).sentences)
