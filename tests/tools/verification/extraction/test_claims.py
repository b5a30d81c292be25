"""What an answer claims, read from its words."""

import pytest

from nuthatch.tools.verification.extraction.claims import extract_claims, split_name
from nuthatch.tools.verification.extraction.text import Text
from nuthatch.tools.verification.types import Claim


def claims(answer: str, question: str | None = None) -> list[tuple[object, ...]]:
    """Kind, subject, predicate, value of each claim, and whether it is denied."""
    return [short(claim) for claim in extract_claims(answer, question)]


def short(claim: Claim) -> tuple[object, ...]:
    parts: tuple[object, ...] = (claim.kind, claim.subject)
    if claim.kind != "existence":
        parts += (claim.value,) if claim.predicate in ("count", "tint") else (claim.predicate,)
    if claim.kind in ("relation", "sound"):
        parts += (claim.value,)
    return parts if claim.polarity else (*parts, "denied")


def texts(answer: str, question: str | None = None) -> list[str]:
    return [claim.text for claim in extract_claims(answer, question)]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("There are three cups.", [("existence", "cup"), ("count", "cup", "3")]),
        ("There is a bell.", [("existence", "bell")]),
        ("I see 2 TVs.", [("existence", "tv"), ("count", "tv", "2")]),
        ("A pair of cups.", [("existence", "cup"), ("count", "cup", "2")]),
        ("A pair of scissors.", [("existence", "scissors")]),
        ("At least two dogs.", [("existence", "dog"), ("count", "dog", ">=2")]),
        ("2-3 apples.", [("existence", "apple"), ("count", "apple", "2-3")]),
        ("two or three apples", [("existence", "apple"), ("count", "apple", "2-3")]),
        ("between 2 and 4 cats", [("existence", "cat"), ("count", "cat", "2-4")]),
        ("more than 2 cats", [("existence", "cat"), ("count", "cat", ">=3")]),
        ("several mugs", [("existence", "cup"), ("count", "cup", ">=3")]),
        ("Some sofas.", [("existence", "couch")]),
        ("a group of people", [("existence", "person")]),
        ("Two of the cups.", [("existence", "cup")]),
        ("There is a blue cup.", [("existence", "cup"), ("attribute", "cup", "blue")]),
        ("The cup is grey.", [("existence", "cup"), ("attribute", "cup", "gray")]),
        ("An orange.", [("existence", "orange")]),
        ("The cup is orange.", [("existence", "cup"), ("attribute", "cup", "orange")]),
        ("An orange cup.", [("existence", "cup"), ("attribute", "cup", "orange")]),
        ("a hot dog", [("existence", "hot dog")]),
        ("a white cat", [("existence", "cat"), ("attribute", "cat", "white")]),
    ],
)
def test_things_numbers_and_tints_are_read(answer: str, expected: list[tuple[object, ...]]) -> None:
    assert claims(answer) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("The dog is left of the tree.", ("relation", "dog", "left of", "tree")),
        ("A dog stands to the left of a tree.", ("relation", "dog", "left of", "tree")),
        ("The dog is on the right side of the tree.", ("relation", "dog", "right of", "tree")),
        ("A kite over the tree.", ("relation", "kite", "above", "tree")),
        ("A kite under the tree.", ("relation", "kite", "below", "tree")),
        ("The dog is behind the tree.", ("relation", "dog", "behind", "tree")),
        ("To the left of the tree there is a dog.", ("relation", "dog", "left of", "tree")),
        ("The dog is on the left.", ("relation", "dog", "left of", "centre")),
        ("a dog at the top of the picture", ("relation", "dog", "above", "centre")),
        ("The red cup is above the blue cup.", ("relation", "red cup", "above", "blue cup")),
        ("The dog is not left of the tree.", ("relation", "dog", "left of", "tree", "denied")),
        ("There is no dog left of the tree.", ("relation", "dog", "left of", "tree", "denied")),
    ],
)
def test_places_are_read(answer: str, expected: tuple[object, ...]) -> None:
    assert [claim for claim in claims(answer) if claim[0] == "relation"] == [expected]


def test_a_second_place_has_the_same_subject() -> None:
    found = claims("The dog is left of the tree and above the cup.")
    assert ("relation", "dog", "above", "cup") in found


