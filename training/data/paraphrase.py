"""A grammar of requests: every intent in twenty and more forms, whole branches of it held out.

`frames/*.txt` hold the forms, one a line, under `[intent]`; those after `- held out` are of other
verbs and shapes, and training never shows them. `( a | b )` chooses, `[ a ]` may be left out (and
both nest), `{slot}` is filled by the caller, `{verb}` with a verb that says little: what is asked
for must be understood from the rest. A line that ends with `?` asks, one that ends with `.`
tells, any other bids; what may stand around it (`[wrap ask]` and so on) depends on that.

What a call must copy from the user's words is marked where it is written (`quote`), so that the
copy is exact whatever happened to the sentence: capitals, slips of the keyboard, punctuation.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Literal

from nuthatch.training.data import words
from nuthatch.training.data.sample import TRAINING, Draw, Held

Slot = str | Callable[[], str]
Slots = Mapping[str, Slot]
Mood = Literal["ask", "tell", "do"]

_FOLDER = Path(__file__).parent / "frames"
_KEYS = ("labels", "text", "number", "second", "option", "word")
"""What marked words are: their places in the private area of Unicode."""
_OPEN = {key: chr(0xE000 + index) for index, key in enumerate(_KEYS)}
_CLOSE = chr(0xE0FF)
_PLACES = {"in", "inside", "image", "sound", "in_sound", "inside_sound"}
_MARKED = re.compile(f"([{_OPEN[_KEYS[0]]}-{_OPEN[_KEYS[-1]]}])([^{_CLOSE}]*){_CLOSE}")
_MARKS = re.compile(f"[{chr(0xE000)}-{_CLOSE}]")
_DOUBLED = re.compile(rf"([.?!]{_CLOSE}?[\"']?) ?[.?]+$")
_SENTENCE = re.compile(r"(^|[.?!] )([^\w]*)([a-z])(?!\w*_\d)")
_SLIP = re.compile(r"(?<![\w'_.])[a-z]{5,}(?![\w'_])")
_WORD = re.compile(r"\b[a-z]{4,}\b(?!')")

LOWER, SLIPS, WRAPPED, WITH_CONTEXT = 0.1, 0.06, 0.5, 0.12
STRANGE = 0.15
"""Share of requests of training with one word that nobody knows."""


@dataclass(frozen=True, slots=True)
class Wording:
    """A user's turn: its text, what can be copied from it, and the frame it was made of."""

    text: str
    quoted: dict[str, list[str]]
    branch: str


