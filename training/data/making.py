"""Dialogues that make something: pictures from words, numbers from expressions."""

from typing import Any

from nuthatch.training.data import faults
from nuthatch.training.data.paraphrase import quote, reword
from nuthatch.training.data.regions import lacks, made
from nuthatch.training.data.sample import Draw
from nuthatch.training.data.talk import NUMBERS, Talk
from nuthatch.training.data.words import description, known, noun, world_noun

_SPOKEN = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}
SPOKEN = 0.15
"""Share of expressions said in words, which the call writes in signs."""
STORIES = 0.08


def generate(talk: Talk) -> None:
    """ "Draw a cat on a chair." """
    if talk.draw.chance(0.08):
        talk.show()
    text = description(talk.draw, talk.held.words)
    slots: dict[str, Any] = {"prompt": quote(text, "text")}
    extra: dict[str, int] = {}
    also = ""
    match talk.draw.choices(range(4), (70, 10, 10, 10))[0]:
        case 1:
            extra = {"width": _side(talk.draw), "height": _side(talk.draw)}
            said = {name: str(value) for name, value in extra.items()}
            also = reword(talk.draw, "with size", said, talk.held)
        case 2:
            extra = {"seed": talk.draw.randrange(10 ** talk.draw.randint(1, 4))}
            also = reword(talk.draw, "with seed", {"number": str(extra["seed"])}, talk.held)
        case 3:
            extra = {"n": talk.draw.randint(2, 4)}
            word = NUMBERS[extra["n"]] if talk.draw.chance(0.5) else str(extra["n"])
            also = reword(talk.draw, "with number", {"n": word}, talk.held)
        case _:
            pass
    wording = talk.ask("generate", slots, also=also)
    if lacks(talk, "make pictures"):
        return
    call = ("generate_image", {"prompt": wording.quoted["text"][0], **extra})
    made(talk, call, extra.get("n", 1), extra)


def _side(draw: Draw) -> int:
    return draw.choice((64, 128, 256, 320, 384, 480, 512, 640, 768, 1024))


def calculate(talk: Talk) -> None:
    """ "What is 3 * (4 + 5)?" """
    if talk.draw.chance(0.08):
        talk.show()
    expression = said = formula(talk.draw)
    way = talk.draw.random()
    if way < STORIES and not talk.held.branches:
        said, expression = story(talk.draw)
        talk.user(said)
        talk.branches.append("calculate.story")
    elif way < STORIES + SPOKEN:
        said, expression = _in_words(talk.draw)
        talk.ask("calculate", {"expression": said}, wraps=True)
    else:
        wording = talk.ask("calculate", {"expression": quote(said, "text")})
        expression = wording.quoted["text"][0]
    if not talk.armed:
        talk.say("I have no tool to calculate.")
        return
    result = faults.attempt(talk, ("calculate", {"expression": expression}))
    if result is None:
        return
    if result.fault is not None:
        talk.say(f"I could not calculate it: {result.fault.message}.")
        return
    value: Any = result.value
    talk.say(f"{expression} = {spoken_number(value.value)}.")


def spoken_number(value: float) -> str:
    """As the observation writes it: whole numbers whole, others with two digits."""
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def formula(draw: Draw) -> str:
    """`3 * (4 + 5)`; one in fifty divides by zero."""
    space = draw.choice((" ", " ", ""))
    if draw.chance(0.02):
        return space.join((str(draw.randint(1, 99)), "/", "0"))
    if draw.chance(0.1):
        name = draw.choice(("sqrt", "abs", "round", "max", "min"))
        inner = _operand(draw)
        if name in ("max", "min"):
            inner = f"{inner}, {_operand(draw)}"
        return f"{name}({inner})"
    parts = [_operand(draw)]
    for _ in range(draw.choices((1, 2, 3), (60, 28, 12))[0]):
        sign = draw.choices(("+", "-", "*", "/", "**", "//", "%"), (30, 22, 24, 16, 3, 2, 3))[0]
        parts += [sign, str(draw.randint(2, 3)) if sign == "**" else _operand(draw)]
    if len(parts) >= 5 and "**" not in parts and draw.chance(0.5):
        start = draw.choice(range(0, len(parts) - 2, 2))
        parts[start] = f"({parts[start]}"
        parts[start + 2] = f"{parts[start + 2]})"
    return space.join(parts)


def _operand(draw: Draw) -> str:
    way = draw.random()
    if way < 0.2:
        return str(round(draw.uniform(0.1, 99), draw.choice((1, 2))))
    return str(draw.randint(1, 10 ** draw.choice((1, 2, 2, 3, 4))))


def _in_words(draw: Draw) -> tuple[str, str]:
    """`12 plus 7` and `12 + 7`."""
    parts = [str(draw.randint(1, 500))]
    signs: list[str] = []
    for _ in range(draw.choices((1, 2), (80, 20))[0]):
        signs.append(draw.choice(list(_SPOKEN)))
        parts.append(str(draw.randint(1, 500)))
    said, formula = parts[0], parts[0]
    for sign, number in zip(signs, parts[1:], strict=True):
        said += f" {_SPOKEN[sign]} {number}"
        formula += f" {sign} {number}"
    return said, formula


def story(draw: Draw) -> tuple[str, str]:
    """A little sum in words, and its expression."""
    one = world_noun(draw) if draw.chance(0.5) else noun(draw, longest=1)
    many, box = one.many, known(draw.choice(("box", "bag", "basket", "crate", "shelf")))
    a, b = draw.randint(2, 90), draw.randint(2, 60)
    c = draw.randint(2, min(a, 40))
    return draw.choice(
        (
            (f"I have {a} {many} and buy {b} more. How many do I have?", f"{a} + {b}"),
            (f"There were {a} {many} and {c} are gone. How many are left?", f"{a} - {c}"),
            (f"{a} {box.many} hold {b} {many} each. How many {many} is that?", f"{a} * {b}"),
            (f"{a * c} {many} are shared by {c} people. How many for each?", f"{a * c} / {c}"),
            (f"One {one.one} costs {a} euros. What do {b} cost?", f"{b} * {a}"),
            (f"I had {a} {many}, sold {c} and got {b} new ones. How many now?", f"{a} - {c} + {b}"),
        )
    )
