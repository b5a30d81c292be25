"""Any chat model as planner: messages and schemas as chat-completion APIs take them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nuthatch import Agent
from nuthatch.agent.answer import Draft
from nuthatch.agent.conversation import Conversation
from nuthatch.agent.planner import Call, Turn

Message = dict[str, Any]
KITCHEN = Path(__file__).with_name("kitchen.png")


class ChatPlanner:
    """Puts the conversation into messages, and what the model returns into a turn."""

    def __init__(self, complete: Callable[[list[Message], list[Message]], Message]) -> None:
        self.complete = complete  # messages and tools to the model's next message

    def plan(self, conversation: Conversation) -> Turn:
        tools = [{"type": "function", "function": each} for each in conversation.tools.schemas()]
        said = self.complete(to_messages(conversation), tools)
        calls = [each["function"] for each in said.get("tool_calls") or []]
        if calls:
            return [Call(each["name"], json.loads(each["arguments"])) for each in calls]
        return Draft(said["content"])


def to_messages(conversation: Conversation) -> list[Message]:
    messages: list[Message] = []
    for exchange in conversation.exchanges:
        media = ", ".join(exchange.given)
        messages.append({"role": "user", "content": f"{exchange.question}\nMedia: {media}"})
        for turn in exchange.turns:
            called = []
            for call in turn:
                function = {"name": call.tool, "arguments": json.dumps(call.arguments)}
                called.append({"id": call.id, "type": "function", "function": function})
            messages.append({"role": "assistant", "content": None, "tool_calls": called})
            for call in turn:
                text = conversation.text(exchange.results[call.id])
                messages.append({"role": "tool", "tool_call_id": call.id, "content": text})
        if exchange.answer is not None:
            messages.append({"role": "assistant", "content": exchange.answer})
    return messages


def complete(messages: list[Message], tools: list[Message]) -> Message:
    """Stands in for a request to a model, so that this runs offline: one call, then an answer."""
    if messages[-1]["role"] == "user":
        arguments = json.dumps({"image": "image_1", "labels": ["cup"]})
        return {"tool_calls": [{"function": {"name": "detect", "arguments": arguments}}]}
    return {"content": f"There are {messages[-1]['content'].count(' cup ')} cups."}


print(Agent.load(planner=ChatPlanner(complete)).ask("How many cups are there?", image=KITCHEN))