def test_places_behind_commas_are_those_of_some() -> None:
    found = claims("There are two cups, on the left, on the right.")
    assert ("relation", "cup", "left of", "centre") in found
    assert ("relation", "cup", "right of", "centre") in found


def test_a_list_before_the_verb_stands_there_as_a_whole() -> None:
    found = claims("The cup and the dog are left of the tree.")
    assert ("relation", "cup", "left of", "tree") in found
    assert ("relation", "dog", "left of", "tree") in found


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("All the cups are red.", ("attribute", "cup", "all tint", "red")),
        ("All of the cups are red.", ("attribute", "cup", "all tint", "red")),
        ("Every cup is red.", ("attribute", "cup", "all tint", "red")),
        ("Both cups are red.", ("attribute", "cup", "all tint", "red")),
        ("The cups are red.", ("attribute", "cup", "all tint", "red")),
        ("There are two cups. They are red.", ("attribute", "cup", "all tint", "red")),
        ("The cups are all orange.", ("attribute", "cup", "all tint", "orange")),
        ("Not all the cups are red.", ("attribute", "cup", "all tint", "red", "denied")),
        ("The cups are not all red.", ("attribute", "cup", "all tint", "red", "denied")),
        ("The cups are not red.", ("attribute", "cup", "tint", "red", "denied")),
        ("No cup is red.", ("attribute", "cup", "tint", "red", "denied")),
        ("None of the cups is red.", ("attribute", "cup", "tint", "red", "denied")),
        ("One of the cups is red.", ("attribute", "cup", "tint", "red")),
        ("All cups are left of the tree.", ("relation", "cup", "all left of", "tree")),
        ("The dogs are left of the tree.", ("relation", "dog", "all left of", "tree")),
        ("The dogs are not left of the tree.", ("relation", "dog", "left of", "tree", "denied")),
    ],
)
def test_what_is_said_of_all_is_no_claim_about_some(
    answer: str, expected: tuple[object, ...]
) -> None:
    said = [c for c in extract_claims(answer) if c.kind in ("attribute", "relation")]
    assert [(c.kind, c.subject, c.predicate, c.value) for c in said] == [expected[:4]]
    assert [c.polarity for c in said] == [len(expected) == 4]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("The left cup is blue.", ("attribute", "left cup", "blue")),
        ("The cup on the left is blue.", ("attribute", "cup on the left", "blue")),
        ("The cup that is on the left is red.", ("attribute", "cup that is on the left", "red")),
        ("The cup next to the tree is blue.", ("attribute", "cup next to the tree", "blue")),
        ("The other cup is red.", ("attribute", "other cup", "red")),
        ("Most of the cups are red.", ("attribute", "most cup", "red")),
        ("Two cups are red.", ("attribute", "2 cup", "red")),
        ("The left cup is above the tree.", ("relation", "left cup", "above", "tree")),
        ("The cup which is red is above it.", ("relation", "cup which is red", "above", "it")),
    ],
)
def test_what_is_said_of_one_of_several_is_no_claim_about_any(
    answer: str, expected: tuple[object, ...]
) -> None:
    assert expected in claims(answer)
    assert ("existence", "cup") in claims(answer)


@pytest.mark.parametrize("answer", ["The handle of the cup is red.", "There are no other cups."])
def test_what_is_said_of_something_else_is_no_claim(answer: str) -> None:
    assert {claim[0] for claim in claims(answer)} <= {"existence"}
    assert ("existence", "cup", "denied") not in claims(answer)


