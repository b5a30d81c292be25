"""LLaVA-Plus as a planner: a published language model that was trained to call tools.

It names tools as its training did; here these are ours. A name that has no counterpart is passed
on as it is, so that the tool set says what there is, and the model reads that as a result.

Example: `examples/llava_plus_planner.py`.
"""

import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray

from nuthatch.agent.answer import Draft
from nuthatch.agent.conversation import Conversation, Exchange
from nuthatch.agent.planner import Call
from nuthatch.agent.planner import Turn as PlannerTurn
from nuthatch.mllm.chat_format import ChatFormat
from nuthatch.mllm.core import Core
from nuthatch.mllm.generation.continuing import RowStops
from nuthatch.mllm.generation.decoding import ContextTooLong
from nuthatch.mllm.layout import Segment, lay_out
from nuthatch.mllm.presets import llava, llava_plus
from nuthatch.mllm.presets.llava_plus import Action, Turn, UnreadableTurn, observation
from nuthatch.mllm.processing import CoreProcessor

MOST_TOKENS = 512
Pictures = Sequence[NDArray[np.uint8]]
Generate = Callable[[Sequence[Segment], Pictures], str]
"""Segments of a conversation and its pictures to the text that the model generates."""

CHATS = {"v0": llava_plus.CHAT_V0, "v1": llava.chat()}
"""How conversations are written for each version of Vicuna, see `CoreConfig.prompt_style`."""
TOOLS = {
    "grounding_dino": "detect",
    "grounding_dino+sam": "ground",
    "grounded_sam": "ground",
    "sam": "segment",
    "ram": "tag",
    "blip2": "caption",
    "easyocr": "read_text",
    "stable_diffusion": "generate_image",
    "instructpix2pix": "edit_image",
}
"""Names of the released data, and the tools that do the same here."""


