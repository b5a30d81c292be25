"""Turns that need no tool: greetings, what the planner can do, what the text itself answers."""

from nuthatch.training.data import words
from nuthatch.training.data.paraphrase import Slots, quote, reword
from nuthatch.training.data.talk import NUMBERS, Talk, thing_slots
from nuthatch.training.data.words import Noun, listed, noun, some_words

WHO = "I am Nuthatch, a model that looks, listens and calls tools."
OUT_OF_REACH = "I cannot help with that. I can help with pictures, sounds and tools."
NO_PICTURE = "I have no picture to look at. Please give me one."
NO_SOUND = "I have no recording to listen to. Please give me one."


def greet(talk: Talk) -> None:
    """ "Hello!" """
    if talk.draw.chance(0.2):
        talk.show()
    held = talk.held.words
    slots = {
        "name": quote(talk.draw.choice(words.names("people", held)), "word"),
        "city": talk.draw.choice(words.names("cities", held)),
    }
    said = talk.ask("greet", slots, wraps=False)
    name = said.quoted.get("word")
    talk.say(f"Hello, {name[0]}! How can I help you?" if name else "Hello! How can I help you?")


def thank(talk: Talk) -> None:
    """ "Thank you!", or "bye" """
    if talk.draw.chance(0.7):
        talk.ask("thanks", {}, wraps=False)
        talk.say("You are welcome.")
    else:
        talk.ask("bye", {}, wraps=False)
        talk.say("Goodbye!")


def capabilities(talk: Talk) -> None:
    """ "What can you do?": the tools, by name, as they are offered."""
    if talk.draw.chance(0.3):
        talk.show()
    talk.ask("capabilities", {}, wraps=talk.draw.chance(0.3))
    if not talk.tools:
        talk.say("I can answer questions about pictures and sounds.")
        return
    talk.say(f"I can look, listen and use these tools: {listed(list(talk.tools))}.")


def who(talk: Talk) -> None:
    """ "Who are you?" """
    talk.ask("who", {}, wraps=talk.draw.chance(0.3))
    talk.say(WHO)


def opinion(talk: Talk) -> None:
    """ "Do you like cats?", "I bought a new lamp yesterday." """
    if talk.draw.chance(0.3):
        talk.show()
    one, other = noun(talk.draw, talk.held.words, longest=2), noun(talk.draw, longest=2)
    slots = {
        "one": one.one,
        "many": one.many,
        "other": other.many,
        "city": talk.draw.choice(words.names("cities", talk.held.words)),
        "day": talk.draw.choice(words.names("days")),
    }
    talk.ask("opinion", slots, wraps=False)
    talk.say(OUT_OF_REACH)


def blind(talk: Talk) -> None:
    """A question about a picture or a sound that was never given."""
    deaf = talk.draw.chance(0.25)
    if deaf:
        intent = talk.draw.choice(("tag sound", "transcribe"))
        slots: Slots = {
            "sound": reword(talk.draw, "sound", {}),
            "in_sound": reword(talk.draw, "in sound", {}),
        }
    else:
        intent = talk.draw.choice(("count", "exist", "detect", "caption", "colour", "segment"))
        asked = words.nouns(talk.draw, talk.held.words, most=2)
        slots = {
            **thing_slots(talk.draw, asked),
            "image": reword(talk.draw, "picture", {}),
            "in": talk.draw.choice(("", reword(talk.draw, "in picture", {}))),
        }
    talk.ask(intent, slots)
    talk.say(NO_SOUND if deaf else NO_PICTURE)


def dead_handle(talk: Talk) -> None:
    """A picture is named that is not there."""
    number = talk.draw.randint(1, 3)
    for _ in range(number):
        talk.show()
    handle = f"image_{number + talk.draw.randint(1, 3)}"
    intent = talk.draw.choice(("count", "exist", "detect", "caption", "segment", "crop"))
    asked = words.nouns(talk.draw, talk.held.words, most=2)
    slots = {**thing_slots(talk.draw, asked), "image": handle, "in": f"in {handle}"}
    talk.ask(intent, slots, about=handle)
    talk.say(f"There is no {handle}.")


def told(talk: Talk) -> None:
    """Facts in the text, and a question that they answer; a picture beside them is no help."""
    draw, held = talk.draw, talk.held.words
    if draw.chance(0.25):
        talk.show()
    people = draw.sample(words.names("people", held), 3)
    things = _different(talk, draw.randint(1, 3))
    kind = draw.choice(("number", "place", "kind"))
    others = _different(talk, len(things), [*things])
    facts, answers = [], []
    for person, thing, other in zip(people, things, others, strict=False):
        number = draw.randint(2, 10)
        place = draw.choice(("near", "behind", "under", "next to", "in front of"))
        adjective = draw.choice(words.words("adjectives", held))
        said = NUMBERS[number] if draw.chance(0.5) else str(number)
        slots = {
            **{"person": person, "number": said, "many": thing.many, "one": thing.one},
            **{"other": other.one, "place": place, "adjective": adjective},
        }
        facts.append(reword(draw, f"fact {kind}", slots))
        owner = draw.chance(0.35)
        answers.append(
            {
                "number": ("ask owner", f"{person}.", slots)
                if owner
                else ("ask number", f"{person} has {said} {thing.many}.", slots),
                "place": ("ask place", f"The {thing.one} is {place} the {other.one}.", slots),
                "kind": ("ask kind", f"The {thing.one} is {adjective}.", slots),
            }[kind]
        )
    intent, answer, slots = draw.choice(answers)
    question = reword(draw, intent, slots, talk.held)
    talk.branches.append(intent)
    sentences = [*facts, question if question[-1] in "?." else f"{question}."]
    talk.user(" ".join(text[0].upper() + text[1:] for text in sentences))
    talk.say(answer)


def _different(talk: Talk, number: int, others: list[Noun] | None = None) -> list[Noun]:
    """Things of different names, none a pair."""
    found: list[Noun] = []
    taken = {each.one for each in others or []}
    while len(found) < number:
        one = noun(talk.draw, talk.held.words, longest=1)
        if not one.pair and one.one != one.many and one.one not in taken:
            found.append(one)
            taken.add(one.one)
    return found


def recall(talk: Talk) -> None:
    """ "What did I ask first?", after some exchanges."""
    draw = talk.draw
    asked, answers = [], []
    for _ in range(draw.randint(1, 3)):
        way = draw.randrange(3)
        if way == 0:
            copied = some_words(draw, False, 1, 5)
            asked.append(talk.ask("repeat", {"words": quote(copied, "text")}).text)
            answers.append(copied)
        elif way == 1:
            asked.append(talk.ask("who", {}, wraps=False).text)
            answers.append(WHO)
        else:
            asked.append(talk.ask("thanks", {}, wraps=False).text)
            answers.append("You are welcome.")
        talk.say(answers[-1])
    kind = draw.choice(("first", "last", "answer"))
    talk.ask(f"recall {kind}", {}, wraps=False)
    talk.say(
        {"first": f'You said: "{asked[0]}"', "last": f'You said: "{asked[-1]}"'}.get(
            kind, f'I said: "{answers[-1]}"'
        )
    )