@pytest.mark.parametrize(
    ("answer", "question", "expected"),
    [
        ("A dog is barking.", None, ("sound", "dog", "sounds", "dog")),
        ("You can hear a bell ringing.", None, ("sound", "bell", "sounds", "bell")),
        ("The clock makes this sound.", None, ("sound", "clock", "sounds", "clock")),
        ("The sound is a siren.", None, ("sound", "truck", "sounds", "siren")),
        ("I hear an engine running.", None, ("sound", "motorcycle", "sounds", "engine")),
        ("There is a train whistle.", None, ("sound", "train", "sounds", "whistle")),
        ("I hear rain falling.", None, ("sound", "umbrella", "sounds", "rain")),
        ("A drum.", "What makes this sound?", ("sound", "drum", "sounds", "drum")),
        ("I don't hear a dog.", None, ("sound", "dog", "sounds", "dog", "denied")),
        ("Nobody hears a dog barking.", None, ("sound", "dog", "sounds", "dog", "denied")),
        ("No one can hear the dog.", None, ("sound", "dog", "sounds", "dog", "denied")),
        ("No dog can be heard barking.", None, ("sound", "dog", "sounds", "dog", "denied")),
        ("No dog is heard, but look!", None, ("sound", "dog", "sounds", "dog", "denied")),
        ("No ticking can be heard.", None, ("sound", "clock", "sounds", "clock", "denied")),
        ("The dog cannot be heard.", None, ("sound", "dog", "sounds", "dog", "denied")),
        ("A dog can be heard barking.", None, ("sound", "dog", "sounds", "dog")),
        ("The clock makes it.", "What makes this sound?", ("sound", "clock", "sounds", "clock")),
    ],
)
def test_sounds_are_read(answer: str, question: str | None, expected: tuple[object, ...]) -> None:
    assert [claim for claim in claims(answer, question) if claim[0] == "sound"] == [expected]


def test_who_makes_a_sound_that_was_told_is_heard_and_seen() -> None:
    found = claims("I hear a clock ticking; the dog makes it.")
    assert ("sound", "dog", "sounds", "dog") in found
    assert ("existence", "dog") in found
    assert not any(claim[0] == "other" for claim in found)


def test_what_makes_something_else_is_no_sound() -> None:
    for answer in ("The dog makes it.", "I hear a bell. The dog makes it nice."):
        assert ("sound", "dog", "sounds", "dog") not in claims(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "I hear a cat meowing, but I see no cat.",
        "The sound is a cat meowing. There are no cats.",
        "I hear a cat and there is no cat.",
    ],
)
def test_what_is_heard_and_not_seen_is_missed_by_the_eyes_only(answer: str) -> None:
    found = claims(answer, "Which object makes this sound?")
    assert ("sound", "cat", "sounds", "cat") in found
    assert ("existence", "cat", "denied") in found
    assert ("sound", "cat", "sounds", "cat", "denied") not in found


def test_what_is_only_heard_is_not_said_to_be_seen() -> None:
    assert ("existence", "bell") not in claims("You can hear a bell ringing.")
    assert ("existence", "dog") in claims("A dog is barking.")


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        ("Is there a giraffe?", "Yes.", [("existence", "giraffe")]),
        ("Is there a giraffe?", "No.", [("existence", "giraffe", "denied")]),
        ("Do you see any dogs?", "yes", [("existence", "dog")]),
        ("Is there a giraffe?", "No, there isn't.", [("existence", "giraffe", "denied")]),
        ("Is there a giraffe?", "Yes, there is a giraffe.", [("existence", "giraffe")]),
        ("How many cups are there?", "3", [("count", "cup", "3")]),
        ("How many cups are there?", "There are three.", [("count", "cup", "3")]),
        ("How many red cups are there?", "Two.", [("count", "red cup", "2")]),
        ("How many cups are there?", "None.", [("count", "cup", "0")]),
        ("What colour is the cup?", "Blue.", [("attribute", "cup", "blue")]),
        ("What color is the cup?", "It is blue.", [("attribute", "cup", "blue")]),
        ("Is the cup blue?", "No.", [("attribute", "cup", "blue", "denied")]),
        ("Is the dog left of the tree?", "Yes.", [("relation", "dog", "left of", "tree")]),
        ("Are there two dogs?", "Yes.", [("count", "dog", "2")]),
        ("Is a dog barking?", "Yes.", [("sound", "dog", "sounds", "dog")]),
        ("Is the left cup red?", "Yes.", [("attribute", "left cup", "red")]),
        (
            "Is the cup on the left blue?",
            "No.",
            [("attribute", "cup on the left", "blue", "denied")],
        ),
        ("What colour is the left cup?", "Blue.", [("attribute", "left cup", "blue")]),
        ("How many cups are on the left?", "Two.", [("count", "cup on the left", "2")]),
        (None, "Is there a cat? Yes.", [("existence", "cat")]),
    ],
)
def test_a_short_answer_takes_its_meaning_from_the_question(
    question: str | None, answer: str, expected: list[tuple[object, ...]]
) -> None:
    assert claims(answer, question) == expected


