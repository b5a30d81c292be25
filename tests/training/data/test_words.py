"""Argument words: what is held out stays out, and blends are words of no list."""

from nuthatch.tools.vocabulary import canonical
from nuthatch.training.data import words
from nuthatch.training.data.sample import Draw


def test_a_blend_begins_as_one_word_and_ends_as_another():
    lists = words.words("nouns")
    for index in range(100):
        blended = words.blend(Draw.of("blend", index), "nouns")
        assert any(blended.startswith(word[:2]) for word in lists)
        assert any(blended.endswith(word[-2:]) for word in lists)
        assert canonical(blended) is None
        assert not any(blended in words.read(kind) for kind in ("nouns", "adjectives", "common"))
        assert not words.held_out(blended)


def test_a_third_of_the_words_of_training_are_blends_and_none_where_words_are_held_out():
    listed = {*words.read("nouns"), *words.read("adjectives")}
    drawn = {
        held: [words.noun(Draw.of("noun", index), held, longest=2).one for index in range(400)]
        for held in (False, True)
    }
    strange = {
        held: sum(any(w not in listed and not canonical(w) for w in each.split()) for each in given)
        for held, given in drawn.items()
    }
    assert 80 < strange[False] < 240
    assert strange[True] == 0
