"""Chat: messages and tools become the text that the core reads, and what it wrote is read back.

The one template, `chat_template.jinja`, serves and trains: `tokenizer.apply_chat_template` and the
functions here are the same text. Messages are the usual dicts of Hugging Face: roles system, user,
assistant (with `content` or `tool_calls`) and tool; content is text or parts
`{"type": "image" | "audio", "handle": "image_1"}` and `{"type": "text", "text": ...}`.

    <|bos|><|system|>detect(image: image, labels: [str], threshold?: number)<|end|>
    <|user|>image_1 <|image|> How many cups are there?<|end|>
    <|assistant|><|call|>{"name":"detect","arguments":{"image":"image_1","labels":["cup"]}}<|end|>
    <|tool|>call_1 detect: detections: detection_1.1 cup 0.93<|end|>
    <|assistant|>There is one cup.<|end|>

(The line breaks are for the eye: turns follow each other directly.)
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import TemplateError

from nuthatch.mllm.processing import expand_placeholders

PAD, BOS, END = "<|pad|>", "<|bos|>", "<|end|>"
CALL, IMAGE, AUDIO = "<|call|>", "<|image|>", "<|audio|>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>", "<|tool|>")
SPECIAL_TOKENS = (PAD, BOS, *ROLES, CALL, END, IMAGE, AUDIO)  # in the order of their ids
CHAT_TEMPLATE = Path(__file__).with_name("chat_template.jinja").read_text(encoding="utf-8")

Message = Mapping[str, Any]
Schema = Mapping[str, Any]
Calls = list[tuple[str, dict[str, Any]]]


class Encoded(NamedTuple):
    """Token ids of a talk; `answers` is 1 where the assistant speaks, its `<|end|>` included.

    Each medium stands there as `queries` copies of its placeholder.
    """

    ids: list[int]
    answers: list[int]


def encode(
    tokenizer: Any,
    messages: Sequence[Message],
    tools: Sequence[Schema] = (),
    *,
    queries: int = 1,
    describe_tools: bool = False,
) -> Encoded:
    """A whole talk for training; `tools` holds `{name, description, parameters}` each.

    Calls are written with their arguments in the order of the tool's schema, whatever order they
    come in: that is the only order that constrained decoding can write.

    Raises:
        ValueError: a message or a part is of no known kind, or has both text and calls.
    """
    encoded = _apply_template(
        tokenizer,
        messages,
        tools,
        describe_tools=describe_tools,
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    placeholders = _placeholders(tokenizer)
    ids: list[int] = []
    answers: list[int] = []
    for token, answer in zip(encoded["input_ids"], encoded["assistant_masks"], strict=True):
        copies = queries if token in placeholders else 1
        ids += [token] * copies
        answers += [answer] * copies
    return Encoded(ids, answers)


def prompt_ids(
    tokenizer: Any,
    messages: Sequence[Message],
    tools: Sequence[Schema] = (),
    *,
    queries: int = 1,
    describe_tools: bool = False,
) -> list[int]:
    """The talk so far, up to where the assistant begins to speak.

    Raises:
        ValueError: a message or a part is of no known kind, or has both text and calls.
    """
    encoded = _apply_template(
        tokenizer,
        messages,
        tools,
        describe_tools=describe_tools,
        return_dict=True,
        add_generation_prompt=True,
    )
    return expand_placeholders(
        encoded["input_ids"], dict.fromkeys(_placeholders(tokenizer), queries)
    )


def parse_turn(tokenizer: Any, ids: Sequence[int]) -> str | Calls:
    """What the assistant said: a text, or calls as (tool, arguments). The inverse of the template.

    Raises:
        ValueError: a call is no JSON with `name` and `arguments`: only without a grammar.
    """
    end, call = tokenizer.convert_tokens_to_ids([END, CALL])
    ids = list(ids[:-1] if ids and ids[-1] == end else ids)
    if call not in ids:
        return str(tokenizer.decode(ids)).strip()
    starts = [place for place, token in enumerate(ids) if token == call]
    calls: Calls = []
    for start, stop in zip(starts, [*starts[1:], len(ids)], strict=True):
        text = tokenizer.decode(ids[start + 1 : stop])
        try:
            said = json.loads(text)
            calls.append((said["name"], said["arguments"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f'the planner wrote {text!r}; expected {{"name":...,"arguments":{{...}}}}'
            ) from error
    return calls


def in_schema_order(value: Any, schema: Schema, defs: Schema | None = None) -> Any:
    """The same JSON value with the keys of its objects in the order of the schema.

    Keys that the schema does not know come last. In a union, the first branch that is an object
    with all of the value's keys counts.
    """
    if defs is None:
        defs = schema.get("$defs") or schema.get("definitions") or {}
    if "$ref" in schema:
        schema = defs.get(schema["$ref"].rsplit("/", 1)[-1], {})
    if isinstance(value, list):
        parts = schema.get("prefixItems") or [schema.get("items")] * len(value)
        parts = [*parts, *[None] * (len(value) - len(parts))]
        return [
            in_schema_order(item, part or {}, defs)
            for item, part in zip(value, parts, strict=False)
        ]
    if not isinstance(value, dict):
        return value
    for branch in schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf") or ():
        branch = defs.get(branch["$ref"].rsplit("/", 1)[-1], {}) if "$ref" in branch else branch
        if set(value) <= set(branch.get("properties") or ()):
            return in_schema_order(value, branch, defs)
    known = schema.get("properties") or {}
    return {
        name: in_schema_order(value[name], known.get(name, {}), defs)
        for name in [*(n for n in known if n in value), *(n for n in value if n not in known)]
    }


def _apply_template(
    tokenizer: Any, messages: Sequence[Message], tools: Sequence[Schema], **options: Any
) -> Any:
    try:
        return tokenizer.apply_chat_template(
            _in_order(messages, tools), tools=list(tools) or None, **options
        )
    except TemplateError as error:
        raise ValueError(f"a talk that the chat template refuses: {error}") from error


def _placeholders(tokenizer: Any) -> set[int]:
    return set(tokenizer.convert_tokens_to_ids([IMAGE, AUDIO]))


def _in_order(messages: Sequence[Message], tools: Sequence[Schema]) -> list[Message]:
    """The messages with the arguments of their calls in the order of the schemas."""
    functions = [tool.get("function") or tool for tool in tools]
    schemas = {tool["name"]: tool.get("parameters") or {} for tool in functions}
    ordered: list[Message] = []
    for message in messages:
        if message.get("tool_calls"):
            said = [call.get("function") or call for call in message["tool_calls"]]
            calls = [
                {
                    "name": call["name"],
                    "arguments": in_schema_order(call["arguments"], schemas.get(call["name"], {})),
                }
                for call in said
            ]
            message = {**message, "tool_calls": calls}
        ordered.append(message)
    return ordered
