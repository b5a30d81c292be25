from collections import Counter

import pytest

from nuthatch.tools.vocabulary import SOUNDS
from nuthatch.training.evaluate.repairs import holds
from nuthatch.training.evaluate.writer import Phrase, Truth, enumerate_phrases, fill, join, write
from nuthatch.training.world.company import Company
from nuthatch.training.world.scenes import make_scene

COMPANY = Company.of(list(make_scene(seed).counts()) for seed in range(60))
EVENTS = list(SOUNDS)


def written(number: int = 150, **options: float) -> list[tuple[Truth, Phrase]]:
    texts = []
    for seed in range(number):
        truth = Truth.of(make_scene(seed, "test"), EVENTS[seed % 11 : seed % 11 + seed % 3])
        texts.append((truth, write(truth, COMPANY, [seed], **options)))
    return texts


@pytest.fixture(scope="module")
def texts() -> list[tuple[Truth, Phrase]]:
    return written()


def test_every_fact_is_marked_as_the_scene_has_it(texts):
    for truth, text in texts:
        for fact in text.facts:
            words = text.text[slice(*fact.span)]
            assert holds(fact, words, truth) is fact.right, (text.text, fact)


def test_about_a_fifth_of_the_facts_of_each_kind_is_wrong(texts):
    facts = [fact for _, text in written(400) for fact in text.facts]
    shares = {}
    for kind, total in Counter(fact.kind for fact in facts).items():
        shares[kind] = sum(f.kind == kind and not f.right for f in facts) / total
        assert total > 80, kind
    assert all(0.12 < share < 0.28 for share in shares.values()), shares


def test_a_writer_that_never_errs_writes_only_true_facts():
    for truth, text in written(60, error_rate=0.0):
        assert all(fact.right for fact in text.facts)
        assert all(holds(fact, text.text[slice(*fact.span)], truth) for fact in text.facts)


def test_a_writer_that_always_errs_has_no_fact_right():
    facts = [fact for _, text in written(60, error_rate=1.0) for fact in text.facts]
    assert facts
    assert not any(fact.right for fact in facts)


def test_wrong_objects_are_those_that_keep_company_with_what_is_there(texts):
    strange = 0
    wrong = 0
    for truth, text in texts:
        for fact in text.facts:
            if fact.kind == "existence" and not fact.right:
                wrong += 1
                strange += COMPANY.expected(fact.subject, truth.counts) == 0
    assert wrong > 20
    assert strange / wrong < 0.2


def test_wrong_counts_are_off_by_one_or_two(texts):
    for truth, text in texts:
        for fact in text.facts:
            if fact.kind == "count" and not fact.right:
                assert fact.value is not None
                assert abs(int(fact.value) - truth.counts[fact.subject]) in (1, 2)


def test_sounds_are_written_of_only_where_there_is_a_clip(texts):
    for truth, text in texts:
        sounds = [fact for fact in text.facts if fact.kind == "sound"]
        assert len(sounds) == len(truth.events)


def test_a_text_does_not_contradict_itself(texts):
    for _, text in texts:
        named = [fact.subject for fact in text.facts if fact.kind == "existence"]
        denied = {fact.subject for fact in text.facts if fact.kind == "absence"}
        tinted = [fact.subject for fact in text.facts if fact.kind == "tint"]
        assert len(named) == len(set(named))
        assert not denied & set(named)
        assert len(tinted) == len(set(tinted))


def test_the_wording_varies(texts):
    openings = Counter(" ".join(text.text.split()[:3]) for _, text in texts)
    assert len(openings) > 5
    words = " ".join(text.text for _, text in texts).lower()
    assert all(f" {word} " in words for word in ("an", "three", "3", "some", "hear", "left of"))
    assert " a apple" not in words
    assert " a orange" not in words


def test_the_same_seed_writes_the_same_text():
    truth = Truth.of(make_scene(3, "test"))
    assert write(truth, COMPANY, [1]) == write(truth, COMPANY, [1])
    assert len({write(truth, COMPANY, [seed]).text for seed in range(10)}) > 5


def test_spans_move_with_the_words_around_them():
    truth = Truth({"cup": 2, "apple": 1}, relations={("cup", "left of", "apple")})
    text = write(truth, COMPANY, [0])
    inner = enumerate_phrases([Phrase("a cup"), Phrase("two spoons"), Phrase("a cake")])
    assert inner.text == "a cup, two spoons and a cake"
    outer = join([text, fill("there is {things}.", things=text)])
    half = len(text.facts)
    for first, second in zip(outer.facts[:half], outer.facts[half:], strict=True):
        a, b = (outer.text[slice(*fact.span)] for fact in (first, second))
        assert a.lower() == b.lower()
