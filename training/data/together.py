"""Two requests in one turn: "how many cups are there, and which object makes this sound?".

Both are dialogues of their own about the same picture and recording. They are said in one turn of
the user, called in one turn of the planner, and answered one after the other.
"""

import json
from typing import Any

from nuthatch.training.data import describing, looking, paraphrase
from nuthatch.training.data.paraphrase import Slots, Wording
from nuthatch.training.data.sample import Draw
from nuthatch.training.data.talk import Talk

NEEDS = ("detect", "caption", "tag_sound", "locate_sound_source")
_SEE = {
    looking.count: "detect",
    looking.exist: "detect",
    looking.find: "detect",
    looking.where: "detect",
    describing.caption: "caption",
}
_HEAR = {
    describing.source: "locate_sound_source",
    describing.tag_sound: "tag_sound",
    describing.is_sound: "tag_sound",
}
_JOINTS = (", and ", " and ", ", and also ", ", then ", " and then ", "; ")
_OPENERS = ("", "", "And ", "Also, ", "Then ")
ONE_SENTENCE = 0.6


class Part(Talk):
    """One of the two requests: it shows and plays what the whole has, and keeps its turns apart."""

    def __init__(self, whole: Talk, tool: str, calls: int) -> None:
        super().__init__(whole.draw, whole.held, whole.tools, armed=tool in whole.tools)
        self.whole = whole
        self.house, self.given = whole.house, whole.given
        self._calls = calls
        self.text = ""

    def show(self, layout: object = None) -> str:
        return next(iter(self.handles("image")), None) or self.whole.show()

    def play(self, sound: object = None) -> str:
        return next(iter(self.handles("audio")), None) or self.whole.play()

    def ask(self, intent: str, slots: Slots, **options: Any) -> Wording:
        options["wraps"] = not self._calls and self.draw.chance(0.5)  # the first may be wrapped
        wording = paraphrase.word(self.draw, intent, slots, self.held, lower=0.0, **options)
        self.branches.append(wording.branch)
        self.text = wording.text
        return wording

    @property
    def is_plain(self) -> bool:
        """Whether it is one call and an answer, or an answer alone."""
        return len(self.messages) == (3 if self.armed else 1)


def together(talk: Talk) -> None:
    """A request for the eye and one for the ear, or a count and a caption."""
    draw = talk.draw
    while True:
        talk.begin()
        see, hear = draw.choice(list(_SEE)), draw.choice(list(_HEAR))
        asked = [(see, _SEE[see]), (hear, _HEAR[hear])]
        if draw.chance(0.2):
            asked = [(looking.count, "detect"), (describing.caption, "caption")]
        draw.shuffle(asked)
        parts: list[Part] = []
        for make, tool in asked:
            parts.append(Part(talk, tool, sum(part.armed for part in parts)))
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
