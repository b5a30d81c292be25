"""The planner protocol: what decides on the next calls of tools, or on a draft of the answer."""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from nuthatch.agent.answer import Draft
from nuthatch.agent.conversation import Conversation
from nuthatch.messages import as_unicode
from nuthatch.tools.exact_json import cleaned


class Call(NamedTuple):
    """A tool to run; the loop gives it an id and checks the arguments."""

    tool: str
    arguments: dict[str, Any]


Turn = list[Call] | Draft
"""Either calls, at least one (they run side by side), or a draft."""


def is_turn(said: object) -> bool:
    """Whether this is a `Turn` that is not empty."""
    if isinstance(said, Draft):
        return isinstance(said.text, str) and bool(said.text.strip())
    if not isinstance(said, list) or not said:
        return False
    return all(isinstance(call, Call) and isinstance(call.tool, str) for call in said)


def in_unicode(turn: Turn) -> Turn:
    """The same turn, with no text that no encoding has."""
    if isinstance(turn, Draft):
        return Draft(as_unicode(turn.text))
    return [Call(as_unicode(call.tool), cleaned(call.arguments)) for call in turn]


class Planner(Protocol):
    """Reads a conversation and gives the next turn. One planner may serve many runs."""

    def plan(self, conversation: Conversation) -> Turn:
        """The next turn. Anything it raises ends the run with `PlannerFailed`."""
        ...


@runtime_checkable
class MultimodalPlanner(Planner, Protocol):
    """A planner that looks at media itself, with weights of the agent.

    What it writes about media outside the domain of these weights is withheld.
    """

    weights_name: str | None
    """The name of the weights, such as `core`; None: it has none among the agent's."""


ScriptItem = str | tuple[str, dict[str, Any]] | list[tuple[str, dict[str, Any]]]


class ScriptedPlanner:
    """A planner for unit tests: gives the turns of a script, and records what it received.

    An item of the script is a draft (`"Two cups."`), one call (`("detect", {...})`), or several
    calls of one turn (a list of those). `received[n]` is the text that turn n followed: the
    question first, then what the tools observed.

    Raises (when planning):
        IndexError: the script is over, and the loop asks for more.
    """

    def __init__(self, script: Sequence[ScriptItem]) -> None:
        if isinstance(script, str):
            raise TypeError(f"a script is a list of turns; write ScriptedPlanner([{script!r}])")
        self.script = list(script)
        self.received: list[str] = []

    @property
    def heard(self) -> list[str]:
        """The name of `received` in the previous release."""
        message = "ScriptedPlanner.heard is deprecated: use received"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return self.received

    def plan(self, conversation: Conversation) -> Turn:
        self.received.append(conversation.latest)
        turn = len(self.received)
        if turn > len(self.script):
            raise IndexError(
                f"the script has {len(self.script)} turns and was asked for turn {turn}; "
                f"received last: {self.received[-1]!r}"
            )
        item = self.script[turn - 1]
        if isinstance(item, str):
            return Draft(item)
        return [Call(*call) for call in ([item] if isinstance(item, tuple) else item)]
