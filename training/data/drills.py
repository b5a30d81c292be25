"""Drills: copying, lists, counting what an observation names again and again."""

from collections.abc import Callable
from typing import Any

from nuthatch.training.data.looking import of
from nuthatch.training.data.paraphrase import quote
from nuthatch.training.data.sample import Draw
from nuthatch.training.data.talk import NUMBERS, ORDINALS, Talk, known_nouns, number_of
from nuthatch.training.data.words import (
    any_word,
    code,
    description,
    made_up,
    some_words,
    world_noun,
)


def repeat(talk: Talk) -> None:
    """ "Repeat: morning lantern 42": words, codes, numbers, descriptions."""
    held = talk.held.words
    draw = talk.draw
    makers: tuple[Callable[[], str], ...] = (
        lambda: some_words(draw, held, 1, 10),
        lambda: some_words(draw, held, 1, 4),
        lambda: description(draw, held),
        lambda: " ".join(code(draw) for _ in range(draw.randint(1, 3))),
        lambda: " ".join(made_up(draw) for _ in range(draw.randint(1, 4))),
        lambda: " ".join(str(draw.randrange(1000)) for _ in range(draw.randint(1, 6))),
        lambda: ", ".join(any_word(draw, held) for _ in range(draw.randint(2, 5))),
    )
    said = talk.ask("repeat", {"words": quote(draw.choice(makers)(), "text")}, wraps=False)
    talk.say(said.quoted["text"][0])


def nth_word(talk: Talk) -> None:
    """ "What is the second word of ...?" """
    words = _words(talk.draw, talk.held.words, 2, 6)
    place = talk.draw.randrange(len(words))
    marked = " ".join(quote(each, "word") for each in words)
    said = talk.ask("nth word", {"nth": ORDINALS[place], "list": marked}, wraps=False)
    talk.say(f"{said.quoted['word'][place]}.")


def in_list(talk: Talk) -> None:
    """ "Is cup in this list?" """
    words = _words(talk.draw, talk.held.words, 2, 8)
    there = talk.draw.chance(0.5)
    item = talk.draw.choice(words) if there else any_word(talk.draw, talk.held.words)
    there = item in words
    talk.ask("in list", {"item": item, "list": ", ".join(words)}, wraps=False)
    talk.say("Yes, it is in the list." if there else "No, it is not in the list.")


def count_list(talk: Talk) -> None:
    """ "How often is cup in this list?" """
    words = _words(talk.draw, talk.held.words, 2, 4)
    item, times = words[0], talk.draw.randint(0, 5)
    listed = words[1:] + [item] * times
    listed += talk.draw.choices(words[1:], k=talk.draw.randint(0, 2))
    talk.draw.shuffle(listed)
    talk.ask("count list", {"item": item, "list": ", ".join(listed)}, wraps=False)
    talk.say(f"{_capital(NUMBERS[times] if times else 'zero')}.")


def list_length(talk: Talk) -> None:
    """ "How many words are in this list?" """
    words = _words(talk.draw, talk.held.words, 1, 8)
    talk.ask("list length", {"list": ", ".join(words)}, wraps=False)
    talk.say(f"{_capital(NUMBERS[len(words)])}.")


def observed(talk: Talk) -> None:
    """Several labels in one observation, and a question about each."""
    draw = talk.draw
    image = talk.show()
    there = list(talk.layout(image).counts())
    things = [*known_nouns(draw, talk.layout(image), most=2)]
    for name in draw.sample(there, min(2, len(there))):
        if name not in [each.category for each in things]:
            things.append(world_noun(draw, name))
    draw.shuffle(things)
    talk.user(f"Find {', '.join(each.many for each in things)}.")
    labels = [each.many for each in things]
    (result,) = talk.call(("detect", {"image": image, "labels": labels}))
    value: Any = result.value
    numbers = [(each, len(of(each, value.detections))) for each in things]
    talk.say(f"I found {', '.join(number_of(n, each) for each, n in numbers)}.")
    draw.shuffle(numbers)
    for thing, number in numbers[:2]:
        talk.ask("how many found", {"many": thing.many}, wraps=False)
        be = "is" if number == 1 else "are"
        talk.say(f"There {be} {number_of(number, thing)}.")


def _words(draw: Draw, held: bool, low: int, high: int) -> list[str]:
    """Different words."""
    found: dict[str, None] = {}
    number = draw.randint(low, high)
    while len(found) < number:
        found[any_word(draw, held)] = None
    return list(found)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
