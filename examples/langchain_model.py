"""A LangChain chat model as planner. Needs the extra `langchain`."""

from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from nuthatch import Agent
from nuthatch.agent.answer import Draft
from nuthatch.agent.conversation import Conversation
from nuthatch.agent.planner import Call, Turn

KITCHEN = Path(__file__).with_name("kitchen.png")


class LangChainPlanner:
    """Binds the schemas of the tools to the model, and reads its calls or its answer."""

    def __init__(self, model: BaseChatModel) -> None:
        self.model = model

    def plan(self, conversation: Conversation) -> Turn:
        tools = [{"type": "function", "function": each} for each in conversation.tools.schemas()]
        said = self.model.bind_tools(tools).invoke(to_messages(conversation))
        if said.tool_calls:
            return [Call(each["name"], each["args"]) for each in said.tool_calls]
        return Draft(str(said.text))


def to_messages(conversation: Conversation) -> list[BaseMessage]:
    messages: list[BaseMessage] = []
    for exchange in conversation.exchanges:
        media = ", ".join(exchange.given)
        messages.append(HumanMessage(f"{exchange.question}\nMedia: {media}"))
        for turn in exchange.turns:
            called = [{"id": c.id, "name": c.tool, "args": c.arguments} for c in turn]
            messages.append(AIMessage("", tool_calls=called))
            for call in turn:
                text = conversation.text(exchange.results[call.id])
                messages.append(ToolMessage(text, tool_call_id=call.id))
        if exchange.answer is not None:
            messages.append(AIMessage(exchange.answer))
    return messages


class Recorded(FakeMessagesListChatModel):
    """Stands in for a model behind a network, so that this runs offline."""

    def bind_tools(self, tools: Any, **_: Any) -> Any:
        return self


call = {"id": "1", "name": "detect", "args": {"image": "image_1", "labels": ["cup"]}}
model = Recorded(responses=[AIMessage("", tool_calls=[call]), AIMessage("There are two cups.")])
answer = Agent.load(planner=LangChainPlanner(model)).ask("How many cups?", image=KITCHEN)
print("draft: ", answer.draft)
print("answer:", answer)
