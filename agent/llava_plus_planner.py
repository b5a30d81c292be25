"""LLaVA-Plus as a planner: a published language model that was trained to call tools.

It names tools as its training did; here these are ours. A name that has no counterpart is passed
on as it is, so that the tool set says what there is, and the model reads that as a result.
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
from nuthatch.agent.conversation import Conversation
from nuthatch.agent.planner import Call
from nuthatch.agent.planner import Turn as PlannerTurn
from nuthatch.mllm.chat_format import ChatFormat
from nuthatch.mllm.continuing import RowStops
from nuthatch.mllm.core import Core
from nuthatch.mllm.layout import Segment, lay_out
from nuthatch.mllm.presets import llava, llava_plus
from nuthatch.mllm.presets.llava_plus import Action, Turn, observation
from nuthatch.mllm.processing import CoreProcessor

MOST_TOKENS = 512
Pictures = Sequence[NDArray[np.uint8]]
Speak = Callable[[Sequence[Segment], Pictures], str]
"""Segments of a talk and its pictures to what the model says next."""

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
        speak: what says the next turn; `load` makes it of a converted checkpoint.
        chat: how the checkpoint's talks are written.
    """

    def __init__(self, speak: Speak, chat: ChatFormat = llava_plus.CHAT_V0) -> None:
        self.speak = speak
        self.chat = chat
        # What it said of each talk while it called, so that its thoughts are told again.
        self._said: WeakKeyDictionary[Conversation, list[Turn]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu", **loading: Any) -> Self:
        """Of a folder that `nuthatch convert llava_plus` wrote; `loading` is for `from_pretrained`.

        Raises:
            OSError, ValueError: a file is missing, or does not fit the others.
        """
        core = Core.from_pretrained(folder, **loading).to(device).eval()
        processor = CoreProcessor.from_pretrained(folder)
        is_v0 = core.config.text_config.vocab_size > 32000  # v0 has a padding token of its own
        chat = llava_plus.CHAT_V0 if is_v0 else llava.chat()
        return cls(_speaker(core, processor, chat), chat)

    def plan(self, conversation: Conversation) -> PlannerTurn:
        """The next turn of a talk: calls, or the answer that the model gives.

        Raises:
            UnreadableTurn: the model wrote actions that are no calls.
        """
        with self._lock:
            segments = self.chat.segments(self._messages(conversation))
            turn = Turn.read(self.chat.read(self.speak(segments, _pictures(conversation))))
            if not turn.actions:
                return Draft(turn.value or turn.thoughts)
            self._said.setdefault(conversation, []).append(turn)
            return [_call(action, conversation) for action in turn.actions]

    def _messages(self, talk: Conversation) -> list[dict[str, Any]]:
        """The talk as the model was trained on it: results come as the user's turns."""
        told: list[dict[str, Any]] = []
        remembered = iter(self._said.get(talk, []))
        for exchange in talk.exchanges:
            given = [h for h in exchange.given if talk.media[h].type == "image"]
            media = [{"type": "image"} for _ in given]
            asked = [*media, {"type": "text", "text": exchange.question}]
            told.append({"role": "user", "content": asked})
            for calls in exchange.turns:
                actions = tuple(Action(call.tool, call.arguments) for call in calls)
                said = next(remembered, None)
                if said is None or len(said.actions) != len(calls):  # a talk read from a journal
                    said = Turn("", actions, "")
                told.append({"role": "assistant", "content": said.write()})
                results = [
                    (action.name, talk.text(exchange.results[call.id]))
                    for action, call in zip(said.actions, calls, strict=True)
                    if call.id in exchange.results
                ]
                told.append({"role": "user", "content": observation(results, exchange.question)})
            if exchange.answer:
                told.append({"role": "assistant", "content": Turn("", (), exchange.answer).write()})
        return told


def _call(action: Action, talk: Conversation) -> Call:
    """One of our calls, on the picture that was given last."""
    pictures = talk.media.handles("image")
    tool, given = TOOLS.get(action.name, action.name), dict(action.arguments)
    given.pop("image", None)  # the model writes a placeholder there
    arguments: dict[str, Any] = {}
    if pictures and tool != "generate_image":
        arguments["image"] = pictures[-1]
    if "caption" in given and tool in ("detect", "ground"):
        phrases = [one.strip() for one in re.split(r"\s*[.;]\s*|,\s+", given.pop("caption"))]
        arguments["labels" if tool == "detect" else "phrases"] = [one for one in phrases if one]
        given.pop("text_threshold", None)
        threshold = given.pop("box_threshold", None)
        if threshold is not None and tool == "detect":
            arguments["threshold"] = threshold
    if tool == "segment" and pictures:
        given.pop("point_labels", None)
        height, width = talk.media.image(pictures[-1]).shape[:2]
        for name in ("boxes", "points"):
            if name in given:
                arguments[name] = [_in_pixels(one, width, height) for one in given.pop(name)]
    return Call(tool, arguments | given)


def _in_pixels(fractions: Sequence[float], width: int, height: int) -> list[float]:
    """Coordinates x y x y ... from fractions of the picture to pixels."""
    return [value * (height if index % 2 else width) for index, value in enumerate(fractions)]


def _pictures(talk: Conversation) -> list[NDArray[np.uint8]]:
    given = [handle for exchange in talk.exchanges for handle in exchange.given]
    return [talk.media.image(h) for h in given if talk.media[h].type == "image"]


def _speaker(core: Core, processor: CoreProcessor, chat: ChatFormat) -> Speak:
    tokenizer = processor.tokenizer
    strings = [stop for stop in chat.stop_strings if stop != tokenizer.eos_token]

    @torch.inference_mode()
    def speak(segments: Sequence[Segment], pictures: Pictures) -> str:
        batch = lay_out([segments], core.config, tokenizer, padding_side="left")
        inputs = {name: batch[name].to(core.device) for name in ("input_ids", "attention_mask")}
        if pictures:
            inputs["pixel_values"] = processor.pixel_values(pictures).to(core.device)
        length = inputs["input_ids"].shape[1]
        stops = RowStops(tokenizer, [strings], length)
        said = core.generate(
            **inputs, do_sample=False, max_new_tokens=MOST_TOKENS, stopping_criteria=[stops]
        )
        return str(stops.texts(said)[0])

    return speak
