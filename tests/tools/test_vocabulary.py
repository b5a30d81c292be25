import subprocess
import sys

import pytest

from nuthatch.tools.vocabulary import (
    CATEGORIES,
    SOUNDS,
    SYNONYMS,
    THEMES,
    canonical,
    counted,
    plural,
    singular,
    with_article,
)


@pytest.mark.parametrize("name", CATEGORIES)
def test_plural_and_singular_undo_each_other(name):
    assert singular(plural(name)) == name
    assert canonical(plural(name)) == name


@pytest.mark.parametrize("word", SYNONYMS)
def test_a_synonym_and_its_plural_name_the_same_category(word):
    assert canonical(word) == canonical(plural(word)) == SYNONYMS[word]
    assert SYNONYMS[word] in CATEGORIES


@pytest.mark.parametrize(
    ("one", "several"),
    [
        ("knife", "knives"),
        ("wine glass", "wine glasses"),
        ("person", "people"),
        ("sheep", "sheep"),
        ("mouse", "mice"),
        ("toothbrush", "toothbrushes"),
        ("bus", "buses"),
        ("strawberry", "strawberries"),
        ("toy", "toys"),
    ],
)
def test_plurals_are_english(one, several):
    assert plural(one) == several
    assert singular(several) == one


@pytest.mark.parametrize(
    ("phrase", "category"),
    [
        ("The Sofas", "couch"),
        ("an apple", "apple"),
        ("  traffic   signals ", "traffic light"),
        ("red cup", None),
        ("unicorn", None),
        ("", None),
    ],
)
def test_a_noun_phrase_names_a_category_or_none(phrase, category):
    assert canonical(phrase) == category


def test_articles_and_counts_read_well():
    assert with_article("orange") == "an orange"
    assert with_article("cup") == "a cup"
    assert with_article("scissors") == "a pair of scissors"
    assert counted(1, "bus") == "1 bus"
    assert counted(0, "teddy bear") == "0 teddy bears"


def test_themes_and_sounds_speak_of_known_categories():
    assert {name for members in THEMES.values() for name in members} == set(CATEGORIES)
    assert {sound.object for sound in SOUNDS.values()} <= set(CATEGORIES)


def test_the_vocabulary_needs_no_torch():
    code = "import sys, nuthatch.tools.vocabulary; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
