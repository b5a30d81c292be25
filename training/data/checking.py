"""Dialogues that check or correct what somebody said about a picture or a sound."""

from collections.abc import Callable
from typing import Any

from nuthatch.training.data import faults, statements
from nuthatch.training.data.paraphrase import quote, reword
from nuthatch.training.data.regions import lacks
from nuthatch.training.data.talk import Talk
from nuthatch.training.data.words import listed

POLICIES = ("conservative", "balanced", "strict")
_QUESTIONS = (
    *("How many are there?", "What is in the picture?", "What do you see?", "What can you hear?"),
    *("Is there anything here?", "What does it show?", "What colour is it?", "Where is it?"),
)
Statements = list[statements.Statement]


def verify(talk: Talk) -> None:
    """ "Is this right: there are two cups." """
    asked = _ask(talk, "verify")
    if lacks(talk, "check answers"):
        return
    made, call = asked
    told = statements.report(talk.draw, _next(talk), call[1]["answer"], made)
    if faults.attempt(talk, call, told) is not None:
        talk.say(verdict(made))


def correct(talk: Talk) -> None:
    """ "Correct this: there are two cups." """
    asked = _ask(talk, "correct")
    if lacks(talk, "correct answers"):
        return
    made, call = asked
    told = statements.correction(talk.draw, _next(talk), call[1]["answer"], made)
    if faults.attempt(talk, call, told) is not None:
        talk.say(told.final if told.edits else _unchanged(made))


def _unchanged(made: Statements) -> str:
    if all(each.verdict == "supported" for each in made):
        return "Nothing has to be changed."
    return f"I changed nothing. {verdict(made)}"


def verdict(made: Statements) -> str:
    """What is said of the statements that were judged."""
    if all(each.verdict == "supported" for each in made):
        return "Yes, that is right."
    wrong = [
        f'"{each.said}" is wrong; it is {each.truth}' for each in made if each.verdict == "refuted"
    ]
    open_ = [f'"{each.said}"' for each in made if each.verdict == "not_enough_evidence"]
    said = [f"No, {', and '.join(wrong)}."] if wrong else []
    said += [f"I could not decide on {listed(open_)}."] if open_ else []
    return " ".join(said)


def _ask(talk: Talk, intent: str) -> tuple[Statements, tuple[str, dict[str, Any]]]:
    image = talk.show() if talk.draw.chance(0.85) else None
    audio = talk.play() if image is None or talk.draw.chance(0.15) else None
    layout = talk.layout(image) if image else None
    events = talk.house.sounds[audio].events if audio else ()
    made = statements.statements(talk.draw, layout, events, talk.held.words)
    answer = " ".join(each.sentence for each in made)
    slots: dict[str, Any] = {**talk.mentions(image, audio), "answer": _said(talk, answer)}
    if len(made) == 1:
        bare = answer[:-1] if answer.startswith("I ") else f"{answer[0].lower()}{answer[1:-1]}"
        slots["claim"] = quote(bare, "text")
    also, extra = _extra(talk)
    wording = talk.ask(intent, slots, also=also, wraps=False)
    arguments: dict[str, Any] = {"answer": wording.quoted["text"][0]}
    if "second" in wording.quoted:
        arguments["question"] = wording.quoted["second"][0]
    if image:
        arguments["image"] = image
    if audio:
        arguments["audio"] = audio
    return made, (f"{intent}_answer", {**arguments, **extra})


def _said(talk: Talk, answer: str) -> Callable[[], str]:
    def said() -> str:
        marked = quote(answer, "text")
        return talk.draw.choices((f'"{marked}"', f"'{marked}'", marked), (75, 10, 15))[0]

    return said


def _extra(talk: Talk) -> tuple[str, dict[str, str]]:
    way = talk.draw.random()
    if way < 0.08:
        policy = talk.draw.choice(POLICIES)
        return reword(talk.draw, "with policy", {"policy": policy}, talk.held), {"policy": policy}
    if way < 0.16:
        question = talk.draw.choice(_QUESTIONS)
        said = f'"{quote(question, "second")}"'
        return reword(talk.draw, "with question", {"question": said}, talk.held), {}
    return "", {}


def _next(talk: Talk) -> str:
    return f"call_{1 + sum(m['role'] == 'tool' for m in talk.messages)}"
