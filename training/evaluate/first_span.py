"""A baseline that understands nothing: the tool whose words were said, the first words as argument.

What it gets right needs no planner. It reads schemas only, so it can call any tool, known or not.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from nuthatch.agent.answer import Draft
from nuthatch.agent.conversation import Conversation
from nuthatch.agent.planner import Call, Turn
from nuthatch.tools.base.toolset import media_kind
from nuthatch.tools.vocabulary import singular

NOTHING = "I cannot say."

_SMALL_WORDS = frozenset(
    """
    a about an and any are as at be by can could do does for from have how i if in is it its kindly
    many me my of off on one or out please show so tell that the there these this those to us was
    what where which who will with would you your image picture photo recording sound
    """.split()  # noqa: SIM905
)
_TOKEN = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+(?:'[^\W\d_]+)?|[^\w\s]")


class FirstSpanPlanner:
    """Calls the tool that shares most words with the question, one call and no more."""

    def plan(self, conversation: Conversation) -> Turn:
        question = conversation.question
        said = _words(question)
        scored = [(len(said & _described(tool)), tool) for tool in conversation.tools.schemas()]
        best = max(scored, key=lambda pair: pair[0], default=(0, {}))
        if conversation.now.turns or not best[0]:
            return Draft(NOTHING)
        tool = best[1]
        parameters: Mapping[str, Any] = tool["parameters"]
        span = first_span(question, _described(tool))
        arguments = {
            name: _value(parameters["properties"][name], span, conversation)
            for name in parameters.get("required", ())
        }
        if None in arguments.values():
            return Draft(NOTHING)
        return [Call(tool["name"], arguments)]


def first_span(text: str, without: frozenset[str] = frozenset()) -> str:
    """The first run of words that are neither small nor `without`; empty if there is none."""
    tokens = _TOKEN.findall(text)
    for counts, run in groupby(tokens, key=lambda token: _counts(token, without)):
        if counts:
            return " ".join(run)
    return ""


def _counts(token: str, without: frozenset[str]) -> bool:
    word = token.lower()
    return token[0].isalnum() and word not in _SMALL_WORDS and singular(word) not in without


def _words(text: str) -> frozenset[str]:
    found = re.findall(r"[^\W\d_]+", text.lower())
    return frozenset(singular(word) for word in found if word not in _SMALL_WORDS)


def _described(tool: Mapping[str, Any]) -> frozenset[str]:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", f"{tool['name']} {tool['description']}")
    return _words(spaced)


def _value(schema: Mapping[str, Any], span: str, talk: Conversation) -> Any:
    """Something of the right type; None where there is nothing to take it from."""
    kind = media_kind(schema)
    if kind is not None:
        handles: Sequence[str] = talk.media.handles(kind)  # type: ignore[arg-type]
        return handles[-1] if handles else None
    options: Sequence[str] = schema.get("enum", ())
    if options:
        return next((each for each in options if each in talk.question), options[0])
    match schema.get("type"):
        case "string":
            return span or None
        case "array" if schema.get("items", {}).get("type") == "string":
            return [span] if span else None
        case "integer" | "number" as wanted:
            number = re.search(r"\d+(?:\.\d+)?", talk.question)
            if number is None or (wanted == "integer" and "." in number.group()):
                return None
            return int(number.group()) if wanted == "integer" else float(number.group())
        case "boolean":
            return True
        case _:
            return None
