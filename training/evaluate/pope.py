"""POPE: polling questions about objects that are there and objects that are not.

After Li et al. 2023 (arXiv:2305.10355), with three traps of its released code closed: positives
are a seeded sample and not the first three, the choice of negatives ends whatever the vocabulary,
and an answer that is neither yes nor no is counted as such by the strict reading. No category of
the miniature world is a kind of another, so no negative needs a second look.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from nuthatch.tools.vocabulary import CATEGORIES, with_article
from nuthatch.training.evaluate.statistics import Numbers, divide
from nuthatch.training.world.company import Company

Setting = Literal["random", "popular", "adversarial"]
SETTINGS: tuple[Setting, ...] = ("random", "popular", "adversarial")
PAIRS = 3
"""Objects asked for that are there, and as many that are not, of a scene."""


@dataclass(frozen=True)
class Question:
    """Is there a `category`? `label` is the truth; a "no" was chosen against `positive_of`."""

    setting: Setting
    category: str
    label: bool
    positive_of: str

    @property
    def text(self) -> str:
        return asked_for(self.category)


def asked_for(category: str) -> str:
    """`Is there a cup in the image?`"""
    return f"Is there {with_article(category)} in the image?"


def ask(
    present: Collection[str], company: Company, setting: Setting, seed: Sequence[int]
) -> list[Question]:
    """Up to `PAIRS` pairs of a yes-question and a no-question, alternating.

    The positives depend on the seed alone, so the three settings ask for the same ones. Ties go to
    the name that comes first in the alphabet.
    """
    rng = np.random.default_rng(seed)
    there = sorted(set(present))
    positives = [there[i] for i in rng.permutation(len(there))[:PAIRS]]
    absent = sorted(set(CATEGORIES) - set(there))
    questions: list[Question] = []
    for positive in positives:
        if not absent:  # fewer pairs rather than an unbalanced set
            break
        negative = _negative(positive, absent, company, setting, rng)
        absent.remove(negative)
        questions.append(Question(setting, positive, True, positive))
        questions.append(Question(setting, negative, False, positive))
    return questions


def _negative(
    positive: str,
    absent: Sequence[str],
    company: Company,
    setting: Setting,
    rng: np.random.Generator,
) -> str:
    """`absent` is in alphabetical order, and `max` takes the first of equals."""
    if setting == "popular":
        return max(absent, key=lambda name: company.frequency.get(name, 0))
    if setting == "adversarial":
        beside = company.together.get(positive, {})
        nearest = max(absent, key=lambda name: beside.get(name, 0))
        if beside.get(nearest, 0):
            return nearest
    return absent[int(rng.integers(len(absent)))]


@dataclass(frozen=True)
class Blind:
    """Answers from the category alone, as it was labelled in other scenes: sight adds the rest."""

    says_yes: frozenset[str]

    @classmethod
    def fit(cls, questions: Iterable[Question]) -> Self:
        """Yes for the categories that were there in more than half of the questions about them."""
        votes: Counter[str] = Counter()
        for question in questions:
            votes[question.category] += 1 if question.label else -1
        return cls(frozenset(name for name, vote in votes.items() if vote > 0))

    def answer(self, category: str) -> bool:
        return category in self.says_yes


def official(answer: str) -> bool:
    """The released reading: no if "No", "not" or "no" is a word before the first full stop."""
    words = answer.split(".")[0].replace(",", "").split(" ")
    return not {"No", "not", "no"} & set(words)


def strict(answer: str) -> bool | None:
    """Yes or no by the first word; None for any other answer."""
    first = re.match(r"\W*(yes|no)\b", answer, re.IGNORECASE)
    return None if first is None else first[1].lower() == "yes"


def confusion(labels: Iterable[bool], answers: Iterable[bool]) -> list[int]:
    """True yes, false yes, false no, true no."""
    counts = Counter(zip(labels, answers, strict=True))
    return [counts[True, True], counts[False, True], counts[True, False], counts[False, False]]


def f1(counts: Numbers) -> Numbers:
    """Of yes, from summed `confusion` (..., 4)."""
    hits, false_yes, false_no = counts[..., 0], counts[..., 1], counts[..., 2]
    return divide(2 * hits, 2 * hits + false_yes + false_no)


def accuracy(counts: Numbers) -> Numbers:
    """Share of right answers, from summed `confusion` (..., 4)."""
    return divide(counts[..., 0] + counts[..., 3], counts.sum(axis=-1))


def yes_ratio(counts: Numbers) -> Numbers:
    """Share of yes among the answers, from summed `confusion` (..., 4)."""
    return divide(counts[..., 0] + counts[..., 1], counts.sum(axis=-1))
