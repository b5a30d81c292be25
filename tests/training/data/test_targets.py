"""What dialogues teach is what constrained decoding can write, token by token."""

import re
from itertools import islice
from typing import Any

import torch

from nuthatch.mllm.chat import encode, prompt_ids
from nuthatch.mllm.generation.decoding import Decoder, Medium, Row
from nuthatch.mllm.generation.grammar import turn_grammar
from nuthatch.training.data.mixture import samples
from tests.mllm.generation.speakers import Teacher, tokenizer

NUMBER = 60
HANDLE = re.compile(r"\b(image|audio|mask|detection)_\d+(?:\.\d+)?")


def live(messages: list[dict]) -> dict[str, list[str]]:
    """The handles that were given or made so far, those of groups of detections included."""
    found: dict[str, dict[str, None]] = {kind: {} for kind in ("image", "audio", "mask")}
    found["detection"] = {}
    for message in messages:
        content = message.get("content") or ""
        if isinstance(content, list):
            content = " ".join(part.get("handle", "") for part in content)
        elif message["role"] != "tool":
            continue
        for handle in HANDLE.finditer(content):
            found[handle[1]] |= {handle[0]: None, handle[0].split(".")[0]: None}
    return {kind: list(handles) for kind, handles in found.items()}


def asked(messages: list[Any]) -> list[str]:
    """The user's own words so far."""
    contents = [each["content"] for each in messages if each["role"] == "user"]
    return [each if isinstance(each, str) else each[-1]["text"] for each in contents]


def test_every_turn_of_the_assistant_is_written_within_the_grammar_of_that_turn():
    turns = 0
    for sample in islice(samples(21), NUMBER):
        messages = list(sample.messages)
        for place, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            before = messages[:place]
            prompt = prompt_ids(tokenizer(), before, sample.tools)
            whole = encode(tokenizer(), messages[: place + 1], sample.tools).ids
            media = [
                Medium(part["handle"], torch.zeros(1, 1))
                for each in before
                if isinstance(each.get("content"), list)
                for part in each["content"]
                if "handle" in part
            ]
            grammar = turn_grammar(sample.tools, live(before), quoted=asked(before))
            row = Row(prompt, grammar, media)
            decoder = Decoder(Teacher(whole), tokenizer(), max_new_tokens=800)
            assert decoder.generate([row])[0] == whole[len(prompt) :], message
            turns += 1
    assert turns > NUMBER
