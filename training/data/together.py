"""Several requests in one talk: two in one turn, or one turn after the other.

"How many cups are there, and which object makes this sound?" is said in one turn, called in one
turn, and answered one after the other. Turn after turn, pictures and recordings stay known, and new
ones come. Each request is a dialogue of its own, as it is said alone.
"""

import json
from collections.abc import Callable, Collection
from typing import Any

from nuthatch.tools.base.tool import ToolResult
from nuthatch.training.data import describing, looking, paraphrase
from nuthatch.training.data.paraphrase import Slots, Wording
from nuthatch.training.data.sample import Draw
from nuthatch.training.data.talk import Call, Talk

NEEDS = ("detect", "caption", "tag_sound", "locate_sound_source")
Make = Callable[[Talk], None]
_SEE: dict[Make, str] = {
    looking.count: "detect",
    looking.exist: "detect",
    looking.find: "detect",
    looking.where: "detect",
    describing.caption: "caption",
}
_HEAR: dict[Make, str] = {
    describing.source: "locate_sound_source",
    describing.tag_sound: "tag_sound",
    describing.is_sound: "tag_sound",
}
_JOINTS = (", and ", " and ", ", and also ", ", then ", " and then ", "; ")
_OPENERS = ("", "", "And ", "Also, ", "Then ")
ONE_SENTENCE = 0.6
BOTH_SEEN = 0.4
"""How often both requests of a turn are for the eye."""
ANEW = 0.35
"""How often a later request is about a picture or recording that comes with it."""


class Within(Talk):
    """A request within a talk: it is about what the talk has given, or now and then about more."""

    def __init__(self, whole: Talk, tool: str, anew: float, without: Collection[str] = ()) -> None:
        tools = {name: schema for name, schema in whole.tools.items() if name not in without}
        super().__init__(whole.draw, whole.held, tools, armed=tool in tools)
        self.whole, self.anew = whole, anew
        self.house, self.given = whole.house, whole.given

    def show(self, layout: object = None) -> str:
        return self._known("image") or self.whole.show()

    def play(self, sound: object = None) -> str:
        return self._known("audio") or self.whole.play()

    def _known(self, kind: str) -> str | None:
        known = self.handles(kind)
        return known[-1] if known and not self.draw.chance(self.anew) else None


# -- in one turn ----------------------------------------------------------------------------------


class Part(Within):
    """One of two requests of a turn: it keeps its own turns apart."""

    def __init__(self, whole: Talk, tool: str, before: Collection["Part"]) -> None:
        # What needs a second call has no place beside another request.
        super().__init__(whole, tool, anew=0.0, without=("measure",))
        self._calls = sum(part.armed for part in before)
        self._first = not before
        self.text = ""

    def ask(self, intent: str, slots: Slots, **options: Any) -> Wording:
        options["wraps"] = self._first and self.draw.chance(0.5)
        wording = paraphrase.word(self.draw, intent, slots, self.held, lower=0.0, **options)
        self.branches.append(wording.branch)
        self.text = wording.text
        return wording

    @property
    def is_plain(self) -> bool:
        """Whether it is one call and an answer, or an answer alone."""
        return len(self.messages) == (3 if self.armed else 1)


def together(talk: Talk) -> None:
    """A request for the eye and one for the ear, or two for the eye."""
    draw = talk.draw
    while True:
        talk.begin()
        see, hear = draw.choice(list(_SEE)), draw.choice(list(_HEAR))
        asked = [(see, _SEE[see]), (hear, _HEAR[hear])]
        if draw.chance(BOTH_SEEN):
            asked = [(make, _SEE[make]) for make in draw.sample(list(_SEE), 2)]
        draw.shuffle(asked)
        parts: list[Part] = []
        for make, tool in asked:
            parts.append(Part(talk, tool, tuple(parts)))
            make(parts[-1])
        if all(part.is_plain for part in parts):
            break
    first, second = parts
    talk.branches += [*first.branches, *second.branches]
    copied = json.dumps(second.messages[0].get("tool_calls", ()))
    talk.user(joined(draw, first.text, second.text, copied))
    calls = [call for part in parts for call in part.messages[0].get("tool_calls", ())]
    if calls:
        talk.messages.append({"role": "assistant", "tool_calls": calls})
    talk.messages += [part.messages[1] for part in parts if part.armed]
    talk.say(" ".join(part.messages[-1]["content"] for part in parts))


def joined(draw: Draw, first: str, second: str, copied: str = "") -> str:
    """Two requests as one sentence or two; what is `copied` from the second stays as it is."""
    start = second.split()[0]
    follows = start != "I" and not start.startswith(("I'", '"')) and start.strip(",:") not in copied
    lowered = second[0].lower() + second[1:] if follows else second
    if draw.chance(ONE_SENTENCE):
        return first.rstrip(" .?!") + draw.choice(_JOINTS) + lowered
    ended = first if first[-1] in ".?!" else f"{first}."
    opener = draw.choice(_OPENERS)
    return f"{ended} {opener}{lowered if opener else second}"


# -- turn after turn ------------------------------------------------------------------------------


class Exchange(Within):
    """One of several exchanges: what is said and called in it belongs to the whole."""

    def __init__(self, whole: Talk, tool: str) -> None:
        super().__init__(whole, tool, anew=ANEW)
        self.branches = whole.branches

    def user(self, text: str) -> None:
        self.whole.user(text)

    def call(self, *calls: Call, **options: Any) -> list[ToolResult]:
        return self.whole.call(*calls, **options)

    def say(self, text: str) -> None:
        self.whole.say(text)


def several(talk: Talk) -> None:
    """Two to four requests, one after the other."""
    draw = talk.draw
    asked = {**_SEE, **_HEAR, looking.colour: "describe_attributes"}
    for place in range(draw.choices((2, 3, 4), (5, 3, 2))[0]):
        make = draw.choice(list(asked))
        while place and make is describing.source:  # it may change what is heard
            make = draw.choice(list(asked))
        make(Exchange(talk, asked[make]))