def test_where_and_what_is_there_are_answered_in_few_words() -> None:
    assert claims("Left of the laptop.", "Where is the cup?")[0] == (
        "relation", "cup", "left of", "laptop",
    )  # fmt: skip
    assert ("relation", "dog", "left of", "tree") in claims("A dog.", "What is left of the tree?")


@pytest.mark.parametrize(
    ("answer", "denied"),
    [
        ("There is no giraffe.", {"giraffe"}),
        ("There isn't a giraffe.", {"giraffe"}),
        ("I do not see any giraffes.", {"giraffe"}),
        ("A street without cars.", {"car"}),
        ("no cups, spoons or knives", {"cup", "spoon", "knife"}),
        ("There is no giraffe, but a cup.", {"giraffe"}),
        ("I don't see a dog or a cat, only a bird.", {"dog", "cat"}),
        ("The giraffe is not visible.", {"giraffe"}),
        ("The giraffe is absent.", {"giraffe"}),
        ("A giraffe is missing from the picture.", {"giraffe"}),
        ("The giraffe is not missing.", set()),
        ("The cup is missing a handle.", set()),
        ("The giraffe that eats isn't there.", set()),
        ("The picture lacks a clock.", {"clock"}),
        ("Without the giraffe, there is a cup.", {"giraffe"}),
        ("Not only a cup but a bell.", set()),
        ("There is no cup and there is a bell.", {"cup"}),
    ],
)
def test_a_negation_ends_where_its_clause_ends(answer: str, denied: set[str]) -> None:
    found = [claim for claim in extract_claims(answer) if claim.kind == "existence"]
    assert {claim.subject for claim in found if not claim.polarity} == denied
    assert found or not denied


def test_denying_a_special_thing_does_not_deny_the_thing() -> None:
    assert claims("There is no red cup.") == [("attribute", "cup", "red", "denied")]
    assert claims("There are not three cups.") == [("count", "cup", "3", "denied")]


@pytest.mark.parametrize(
    ("answer", "hedged"),
    [
        ("There may be a cup and a bell.", {"cup", "bell"}),
        ("There is a cup and possibly a bell.", {"bell"}),
        ("A cup, I think.", {"cup"}),
        ("I'm not sure there is a cup.", {"cup"}),
        ("There is a cup, but the bell is probably a drum.", {"drum"}),
    ],
)
def test_a_hedge_weakens_what_follows_it(answer: str, hedged: set[str]) -> None:
    found = extract_claims(answer)
    assert {claim.subject for claim in found if claim.hedged} == hedged
    assert all(claim.polarity for claim in found)


def test_about_three_is_a_hedged_number_of_certain_things() -> None:
    thing, number = extract_claims("There are about three cups.")
    assert (thing.hedged, number.hedged) == (False, True)


def test_spans_are_the_smallest_pieces_that_an_edit_would_replace() -> None:
    answer = "Two red cups stand left of the vase."
    assert texts(answer) == ["Two red cups", "Two", "red", "left of the vase", "the vase"]
    for claim in extract_claims(answer):
        assert answer[slice(*claim.span)] == claim.text


def test_only_the_first_mention_says_that_a_thing_is_there() -> None:
    found = extract_claims("There is a cup. The cup is red. I like the cup.")
    assert [claim.text for claim in found if claim.kind == "existence"] == ["a cup"]


def test_every_sentence_keeps_its_own_claims() -> None:
    answer = "Hello. There is a cup. What weather! It is red. Nothing here. There are two dogs."
    by_text = {claim.text: claim for claim in extract_claims(answer)}
    assert set(by_text) == {"a cup", "red", "two dogs", "two"}
    assert by_text["red"].subject == "cup"
    for claim in by_text.values():
        assert answer[slice(*claim.span)] == claim.text


def test_counts_tints_and_places_depend_on_what_they_are_said_of() -> None:
    by_id = {c.id: c for c in extract_claims("Two red cups are left of the tree.")}
    parents = {
        claim.kind: {by_id[parent].subject for parent in claim.depends_on}
        for claim in by_id.values()
    }
    assert parents == {
        "existence": set(), "count": {"cup"}, "attribute": {"cup"}, "relation": {"cup", "tree"},
    }  # fmt: skip