class LlavaPlusPlanner:
    """Plans as LLaVA-Plus does: thoughts, actions and a value a turn.

    Args:
        generate: what writes the next turn; `load` makes it of a converted checkpoint.
        chat: how the checkpoint's conversations are written.
    """

    def __init__(self, generate: Generate, chat: ChatFormat = llava_plus.CHAT_V0) -> None:
        self.generate = generate
        self.chat = chat
        # What it wrote in each conversation while it called, so that its thoughts are read again.
        self._said: WeakKeyDictionary[Conversation, list[Turn]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu", **loading: Any) -> Self:
        """Of a folder that `nuthatch convert llava_plus` wrote; `loading` is for `from_pretrained`.

        Where the config does not say how conversations are written, the vocabulary does: v0 has a
        padding token of its own.

        Raises:
            OSError, ValueError: a file is missing, or does not fit the others.
        """
        core = Core.from_pretrained(folder, **loading).to(device).eval()
        processor = CoreProcessor.from_pretrained(folder, hub=loading.get("hub", False))
        guess = "v0" if core.config.text_config.vocab_size > 32000 else "v1"
        style = core.config.prompt_style or guess
        if style not in CHATS:
            raise ValueError(
                f"{folder} holds a core whose prompt_style is {style!r}, expected one of "
                f"{', '.join(CHATS)}"
            )
        return cls(_generator(core, processor, CHATS[style]), CHATS[style])

    def plan(self, conversation: Conversation) -> PlannerTurn:
        """The next turn of a conversation: calls, or the answer that the model gives.

        A turn that cannot be read is reported to the model, once, and it may write another.

        Raises:
            UnreadableTurn: the other one cannot be read either.
            ContextTooLong: the conversation leaves the model no room for a turn.
        """
        with self._lock:
            told = self._messages(conversation)
            said = self._say(told, conversation)
            try:
                turn = Turn.read(said)
            except UnreadableTurn as error:
                told.append({"role": "assistant", "content": said})
                told.append({"role": "user", "content": f"{error}\n\n{conversation.question}"})
                turn = Turn.read(self._say(told, conversation))
            if not turn.actions:
                return Draft(turn.value or turn.thoughts)
            self._said.setdefault(conversation, []).append(turn)
            return [_call(action, conversation) for action in turn.actions]

    def _say(self, told: list[dict[str, Any]], conversation: Conversation) -> str:
        pictures = [
            conversation.media.image(handle)
            for handle in _pictures(conversation.exchanges, conversation)
        ]
        return self.chat.read(self.generate(self.chat.segments(told), pictures))

    def _messages(self, conversation: Conversation) -> list[dict[str, Any]]:
        """The conversation as the model was trained on it: results come as the user's turns."""
        told: list[dict[str, Any]] = []
        remembered = iter(self._said.get(conversation, []))
        for exchange in conversation.exchanges:
            media = [{"type": "image"} for _ in _pictures([exchange], conversation)]
            asked = [*media, {"type": "text", "text": exchange.question}]
            told.append({"role": "user", "content": asked})
            for calls in exchange.turns:
                actions = tuple(Action(call.tool, call.arguments) for call in calls)
                said = next(remembered, None)
                known = said is not None and len(said.actions) == len(calls)
                if said is None or not known:  # the conversation was read from a journal
                    said = Turn("", actions, "")
                told.append({"role": "assistant", "content": said.write()})
                results = [
                    (action.name, conversation.text(exchange.results[call.id]))
                    for action, call in zip(said.actions, calls, strict=True)
                    if call.id in exchange.results
                ]
                told.append({"role": "user", "content": observation(results, exchange.question)})
            if exchange.answer:
                told.append({"role": "assistant", "content": Turn("", (), exchange.answer).write()})
        return told


def _call(action: Action, conversation: Conversation) -> Call:
    """One of our calls, on the picture that the user gave last.

    Arguments of another shape than in training stay as they are: the tool set refuses them, and
    the model reads why.
    """
    pictures = _pictures(conversation.exchanges, conversation)
    tool, given = TOOLS.get(action.name, action.name), dict(action.arguments)
    given.pop("image", None)  # the model writes a placeholder there
    arguments: dict[str, Any] = {}
    if pictures and tool != "generate_image":
        arguments["image"] = pictures[-1]
    if isinstance(given.get("caption"), str) and tool in ("detect", "ground"):
        phrases = [one.strip() for one in re.split(r"\s*[.;]\s*|,\s+", given.pop("caption"))]
        arguments["labels" if tool == "detect" else "phrases"] = [one for one in phrases if one]
        given.pop("text_threshold", None)
        threshold = given.pop("box_threshold", None)
        if threshold is not None and tool == "detect":
            arguments["threshold"] = threshold
    if tool == "segment" and pictures:
        given.pop("point_labels", None)
        height, width = conversation.media.image(pictures[-1]).shape[:2]
        for name, numbers in (("boxes", 4), ("points", 2)):
            if _are_rows(given.get(name), numbers):
                arguments[name] = [_in_pixels(one, width, height) for one in given.pop(name)]
    return Call(tool, arguments | given)


def _are_rows(given: Any, numbers: int) -> bool:
    """Whether this is a list of lists of so many numbers."""
    return isinstance(given, list) and all(
        isinstance(row, list)
        and len(row) == numbers
        and all(isinstance(value, int | float) for value in row)
        for row in given
    )


def _in_pixels(fractions: Sequence[float], width: int, height: int) -> list[float]:
    """Coordinates x y x y ... from fractions of the picture to pixels."""
    return [value * (height if index % 2 else width) for index, value in enumerate(fractions)]


def _pictures(exchanges: Sequence[Exchange], conversation: Conversation) -> list[str]:
    """Handles of the pictures that the user gave in these exchanges."""
    given = [handle for exchange in exchanges for handle in exchange.given]
    return [handle for handle in given if conversation.media[handle].type == "image"]


def _generator(core: Core, processor: CoreProcessor, chat: ChatFormat) -> Generate:
    tokenizer = processor.tokenizer
    context = core.config.text_config.max_position_embeddings

    @torch.inference_mode()
    def generate(segments: Sequence[Segment], pictures: Pictures) -> str:
        batch = lay_out([segments], core.config, tokenizer, padding_side="left")
        inputs = {name: batch[name].to(core.device) for name in ("input_ids", "attention_mask")}
        if pictures:
            inputs["pixel_values"] = processor.pixel_values(pictures).to(core.device)
        length = inputs["input_ids"].shape[1]
        if length >= context:
            raise ContextTooLong(
                f"the conversation has {length:,} tokens, pictures included, which leaves no room "
                f"for a turn in the model's {context:,}; begin a new one, or give fewer pictures"
            )
        most = min(MOST_TOKENS, context - length)
        stops = RowStops(tokenizer, [chat.stop_strings], length)
        said = core.generate(
            **inputs, do_sample=False, max_new_tokens=most, stopping_criteria=[stops]
        )
        return str(stops.texts(said)[0])

    return generate