@dataclass(frozen=True, slots=True)
class Frame:
    """One line of a grammar."""

    branch: str
    mood: Mood
    parts: tuple["Node", ...]
    slots: frozenset[str]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several sequences."""

    options: tuple[tuple["Node", ...], ...]


@dataclass(frozen=True, slots=True)
class Name:
    """A slot."""

    name: str


Node = str | Choice | Name


@dataclass(frozen=True, slots=True)
class Intent:
    seen: tuple[Frame, ...]
    held_out: tuple[Frame, ...]


def quote(text: str, key: str) -> str:
    """The text, marked as what the argument `key` is copied from."""
    return f"{_OPEN[key]}{text}{_CLOSE}"


def plain(text: str) -> str:
    """The text without marks."""
    return _MARKS.sub("", text)


@cache
def intents() -> dict[str, Intent]:
    """All intents by name."""
    found: dict[str, Intent] = {}
    for path in sorted(_FOLDER.glob("*.txt")):
        parts = re.split(r"^\[([a-z ]+)\]\n", path.read_text("utf-8"), flags=re.MULTILINE)
        for name, body in zip(parts[1::2], parts[2::2], strict=True):
            seen, _, held = body.partition("- held out\n")
            if name in found:
                raise ValueError(f"{path.name}: a second section [{name}]")
            found[name] = Intent(_frames(name, seen, ""), _frames(name, held, "h"))
    return found


def _frames(intent: str, lines: str, mark: str) -> tuple[Frame, ...]:
    kept = [line.strip() for line in lines.splitlines() if line.strip()]
    return tuple(_frame(f"{intent}.{mark}{n}", line) for n, line in enumerate(kept, start=1))


def _frame(branch: str, line: str) -> Frame:
    endings: dict[str, Mood] = {"?": "ask", ".": "tell", "!": "tell"}
    mood = endings.get(line[-1], "do")
    tokens = re.findall(r"\\[()]|[()\[\]|]|\{\w+\}|[^()\[\]|{}\\]+", line)
    options, rest = _parse(tokens)
    if rest or len(options) != 1:
        raise ValueError(f"{branch}: brackets do not match in {line!r}")
    return Frame(branch, mood, options[0], frozenset(re.findall(r"\{(\w+)\}", line)))


def _parse(tokens: list[str]) -> tuple[tuple[tuple[Node, ...], ...], list[str]]:
    """Sequences between bars, up to a closing bracket; and what stands behind it."""
    options: list[list[Node]] = [[]]
    while tokens:
        token, *tokens = tokens
        if token in "([":
            inner, tokens = _parse(tokens)
            if not tokens:
                raise ValueError(f"a bracket '{token}' is never closed")
            closing, *tokens = tokens
            options[-1].append(Choice((*inner, ()) if closing == "]" else inner))
        elif token in ")]":
            return tuple(map(tuple, options)), [token, *tokens]
        elif token == "|":
            options.append([])
        else:
            known = Name(token[1:-1]) if token[0] == "{" else token.removeprefix("\\")
            options[-1].append(known)
    return tuple(map(tuple, options)), []


def expand(frame: Frame, slots: Slots, draw: Draw, *, strange: bool = False) -> str:
    """One surface form, with marks; `strange` makes one of the frame's own words a blend of two."""
    pieces: list[str] = []
    own: list[int] = []
    _expand(frame.parts, slots, draw, pieces, own)
    found = [(i, word) for i in own for word in _WORD.finditer(pieces[i])] if strange else []
    if len(found) > 1:  # the others must tell
        i, word = draw.choice(found)
        blend = words.blend(draw, "common")
        pieces[i] = pieces[i][: word.start()] + blend + pieces[i][word.end() :]
    text = " ".join("".join(pieces).split())
    return re.sub(r" ([,.?!])(?!\w)", r"\1", text)


def _expand(
    parts: tuple[Node, ...], slots: Slots, draw: Draw, pieces: list[str], own: list[int]
) -> None:
    """Add to `pieces`, and to `own` the indices of those that are the frame's own words."""
    for part in parts:
        if isinstance(part, str):
            own.append(len(pieces))
            pieces.append(part)
        elif isinstance(part, Name):
            value = slots[part.name]
            pieces.append(value if isinstance(value, str) else value())
        else:
            _expand(part.options[int(draw.random() * len(part.options))], slots, draw, pieces, own)


def choose(draw: Draw, intent: str, slots: Slots, held: Held) -> Frame:
    """A frame whose slots can all be filled."""
    known = intents()[intent]
    frames = known.held_out if held.branches and known.held_out else known.seen
    for _ in range(8):
        frame = draw.choice(frames)
        if frame.slots <= slots.keys():
            return frame
    return draw.choice([frame for frame in frames if frame.slots <= slots.keys()])


def reword(draw: Draw, intent: str, slots: Slots, held: Held = TRAINING) -> str:
    """A form of an intent without anything around it: for answers and parts of sentences."""
    return expand(choose(draw, intent, slots, held), slots, draw)


