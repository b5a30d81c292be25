"""The grammar of one turn: what the planner may write now, made from tool schemas and live handles.

A turn is a text, or calls. A call's arguments are held to the tool's JSON schema; an argument that
names a medium is one of the handles that live now, so no other can be written; an argument that is
quoted from the user is a run of the user's own words. Everything has an end: strings, lists and
numbers without bounds are given some. Tools that need a medium that nobody has are not offered.

The grammar is text for llguidance, whose JSON follows JSON schema (draft 2020-12) and has one way
to write a value: no white space, keys in the order of the schema.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Literal

from llguidance import LLMatcher

from nuthatch.mllm.chat import CALL
from nuthatch.mllm.generation.bounded_schema import (
    Handles,
    Schema,
    bounded,
    call_schema,
    check_parameters,
)
from nuthatch.mllm.generation.schema_words import GrammarError

__all__ = ["GrammarError", "turn_grammar"]

QUOTED_WORDS = 8  # in one quotation

_BLANK = r"\x00-\x20\x7f-\xa0\u1680\u2000-\u206f\u3000"  # no text is blank
_WORD = re.compile(r"[^\W_]+(?:['’&-][^\W_]+)*")
_NUMBER = re.compile(
    r"(?<![A-WYZa-wyz_\d.])"  # `image_1` names a thing; `10x20` are two numbers
    r"(?:(?<![\w)])-)?(?:\d{1,9}(?:\.\d{1,9})?|\.\d{1,9})(?!\d)"
)
_POSSESSIVE = re.compile(r"['’]s$")


def turn_grammar(
    tools: Sequence[Schema],
    handles: Handles,
    *,
    allow: Literal["any", "calls", "answer"] = "any",
    max_calls: int = 4,
    quoted: Sequence[str] | None = None,
    read: Sequence[str] = (),
) -> str:
    """What a planner may write in this turn, as a grammar for llguidance.

    Args:
        tools: `{name, description, parameters}` each, parameters as JSON schema.
        handles: the handles that live now.
        allow: "answer" when the budget has no call left; "calls" when a text would be no use.
        max_calls: in one turn.
        quoted: the user's own turns; values marked `x-quoted` are then held to these: strings to
            runs of words, numbers to numbers. None leaves them free.
        read: what tools read from media; where they read something, what a text puts between
            quotation marks is one of these, whole.

    Raises:
        GrammarError: a schema uses a keyword that no grammar can keep.
        ValueError: only calls are allowed, and no tool can be called.
    """
    rules = [] if allow == "answer" else list(_call_rules(tools, handles, quoted))
    if not rules and allow == "calls":
        names = ", ".join(str(tool["name"]) for tool in tools) or "none"
        raise ValueError(
            f"only calls are allowed, and no tool can be called (tools: {names}; live media: "
            f"{', '.join(kind for kind in handles if handles[kind]) or 'none'})"
        )
    lines = _text_rules(read)
    if rules:
        lines.append(f"calls: call{{1,{max(1, max_calls)}}}")
        lines.append(f"call: {CALL} ({' | '.join(f'tool_{n}' for n in range(len(rules)))})")
        lines += [f"tool_{n}: %json {rule}" for n, rule in enumerate(rules)]
    start = "calls" if allow == "calls" else "text | calls" if rules else "text"
    return str(LLMatcher.grammar_from_lark("\n".join([f"start: {start}", *lines])))


def _text_rules(read: Sequence[str]) -> list[str]:
    if not read:
        return ["text: TEXT", f"TEXT: /[^{_BLANK}](.|\\n)*/"]
    quotes = " | ".join(json.dumps(f'"{each}"', ensure_ascii=False) for each in read)
    most = max(2, len(read))  # a small model may say one quotation again and again
    return [
        f"text: PLAIN (quote MORE?){{0,{most}}} | (quote MORE?){{1,{most}}}",
        f"quote: {quotes}",
        f'PLAIN: /[^"{_BLANK}][^"]*/',
        'MORE: /[^"]+/',
    ]


def word_spans(texts: Iterable[str]) -> list[str]:
    """Every run of up to eight words that stands in one of the texts with only spaces between.

    Of a run that ends with a possessive, as in "the cup's colour", there is one without it too.
    """
    spans: dict[str, None] = {}
    for text in texts:
        words = list(_WORD.finditer(text))
        for start, first in enumerate(words):
            span = first.group()
            spans |= {span: None, _POSSESSIVE.sub("", span): None}
            for before, word in pairwise(words[start : start + QUOTED_WORDS]):
                if not text[before.end() : word.start()].isspace():
                    break
                span = f"{span} {word.group()}"
                spans |= {span: None, _POSSESSIVE.sub("", span): None}
    return list(spans)


def numbers(texts: Iterable[str]) -> list[float]:
    """Every number of at most nine digits that stands in one of the texts, once."""
    found: dict[float, None] = {}
    for text in texts:
        for number in _NUMBER.findall(text):
            found[float(number) if "." in number else int(number)] = None
    return list(found)


def _call_rules(
    tools: Sequence[Schema], handles: Handles, quoted: Sequence[str] | None
) -> Iterator[str]:
    """The JSON schema of a call of each tool that can be called, as text."""
    spans = None if quoted is None else word_spans(quoted)
    said = [] if quoted is None else numbers(quoted)
    for tool in tools:
        name, parameters = tool["name"], tool.get("parameters") or {"type": "object"}
        check_parameters(name, parameters)
        arguments = bounded(name, parameters, handles, spans=spans, numbers=said)
        if arguments is not None:
            yield call_schema(name, arguments)