def test_what_is_said_of_it_depends_on_what_it_means() -> None:
    by_id = {c.id: c for c in extract_claims("There is a cup. It is red. It is left of the tree.")}
    for claim in by_id.values():
        if claim.kind in ("attribute", "relation"):
            assert "cup" in {by_id[parent].subject for parent in claim.depends_on}


def test_numbers_of_a_part_are_lower_bounds_of_the_whole() -> None:
    assert ("count", "cup", ">=2") in claims("Two cups are left of the tree.")
    assert ("count", "cup", "2") in claims("There are two cups in the picture.")
    parts = claims("There are two cups here. One cup is red.")
    assert ("count", "cup", ">=2") in parts
    assert ("count", "cup", ">=1") in parts


@pytest.mark.parametrize(
    ("answer", "subject"),
    [
        ("There is a wizard.", "wizard"),
        ("I see a cup and two wooden tables.", "table"),
        ("A dog house.", "dog house"),
        ("There are no wizards.", "wizard"),
    ],
)
def test_unknown_things_are_claims_too(answer: str, subject: str) -> None:
    assert subject in {claim.subject for claim in extract_claims(answer)}


def test_units_are_no_things() -> None:
    assert claims("I could not find out: detect did not end within 60 s.") == []
    assert claims("It took 2 minutes and 300 px.") == []


@pytest.mark.parametrize(
    ("answer", "unread"),
    [
        ("The blue cup is bigger than the red one.", "is bigger than the red one"),
        ("The dog sleeps.", "sleeps"),
        ("There are many cars.", "many"),
    ],
)
def test_what_nobody_reads_is_a_claim_of_its_own(answer: str, unread: str) -> None:
    assert [c.text for c in extract_claims(answer) if c.kind == "other"] == [unread]


@pytest.mark.parametrize(
    "answer",
    ["A cup.", "The dog is visible.", "The cup is red.", "A dog is barking.", "A cup and a dog."],
)
def test_what_is_read_is_not_claimed_twice(answer: str) -> None:
    assert "other" not in {c.kind for c in extract_claims(answer)}


def test_a_question_that_only_asks_for_assent_states() -> None:
    assert ("existence", "banana") in claims("There is a banana, isn't there?")
    assert claims("Is there a banana?") == []


def test_a_corner_is_two_places() -> None:
    found = claims("A dog at the top left and a cup in the bottom right corner of the picture.")
    assert [each for each in found if each[0] == "relation"] == [
        ("relation", "dog", "above", "centre"),
        ("relation", "dog", "left of", "centre"),
        ("relation", "cup", "below", "centre"),
        ("relation", "cup", "right of", "centre"),
    ]


def test_quoted_words_are_not_asserted() -> None:
    found = claims('The sign says "two cups" and there is a dog.')
    assert ("existence", "cup") not in found
    assert found[0][0] == "text"


def test_names_with_tints_come_apart() -> None:
    assert split_name("red traffic light") == ("red", "traffic light")
    assert split_name("orange") == (None, "orange")
    assert split_name("orange orange") == ("orange", "orange")


@pytest.mark.parametrize(
    "answer", ["", " ", "\n\n", "?!", "猫が二匹います。", "Кошка и собака", "''\"“"]
)
def test_strange_answers_claim_nothing(answer: str) -> None:
    assert extract_claims(answer, "How many dogs?") == []


@pytest.mark.parametrize(
    "piece",
    [
        "There is a cup left of the red tree and a wizard. ",
        "to the left of the tree and ",
        "a",
        "a ",
        "no ",
        "two or ",
        '"a" ',
        "\n",
        "it is left of it ",
        "猫",
    ],
)
def test_reading_takes_work_in_proportion_to_the_text(
    piece: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    plain = Text.lower

    def counted(self: Text, index: int) -> str:
        nonlocal looks
        looks += 1
        return plain(self, index)

    monkeypatch.setattr(Text, "lower", counted)

    def work(size: int) -> int:
        nonlocal looks
        looks = 0
        extract_claims(piece * (size // len(piece)), "How many dogs?")
        return looks

    assert work(32_000) < 6 * work(8_000) + 1000