def word(
    draw: Draw,
    intent: str,
    slots: Slots,
    held: Held,
    *,
    about: str = "",
    also: str = "",
    wraps: bool = True,
    lower: float = LOWER,
) -> Wording:
    """A user's turn of this intent.

    Args:
        slots: what the frames' slots stand for, marked where it is to be copied. Where `in` (or
            `in_sound`) may be empty, `inside` never is: "what is in the picture?".
        about: a medium that must be named, e.g. `image_1`, because the turn is not about the
            latest; said at the start where the frame has no place for it.
        also: a clause for the end, e.g. `with a threshold of 0.4`.
        wraps: whether something may stand around it, e.g. `could you ...?`.
        lower: share of turns written in lower case throughout.
    """
    inside = {
        f"inside{kind and f'_{kind}'}": slots[name] or reword(draw, f"in {kind or 'picture'}", {})
        for name, kind in (("in", ""), ("in_sound", "sound"))
        if name in slots
    }
    slots = {"verb": partial(draw.choice, words.read("bids")), **slots, **inside}
    frame = choose(draw, intent, slots, held)
    text = expand(frame, slots, draw, strange=held == TRAINING and draw.chance(STRANGE))
    if also:
        ending = text[-1] if text[-1] in "?." else ""
        joint = "" if also.startswith(",") else " "
        text = f"{text[: len(text) - len(ending)]}{joint}{also}{ending}"
    if about and not frame.slots & _PLACES:
        text = draw.choice((f"in {about}, {text}", f"look at {about}. {text}", f"{about}: {text}"))
    several = re.search(r"[.?!] ", text) is not None
    if wraps and not several and draw.chance(WRAPPED):
        around = Held(branches=held.branches and draw.chance(0.5))
        text = reword(draw, f"wrap {frame.mood}", {"it": _bare(text, frame.mood)}, around)
    else:
        text = _bare(text, frame.mood) + _ending(draw, frame.mood)
    if wraps and draw.chance(WITH_CONTEXT):
        other = words.noun(draw, longest=3)
        beside = {"other": other.with_a, "others": other.many}
        text = f"{reword(draw, 'context', beside)} {text}"
    text = styled(draw, text, lower)
    quoted: dict[str, list[str]] = {}
    for mark, copied in _MARKED.findall(text):
        quoted.setdefault(_KEYS[ord(mark) - 0xE000], []).append(copied)
    return Wording(plain(text), quoted, frame.branch)


def _bare(text: str, mood: Mood) -> str:
    """Without its own last mark; wrappers bring theirs."""
    return text[:-1] if mood != "do" and text[-1] in "?." else text


def _ending(draw: Draw, mood: Mood) -> str:
    if mood == "ask":
        return draw.choices(("?", "", "??", " ?"), (85, 11, 2, 2))[0]
    if mood == "tell":
        return draw.choices((".", "", "!"), (75, 22, 3))[0]
    return draw.choices((".", "", "!"), (50, 45, 5))[0]


def styled(draw: Draw, text: str, lower: float = 0.0) -> str:
    """Capitals, slips, and no full stop behind a quotation that ends with one."""
    text = _DOUBLED.sub(r"\1", text)
    if draw.chance(SLIPS):
        text = _slip(draw, text)
    if draw.chance(lower):
        return text.lower()
    return _SENTENCE.sub(lambda found: found[1] + found[2] + found[3].upper(), text)


def _slip(draw: Draw, text: str) -> str:
    """One word with two letters swapped, one left out, or one struck twice; never a copied one."""
    spans = [found.span() for found in _MARKED.finditer(text)]
    open_words = [
        found
        for found in _SLIP.finditer(text)
        if not any(start < found.end() and found.start() < end for start, end in spans)
    ]
    if not open_words:
        return text
    found = draw.choice(open_words)
    letters, at = list(found.group()), draw.randrange(1, len(found.group()) - 2)
    match draw.randrange(3):
        case 0:
            letters[at], letters[at + 1] = letters[at + 1], letters[at]
        case 1:
            del letters[at]
        case _:
            letters.insert(at, letters[at])
    return text[: found.start()] + "".join(letters) + text[found.end() :]
