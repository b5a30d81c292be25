"""LLaVA-Plus: Liu et al., "LLaVA-Plus: Learning to Use Tools for Creating Multimodal Agents", 2023.

A LLaVA that was trained to call tools. Each of its turns has three fields: what it thinks, the
calls it wants, and what it says to the user. The tools' results come back as the user's next turn,
with the question once more. Turns are written as by the released training and serving code.
"""

import ast
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from nuthatch.mllm.chat_format import ChatFormat
from nuthatch.mllm.presets import Preset, llava
from nuthatch.mllm.presets.vicuna import Size, placeholders, vicuna

THOUGHTS, ACTIONS, VALUE = '"thoughts🤔"', '"actions🚀"', '"value👉"'
SOURCES = llava.SOURCES

CHAT_V0 = ChatFormat(
    begin=f"{llava.SYSTEM}\n\n### ",
    user=("Human: ", "\n### "),
    assistant=("Assistant:", "\n### "),
    media={("image",): "<>\n"},
    blank=" ",
    style="v0",
    stop_strings=("###",),
)


def preset(size: Size = "7b", version: Literal["v0", "v1"] = "v0", **changes: Any) -> Preset:
    """CLIP ViT-L/14's patches through one linear layer to a Vicuna that was trained whole."""
    text = vicuna(size, version)
    sizes = {"text_config": text, "prompt_style": version, **placeholders(text)}
    config, chat = llava.preset(size, **(sizes | changes))
    return Preset(config, CHAT_V0 if version == "v0" else chat)


def found_in(names: Collection[str], config: Mapping[str, Any]) -> dict[str, Any]:
    """What the preset must be told of a released file: its version, by its vocabulary."""
    version = "v1" if config.get("vocab_size") == 32000 else "v0"
    return llava.found_in(names, config) | {"version": version}


class UnreadableTurn(ValueError):
    """A turn that lacks a field, or whose actions are no list of calls."""


@dataclass(frozen=True)
class Action:
    """A call: the tool's name and its arguments."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Turn:
    """What the model says at a time; without actions, `value` is its answer."""

    thoughts: str
    actions: tuple[Action, ...]
    value: str

    def write(self) -> str:
        """The turn as the model was trained to write it."""
        actions = [{"API_name": a.name, "API_params": a.arguments} for a in self.actions]
        return f"{THOUGHTS} {self.thoughts}\n{ACTIONS} {json.dumps(actions)}\n{VALUE} {self.value}"

    @classmethod
    def read(cls, said: str) -> Self:
        """The turn in what the model wrote. A text without fields, or with all three in another
        order, is an answer.

        The released parser takes one action only and drops what it cannot read; here all are read,
        and what cannot be is an error to tell the model about.

        Raises:
            UnreadableTurn: a field is missing beside others, as where the turn was cut off; or the
                actions are no list of calls, neither as JSON nor as Python.
        """
        places = [said.find(mark) for mark in (THOUGHTS, ACTIONS, VALUE)]
        if -1 in places and max(places) >= 0:
            raise UnreadableTurn(
                f"given {said!r:.200}, which lacks a field or was cut off; expected {THOUGHTS}, "
                f"{ACTIONS} and {VALUE}, each with its content, and in short"
            )
        if -1 in places or places != sorted(places):
            return cls("", (), said.strip())
        thoughts, rest = said[places[0] + len(THOUGHTS) :].split(ACTIONS, 1)
        actions, value = rest.split(VALUE, 1)
        return cls(thoughts.strip(), _calls(actions.strip()), value.strip())


def observation(results: Sequence[tuple[str, Any]], question: str) -> str:
    """The user's turn that brings what tools found, each with its name, and asks again."""
    found = "".join(f"{name} model outputs: {result}\n\n" for name, result in results)
    return f"{found}Please summarize the model outputs and answer my first question: {question}"


def _calls(text: str) -> tuple[Action, ...]:
    given: Any = None
    for read in (json.loads, ast.literal_eval):
        try:
            given = json.loads(json.dumps(read(text)))  # Python knows values that no tool takes
            break
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue  # all of these are how a parser refuses a text
    try:
        return tuple(Action(str(one["API_name"]), dict(one["API_params"])) for one in given)
    except (TypeError, KeyError, ValueError) as error:
        raise UnreadableTurn(
            f"given actions {text!r:.200}, expected a list such as "
            '[{"API_name": "detect", "API_params": {"labels": ["cup"]}}]'
        ) from error
