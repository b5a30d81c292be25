"""First turns on trial: requests written by hand, and when a planner's first turn is right.

A file holds one request a line: `text`, `media` (kinds; handles are `image_1`, `audio_1`, `image_2`
in order), `expect` (acceptable first turns, each a list of calls; an empty list answers directly)
and `kind`. Only arguments that the request determines are given.

A turn is right if it is any one of those expected. The order of calls does not count, and one
`detect` of several labels is the same as several of one label each. Labels compare as singular
lower case; prompts, expressions and phrases by their content words; of `ask_region` only the
picture counts. Everything else must be equal.
"""

import json
import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nuthatch.agent.planner import Call
from nuthatch.tools.vocabulary import singular

Calls = Sequence[Call]
KINDS_OF_MEDIA = ("image", "audio")

_LOOSE = frozenset({"prompt", "expression", "phrases"})
_EMPTY_WORDS = frozenset(
    (
        *("a", "an", "the", "this", "that", "these", "those", "some", "any", "and", "or", "of"),
        *("my", "your", "his", "her", "its", "our", "their", "me", "please"),
    )
)
_TOKEN = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+(?:'[^\W\d_]+)?|[-+*/%]+")


class RequestError(ValueError):
    """A line that is no request; the message names file and line."""


@dataclass(frozen=True)
class Request:
    """What a user says, with which media, and the first turns that are right."""

    id: str
    text: str
    media: tuple[str, ...]
    expect: tuple[tuple[Call, ...], ...]
    kind: str


def read_requests(path: Path) -> list[Request]:
    """All requests of a file.

    Raises:
        OSError: there is no such file.
        RequestError: a line is no request.
    """
    requests = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip():
            try:
                requests.append(_request(json.loads(line)))
            except (ValueError, TypeError, KeyError) as error:
                raise RequestError(
                    f"{path}, line {number}: {type(error).__name__}: {error}; expected id, text, "
                    'media (["image", "audio"]), expect ([[{"tool": ..., "arguments": {...}}]]) '
                    "and kind"
                ) from error
    if not requests:
        raise RequestError(f"{path} holds no request")
    return requests


def _request(record: Mapping[str, Any]) -> Request:
    if unknown := set(record["media"]) - set(KINDS_OF_MEDIA):
        raise ValueError(f"media of unknown kind: {', '.join(sorted(unknown))}")
    expect = tuple(
        tuple(Call(call["tool"], dict(call["arguments"])) for call in turn)
        for turn in record["expect"]
    )
    if not expect:
        raise ValueError("no first turn is expected")
    media = tuple(record["media"])
    return Request(str(record["id"]), str(record["text"]), media, expect, str(record["kind"]))


# -- scoring --------------------------------------------------------------------------------------


def is_right(calls: Calls, expect: Sequence[Calls], *, complete: bool = False) -> bool:
    """Whether the calls of a first turn (none: an answer) are one of the turns expected.

    Args:
        complete: the expected arguments are all there are, so that any other is wrong. Without it
            what the request does not determine is left to the planner.
    """
    return any(_same(_split(calls), _split(turn), complete=complete) for turn in expect)


def same_tools(calls: Calls, expect: Sequence[Calls]) -> bool:
    """Whether the right tools are called, whatever their arguments."""
    tools = {call.tool for call in calls}
    return any(tools == {call.tool for call in turn} for turn in expect)


def is_exact(calls: Calls, expect: Sequence[Calls]) -> bool:
    """Whether the calls are letter by letter one of the turns expected."""
    return any(list(calls) == list(turn) for turn in expect)


def _split(calls: Calls) -> list[Call]:
    """The calls, with a `detect` for each label; no label twice."""
    parts: list[Call] = []
    for call in calls:
        labels = call.arguments.get("labels")
        if call.tool != "detect" or not isinstance(labels, list):
            parts.append(call)
            continue
        for label in labels:
            part = Call("detect", {**call.arguments, "labels": [label]})
            if not any(_matches(part, other, complete=True) for other in parts):
                parts.append(part)
    return parts


def _same(said: list[Call], wanted: list[Call], *, complete: bool) -> bool:
    """Whether each call said is one wanted, and the other way round."""
    if len(said) != len(wanted):
        return False
    left = list(said)
    for want in wanted:
        found = next((call for call in left if _matches(call, want, complete=complete)), None)
        if found is None:
            return False
        left.remove(found)
    return True


def _matches(said: Call, wanted: Call, *, complete: bool) -> bool:
    if said.tool != wanted.tool:
        return False
    if said.tool == "ask_region":
        return said.arguments.get("image") == wanted.arguments.get("image")
    if complete and said.arguments.keys() != wanted.arguments.keys():
        return False
    return all(
        name in said.arguments and _plain(name, said.arguments[name]) == _plain(name, value)
        for name, value in wanted.arguments.items()
    )


def _plain(name: str, value: Any) -> Any:
    """A value as it is compared."""
    if name == "labels" and isinstance(value, list):
        return frozenset(singular(each) if isinstance(each, str) else str(each) for each in value)
    if name in _LOOSE and isinstance(value, list):
        return Counter(content_words(str(each)) for each in value)
    if name in _LOOSE and isinstance(value, str):
        return content_words(value)
    return value


def content_words(text: str) -> frozenset[tuple[Hashable, int]]:
    """Words that mean something (singular, lower case), numbers by value, signs; how often each."""
    found: Counter[Hashable] = Counter()
    for token in _TOKEN.findall(text.lower()):
        if token[0].isdigit():
            found[float(token)] += 1
        elif token not in _EMPTY_WORDS:
            found[singular(token)] += 1
    return frozenset(found.items())
