import pytest
import torch

from nuthatch.tools.verification.types import Claim, Correction, Verdict
from nuthatch.training.evaluate import core_checked
from nuthatch.training.evaluate.core_alone import CAPTION
from nuthatch.training.evaluate.writer import Truth
from nuthatch.training.world.company import Company
from nuthatch.training.world.scenes import make_scene

SCENES = [make_scene(seed, "test") for seed in range(3)]
COMPANY = Company.of(list(make_scene(seed).counts()) for seed in range(40))


class Speaker:
    """Always says yes."""

    def see(self, pictures):
        return torch.zeros(len(pictures), 2, 3)

    def answers(self, asked):
        return ["There is a cup." if text == CAPTION else "Yes." for text, _ in asked]


class Verifier:
    """Always says no, and remembers what it was asked."""

    def correct_many(self, items):
        self.items = items
        claim = Claim(
            id="c", text="", span=(0, 3), kind="existence", subject="cup", predicate="exists"
        )
        verdict = Verdict(claim=claim, verdict="refuted", probability=0.1, rule="existence.absent")
        return [
            Correction(
                draft=item.answer, revised="No.", final="No.", choice="revised", choice_reason="",
                edits=[], verdicts=[verdict],
            )
            for item in items
        ]  # fmt: skip


def test_answers_stand_before_and_after_the_verifier():
    verifier = Verifier()
    rows = core_checked.check(Speaker(), SCENES, verifier, COMPANY)
    assert len(rows) == len(SCENES)
    for row, scene in zip(rows, SCENES, strict=True):
        assert row["counts"] == scene.counts()
        assert all(each["core"] is True and each["verified"] is False for each in row["pope"])
        assert row["pope"][0]["verdicts"] == [("existence.absent", "refuted")]
        assert row["caption"] == ["cup"]
        assert row["caption_verified"] == []
    captions = [item for item in verifier.items if item.question is None]
    assert [item.answer for item in captions] == ["There is a cup."] * len(SCENES)
    assert all(item.picture is not None for item in verifier.items)


@pytest.mark.parametrize(
    ("caption", "facts"),
    [
        ("There is a cup.", [("existence", "cup", "a cup", True)]),
        (
            "There are two cups and a dog.",
            [
                ("count", "cup", "two", True),
                ("existence", "cup", "two cups", True),
                ("existence", "dog", "a dog", False),
            ],
        ),
        (
            "There are 3 pairs of scissors.",
            [
                ("count", "scissors", "3", False),
                ("existence", "scissors", "3 pairs of scissors", True),
            ],
        ),
        ("There is no dog.", []),
    ],
)
def test_a_caption_states_things_and_numbers(caption, facts):
    phrase = core_checked.facts_of(caption, Truth({"cup": 2, "scissors": 1}))
    found = [(f.kind, f.subject, caption[slice(*f.span)], f.right) for f in phrase.facts]
    assert found == facts
