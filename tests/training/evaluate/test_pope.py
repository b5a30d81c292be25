from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nuthatch.tools.vocabulary import CATEGORIES, THEMES
from nuthatch.training.evaluate.pope import (
    SETTINGS,
    Blind,
    Question,
    accuracy,
    ask,
    confusion,
    f1,
    official,
    strict,
    yes_ratio,
)
from nuthatch.training.world.company import Company

COMPANY = Company.of([["cup", "spoon", "cake"], ["cup", "spoon"], ["dog", "tree"], ["dog", "cat"]])
presences = st.lists(st.sampled_from(CATEGORIES), min_size=0, max_size=70, unique=True)


def negatives(*present: str, setting: str, seed: int = 0) -> list[str]:
    return [each.category for each in ask(present, COMPANY, setting, [seed]) if not each.label]


@given(presences, st.sampled_from(SETTINGS), st.integers(0, 9))
def test_questions_are_balanced_pairs_of_different_categories_and_true(present, setting, seed):
    questions = ask(present, COMPANY, setting, [seed])
    assert [each.label for each in questions] == [True, False] * (len(questions) // 2)
    assert all((each.category in present) == each.label for each in questions)
    assert len({each.category for each in questions}) == len(questions)
    # Fewer pairs, never an endless search, where too few categories are there or absent.
    assert len(questions) // 2 == min(3, len(present), len(CATEGORIES) - len(present))


def test_all_settings_ask_for_the_same_objects_that_are_there():
    asked = [
        [each.category for each in ask(THEMES["kitchen"], COMPANY, setting, [7]) if each.label]
        for setting in SETTINGS
    ]
    assert asked[0] == asked[1] == asked[2]


def test_positives_are_a_sample_and_not_the_first_three():
    asked = Counter(
        each.category
        for seed in range(60)
        for each in ask(THEMES["kitchen"], COMPANY, "random", [seed])
        if each.label
    )
    assert set(asked) == set(THEMES["kitchen"])


def test_popular_takes_the_most_frequent_that_is_absent():
    # Seen twice each: cup, dog, spoon; the alphabet decides among equals.
    assert negatives("cup", setting="popular") == ["dog"]
    assert set(negatives("cup", "dog", setting="popular")) == {"spoon", "cake"}


def test_adversarial_takes_what_keeps_company_with_the_positive():
    assert negatives("cup", setting="adversarial") == ["spoon"]
    assert negatives("dog", setting="adversarial") == ["cat"]


def test_adversarial_falls_back_to_chance_where_nothing_keeps_company():
    chosen = {negatives("guitar", setting="adversarial", seed=seed)[0] for seed in range(20)}
    assert len(chosen) > 5


def test_random_ignores_how_often_a_category_is_seen():
    chosen = Counter(negatives("cup", setting="random", seed=seed)[0] for seed in range(400))
    assert len(chosen) > 60


def test_questions_read_well():
    assert Question("random", "apple", True, "apple").text == "Is there an apple in the image?"
    assert "a pair of scissors" in Question("random", "scissors", True, "scissors").text


@pytest.mark.parametrize(
    ("answer", "by_official", "by_strict"),
    [
        ("Yes.", True, True),
        ("No.", False, False),
        ("No, there is no cup.", False, False),
        ("yes", True, True),
        ("There is not. Yes", False, None),
        ("", True, None),  # the released reading takes silence for a yes
        ("None that I can see.", True, None),
        ("Nowhere", True, None),
    ],
)
def test_answers_are_read_as_released_and_strictly(answer, by_official, by_strict):
    assert official(answer) is by_official
    assert strict(answer) is by_strict


def test_scores_of_a_hand_made_case():
    labels = [True, True, True, False, False, False]
    answers = [True, True, False, True, False, False]
    counts = np.array(confusion(labels, answers), float)
    assert counts.tolist() == [2, 1, 1, 2]
    assert f1(counts) == pytest.approx(2 / 3)
    assert accuracy(counts) == pytest.approx(4 / 6)
    assert yes_ratio(counts) == pytest.approx(0.5)


def test_always_yes_scores_two_thirds_on_a_balanced_set():
    counts = np.array(confusion([True, False] * 50, [True] * 100), float)
    assert f1(counts) == pytest.approx(2 / 3)
    assert yes_ratio(counts) == 1.0


def test_blind_answers_by_the_category_alone():
    blind = Blind.fit(
        [Question("popular", "cup", label, "cup") for label in (True, True, False)]
        + [Question("popular", "dog", label, "cup") for label in (True, False, False)]
    )
    assert blind.answer("cup")
    assert not blind.answer("dog")
    assert not blind.answer("never asked")
