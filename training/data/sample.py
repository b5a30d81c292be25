"""One sample: a dialogue, the tools offered in it, its media, and what it is an example of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

from nuthatch.training.data.layouts import Layout

T = TypeVar("T")

Message = dict[str, Any]
"""A chat message in the form of Hugging Face's templates: `role` and `content`; calls of the
assistant under `tool_calls`; a tool's message has its `name` and `tool_call_id`."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a sample is made of: the forms and words of training, or those held out of it."""

    branches: bool = False
    """Verbs and frames that training never shows, in the turn that is scored."""
    words: bool = False
    """Argument words that training never shows."""


TRAINING = Held()
HELD_OUT: dict[str, Held] = {
    "branches": Held(branches=True),
    "words": Held(words=True),
    "both": Held(branches=True, words=True),
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that is known by what it shows; `seed` is that of its scene where it has one."""

    layout: Layout
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Sound:
    """A recording that is known by what is heard; `seed` is that of its clip where it has one."""

    events: tuple[str, ...]
    seed: int | None = None
    silent: bool = False


@dataclass(frozen=True)
class Sample:
    """A dialogue with its truth.

    The assistant's turns are the targets; each is right given what stands before it. What a user
    quotes is copied as it was written: `labels` of "find Cups and two spoons" are `Cups` and
    `spoons`, not their singulars (tools and scores compare singular lower case).
    """

    messages: tuple[Message, ...]
    tools: tuple[dict[str, Any], ...]
    """Schemas as `ToolSet.schemas()` gives them; empty where no tool is offered."""
    media: Mapping[str, Picture | Sound] = field(default_factory=dict)
    """Handle -> what it shows; only those that a user gave."""
    kind: str = ""
    """The tool or the kind of question: for metrics and for the mixture."""
    branch: str = ""
    """The frames of the grammar that its questions were made of, e.g. `count.4`."""

    @property
    def first_turn(self) -> Message:
        """The assistant's first message."""
        return next(each for each in self.messages if each["role"] == "assistant")


class Draw(Random):
    """Random choices that are the same for the same key."""

    @classmethod
    def of(cls, *key: int | str) -> "Draw":
        """E.g. `Draw.of(seed, index)`."""
        return cls("/".join(map(str, key)))

    def chance(self, share: float) -> bool:
        return self.random() < share

    def weighted(self, options: Mapping[T, float]) -> T:
        """A key with the probability of its weight."""
        return self.choices(list(options), list(options.values()))[0]
