"""A dialogue in the making: what the user says, what is called and observed, what is answered."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from nuthatch.tools.base.tool import ToolCall, ToolResult
from nuthatch.tools.faults import ToolFault
from nuthatch.tools.vocabulary import SOUNDS
from nuthatch.training.data import paraphrase, words
from nuthatch.training.data.layouts import Layout, draw_layout
from nuthatch.training.data.paraphrase import Slots, Wording, quote, reword
from nuthatch.training.data.sample import Draw, Held, Message, Picture, Sample, Sound
from nuthatch.training.data.simulation import Simulation
from nuthatch.training.data.tool_schemas import Schema
from nuthatch.training.data.words import Noun, listed

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
Call = tuple[str, dict[str, Any]]


class Talk:
    """Messages as they come.

    `tools` are the schemas offered, `held` what may be said; `armed` whether all the tools that the
    dialogue needs are among those offered.
    """

    def __init__(
        self, draw: Draw, held: Held, tools: Mapping[str, Schema], *, armed: bool = True
    ) -> None:
        self.draw = draw
        self.held = held
        self.armed = armed
        self.tools = dict(tools)
        self.begin()

    def begin(self) -> None:
        """Start anew: nothing was given or said."""
        self.house = Simulation(self.draw)
        self.given: dict[str, Picture | Sound] = {}
        self.messages: list[Message] = []
        self.branches: list[str] = []
        self._new: list[str] = []
        self._calls = 0

    # -- media ----------------------------------------------------------------------------------

    def show(self, layout: Layout | None = None) -> str:
        """Give a picture with the next turn; returns its handle."""
        layout = layout or draw_layout(self.draw)
        if self.draw.chance(0.7):
            wide, high = self.draw.choice(_SIZES)
            layout = layout.resized(wide, high)
        handle = self.house.picture(layout)
        self.given[handle] = Picture(layout)
        self._new.append(handle)
        return handle

    def play(self, sound: Sound | None = None) -> str:
        """Give a recording with the next turn; returns its handle."""
        if sound is None:
            number = self.draw.choices((0, 1, 2), (8, 50, 42))[0]
            events = tuple(self.draw.sample(list(SOUNDS), number))
            sound = Sound(events, silent=not events and self.draw.chance(0.5))
        handle = self.house.sound(sound)
        self.given[handle] = sound
        self._new.append(handle)
        return handle

    def layout(self, image: str) -> Layout:
        return self.house.layouts[image]

    def handles(self, kind: str) -> list[str]:
        """Pictures or sounds that the user gave, in order."""
        return [handle for handle in self.given if handle.startswith(kind)]

    def mentions(self, image: str | None = None, audio: str | None = None) -> dict[str, Any]:
        """Slots that name a picture and a recording: one of several must be named."""
        slots: dict[str, Any] = {}
        for handle, kind, name, inside in (
            (image, "picture", "image", "in"),
            (audio, "sound", "sound", "in_sound"),
        ):
            if handle is None:
                if inside == "in":
                    slots["in"] = ""
                continue
            called = self._called(handle)
            free = handle == self.handles(handle.split("_")[0])[-1]
            several = len(self.handles(handle.split("_")[0])) > 1
            if called and (not free or self.draw.chance(0.5 if several else 0.12)):
                slots[name], slots[inside] = called, f"in {called}"
            else:
                loose = self.draw.chance(0.55)
                slots[name] = reword(self.draw, kind, {})
                slots[inside] = "" if loose else reword(self.draw, f"in {kind}", {})
        return slots

    def about(self, handle: str) -> str:
        """How a medium must be named, where it is not the latest of its kind; else nothing."""
        return "" if handle == self.handles(handle.split("_")[0])[-1] else self._called(handle)

    def _called(self, handle: str) -> str:
        kind, _, number = handle.partition("_")
        word = self.draw.choice(
            ("picture", "image", "photo") if kind == "image" else ("recording", "sound", "clip")
        )
        return self.draw.choice(
            (handle, handle, f"the {ORDINALS[int(number) - 1]} {word}", f"{word} {number}")
        )

    # -- turns ----------------------------------------------------------------------------------

    def user(self, text: str) -> None:
        """A turn of the user, with the media given since the last one."""
        parts: list[dict[str, str]] = [
            {"type": handle.split("_")[0], "handle": handle} for handle in self._new
        ]
        self._new = []
        content: Any = [*parts, {"type": "text", "text": text}] if parts else text
        self.messages.append({"role": "user", "content": content})

    def ask(self, intent: str, slots: Slots, **options: Any) -> Wording:
        """A turn of the user, in words of an intent; `options` as for `paraphrase.word`."""
        wording = paraphrase.word(self.draw, intent, slots, self.held, **options)
        self.branches.append(wording.branch)
        self.user(wording.text)
        return wording

    def call(
        self,
        *calls: Call,
        told: Sequence[BaseModel | None] = (),
        fault: ToolFault | None = None,
    ) -> list[ToolResult]:
        """A turn of calls, and what was observed; `told` are values of tools without simulation."""
        made = [ToolCall(f"call_{self._calls + n}", *call) for n, call in enumerate(calls, start=1)]
        self._calls += len(made)
        self.messages.append(
            {
                "role": "assistant",
                "tool_calls": [
                    {"type": "function", "function": {"name": c.tool, "arguments": c.arguments}}
                    for c in made
                ],
            }
        )
        values = [*told, *[None] * (len(made) - len(told))]
        results = [
            self.house.run(call, told=value, fault=fault)
            for call, value in zip(made, values, strict=True)
        ]
        for result in results:
            self.messages.append(
                {
                    "role": "tool",
                    "name": result.call.tool,
                    "tool_call_id": result.call.id,
                    "content": self.house.text(result),
                }
            )
        return results

    def say(self, text: str) -> None:
        """The assistant's answer."""
        self.messages.append({"role": "assistant", "content": text})

    def sample(self, kind: str) -> Sample:
        tools = list(self.tools.values())
        return Sample(
            tuple(self.messages), tuple(tools), dict(self.given), kind, " ".join(self.branches)
        )


_SIZES = ((640, 480), (480, 640), (800, 600), (512, 512), (1024, 768), (224, 224), (320, 240))


# -- words for things -----------------------------------------------------------------------------


OWNERS, OWNED = ("my", "our", "their", "your"), 0.1
"""Who things may belong to, and how often they belong to somebody."""


def thing_slots(draw: Draw, things: Sequence[Noun], join: str = "and") -> dict[str, Any]:
    """Slots of a request about these things, each marked as a label; lists end with `join`."""
    single = len(things) == 1
    many = listed([quote(each.many, "labels") for each in things])
    one = listed([quote(each.one, "labels") for each in things])
    any_many = listed([quote(each.many, "labels") for each in things], join)
    several = not single or things[0].pair or draw.chance(0.6)
    article = draw.choice(OWNERS) if draw.chance(OWNED) else "the"
    if single and not several:
        the = f"{article} {one}"
    else:
        forms = [
            quote(each.many if single or draw.chance(0.5) else each.one, "labels")
            for each in things
        ]
        the = listed([f"{article} {form}" for form in forms])
        if single or draw.chance(0.25):
            the = f"{article} {listed(forms)}"
    a_one = listed(
        [each.with_a.removesuffix(each.one) + quote(each.one, "labels") for each in things], join
    )
    first = things[0]

    def some() -> str:
        if single:
            options = [the, f"all {many}", f"all the {many}", many, f"any {many}", a_one]
            if not first.pair:
                options += [f"every {one}", f"each {one}", f"all of the {many}"]
            return draw.choice(options)
        return draw.choice((the, many, f"all {many}", f"all the {many}", a_one))

    pair = {}
    if len(things) == 2:
        first_many, second_many = (quote(each.many, "labels") for each in things)
        pair = {"first_many": first_many, "second_many": second_many}
    return {
        **pair,
        "many": many,
        "one": one,
        "the": the,
        "the_many": f"the {many}",
        "be": "are" if several else "is",
        "them": "them" if several else "it",
        "a": a_one,
        "any": f"any {any_many}",
        "be_any": "are",
        "the_one": f"{article} {one}",
        "be_one": first.be if single else "are",
        "has_one": "have" if first.pair or not single else "has",
        "do_one": "do" if first.pair or not single else "does",
        "things": some,
    }


def number_of(number: int, thing: Noun) -> str:
    """`two cups`, `one cup`, `no cups`, `two pairs of scissors`, `12 cups`."""
    word = NUMBERS[number] if number < len(NUMBERS) else str(number)
    if thing.pair and number:
        return f"{word} {'pair' if number == 1 else 'pairs'} of {thing.many}"
    return f"{word} {thing.one if number == 1 else thing.many}"


def there_are(counts: Sequence[tuple[Noun, int]]) -> str:
    """`There are two cups and no spoons.`; what is there comes first."""
    ordered = [*(c for c in counts if c[1]), *(c for c in counts if not c[1])]
    be = "is" if ordered[0][1] == 1 else "are"
    return f"There {be} {listed([number_of(n, thing) for thing, n in ordered])}."


def yes_no(counts: Sequence[tuple[Noun, int]]) -> str:
    """The answer to "is there a cup (and a spoon)?"; it says no more than was asked."""
    there = [thing.with_a for thing, number in counts if number]
    missing = [f"no {_bare(thing)}" for thing, number in counts if not number]
    if not missing:
        return f"Yes, there is {listed(there)}."
    if not there:
        return f"No, there is {listed(missing)}."
    return f"No, there is {listed(there)}, but {listed(missing)}."


def _bare(thing: Noun) -> str:
    return f"pair of {thing.one}" if thing.pair else thing.one


def known_nouns(draw: Draw, layout: Layout, *, most: int = 1) -> list[Noun]:
    """Things of the world: of the focus first, then what is there, then what is not."""
    wanted: list[str] = []
    for _ in range(most):
        way = draw.random()
        there = list(layout.counts())
        name = (
            layout.focus if way < 0.4 else draw.choice(there) if way < 0.7 else ""
        ) or words.world_noun(draw).category
        if name and name not in wanted:
            wanted.append(name)
    return [words.world_noun(draw, name) for name in wanted]
