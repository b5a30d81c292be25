"""The trained planner: the core reads the conversation and generates a turn within a grammar.

A conversation is rendered the same way at every step, each turn after the last: tools first, media
once where the user gave them, results as tools observed them. So the core reads only what is new,
and encodes no picture or sound twice. When a conversation outgrows the core's context, the oldest
results are shortened: those of earlier questions four at a time, so that the beginning of the
conversation seldom changes, and then, one by one, those of the question at hand.
"""

import threading
import warnings
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from textwrap import shorten
from typing import Any, Literal

import torch
from pydantic import BaseModel

from nuthatch.agent.answer import Draft
from nuthatch.agent.budget import Budget
from nuthatch.agent.conversation import Conversation, Exchange
from nuthatch.agent.planner import Call, Turn
from nuthatch.agent.relevance import beside_the_question
from nuthatch.mllm.chat import parse_turn, prompt_ids
from nuthatch.mllm.core import Core
from nuthatch.mllm.feature_cache import FeatureCache
from nuthatch.mllm.generation.decoding import Decoder, Medium, PrefixCache, Row
from nuthatch.mllm.generation.grammar import turn_grammar
from nuthatch.mllm.generation.looking_ahead import Guesses
from nuthatch.mllm.processing import CoreProcessor
from nuthatch.tools.media.store import MediaKind, MediaStore

KINDS: tuple[MediaKind | Literal["detection"], ...] = ("image", "audio", "mask", "detection")
SHORT = 60  # characters of a shortened result
AT_ONCE = 4  # results shortened at once
LONGEST_QUOTE = 400  # characters
MOST_VALUES = 16  # of an argument, that are all listed
FIRST_VALUES = 8  # that are listed of more


class CorePlanner:
    """Plans with a core; whatever its weights, its calls are valid and name live handles only.

    Args:
        core, processor: the model, and what prepares its input.
        known: media that were encoded by the same core, for others that use it too.
        weights_name: the name of the core among the agent's weights: what the core says of pictures
            that it does not know is withheld.
        budget: of a question; when no call is left in it, the planner answers.
        describe_tools: add each tool's description to its signature, as in training.
        quoted: hold arguments marked `x-quoted`, labels and boxes, to the user's words and numbers,
            and quotations of an answer to what tools read from media.
        always_call: generate calls as long as the budget has one, never a text; to try out calls.
        max_calls: of one turn.
        max_new_tokens, temperature: as for `Decoder`; `seed` makes drawn turns repeatable.

    One planner may serve many runs; it plans for one at a time.
    """

    def __init__(
        self,
        core: Core,
        processor: CoreProcessor,
        *,
        known: FeatureCache | None = None,
        weights_name: str | None = None,
        budget: Budget | None = None,
        describe_tools: bool = False,
        quoted: bool = True,
        always_call: bool = False,
        max_calls: int = 4,
        max_new_tokens: int = 192,
        temperature: float = 0.0,
        seed: int = 0,
        eyes: str | None = None,
    ) -> None:
        if eyes is not None:
            message = "CorePlanner(eyes=...) is deprecated: use weights_name"
            warnings.warn(message, DeprecationWarning, stacklevel=2)
        self.core = core
        self.processor = processor
        self.weights_name = weights_name or eyes
        self.budget = budget or Budget()
        self.describe_tools = describe_tools
        self.quoted = quoted
        self.always_call = always_call
        self.max_calls = max_calls
        self.seed = seed
        self.decoder = Decoder(
            core,
            processor.tokenizer,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            guesses=Guesses(),
        )
        self._prefix = PrefixCache()
        self.known = known or FeatureCache()
        self._lock = threading.Lock()

    def plan(self, conversation: Conversation) -> Turn:
        """The next turn of one conversation.

        Raises:
            ContextTooLong: the conversation does not fit the core even with all results shortened.
            GrammarError: a tool's schema cannot be made into a grammar; it names the keyword.
        """
        with self._lock:
            return self._turn(self.decoder.generate([self._row(conversation)], self._prefix)[0])

    def plan_batch(self, conversations: Sequence[Conversation]) -> list[Turn]:
        """The next turns of several conversations, generated as a batch; raises as `plan`."""
        with self._lock:
            rows = [self._row(conversation) for conversation in conversations]
            return [self._turn(ids) for ids in self.decoder.generate(rows)]

    def _turn(self, ids: list[int]) -> Turn:
        said = parse_turn(self.processor.tokenizer, ids)
        return Draft(said) if isinstance(said, str) else [Call(*call) for call in said]

    def _row(self, conversation: Conversation) -> Row:
        """What the core reads of a conversation, and what it may say next."""
        turns = sum(len(exchange.turns) for exchange in conversation.exchanges)
        return Row(
            self._prompt(conversation),
            self._grammar(conversation),
            self._media(conversation),
            seed=self.seed + turns,
        )

    def _grammar(self, conversation: Conversation) -> str:
        left = self.budget.calls - sum(len(calls) for calls in conversation.now.turns)
        no_call_left = left < 1 or len(conversation.now.turns) >= self.budget.steps
        unused = beside(conversation)
        return turn_grammar(
            conversation.tools.schemas(),
            {kind: [] if kind in unused else conversation.media.handles(kind) for kind in KINDS},
            allow="answer" if no_call_left else "calls" if self.always_call else "any",
            max_calls=int(min(self.max_calls, max(left, 1))),
            quoted=[exchange.question for exchange in conversation.exchanges]
            if self.quoted
            else None,
            read=_read(conversation) if self.quoted else (),
        )

    def _prompt(self, conversation: Conversation) -> list[int]:
        """The conversation as token ids, with as few of its results shortened as will fit."""

        def ids(shortened: int) -> list[int]:
            return prompt_ids(
                self.processor.tokenizer,
                messages(conversation, shortened),
                _brief(conversation.tools.schemas()),
                queries=self.processor.config.num_tokens("image"),
                describe_tools=self.describe_tools,
            )

        whole = ids(0)
        if len(whole) <= self.decoder.longest_prompt:
            return whole
        results = sum(len(exchange.observed) for exchange in _told(conversation))
        earlier = results - len(conversation.now.observed)
        steps = [*range(AT_ONCE, earlier, AT_ONCE), *range(max(earlier, 1), results + 1)]
        enough = bisect_left(
            steps, x=True, key=lambda n: len(ids(n)) <= self.decoder.longest_prompt
        )
        return ids(steps[enough] if enough < len(steps) else results)

    def _media(self, conversation: Conversation) -> list[Medium]:
        """The media that the user gave, in order of appearance."""
        unused = beside(conversation)
        given = [handle for exchange in conversation.exchanges for handle in exchange.given]
        told = [handle for handle in given if conversation.media[handle].type not in unused]
        return [self._medium(conversation.media, handle) for handle in told]

    def _medium(self, store: MediaStore, handle: str) -> Medium:
        """A picture or sound as vectors (Q, D); known content is not encoded again."""
        key = store[handle].sha256
        return Medium(key, self.known.get(key, lambda: self._encoded(store, handle)))

    @torch.inference_mode()
    def _encoded(self, store: MediaStore, handle: str) -> torch.Tensor:
        if store[handle].type == "image":
            pixels = self.processor.pixel_values([store.image(handle)])
            seen: torch.Tensor = self.core.embed_image(pixels.to(self.core.device))[0]
            return seen
        banks = self.processor.filter_banks([store.audio(handle).copy()])
        vectors: torch.Tensor = self.core.embed_audio(banks.to(self.core.device))[0]
        return vectors


def _brief(part: Any) -> Any:
    """Schemas with the first values of long enumerations only: the prompt has little room, and the
    grammar knows them all."""
    if isinstance(part, list):
        return [_brief(each) for each in part]
    if not isinstance(part, dict):
        return part
    brief = {name: _brief(each) for name, each in part.items()}
    values = part.get("enum")
    if isinstance(values, list) and len(values) > MOST_VALUES:
        brief["enum"] = [*values[:FIRST_VALUES], "..."]
    return brief


def _read(conversation: Conversation) -> list[str]:
    """What tools read from media for the question at hand: every text, and those of a result in
    one; longer ones than a turn has room for are left out."""
    found: dict[str, None] = {}
    for result in conversation.now.observed:
        for name in result.taint:
            texts = list(_texts(dict(result.value or ()).get(name)))
            found |= dict.fromkeys([*texts, " ".join(texts)])
    return [text for text in found if text.strip() and len(text) <= LONGEST_QUOTE]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)
    elif isinstance(value, BaseModel):
        yield from _texts([part for _, part in value])


def beside(conversation: Conversation) -> frozenset[MediaKind]:
    """The kinds of media that the question at hand is not about: the core does not read them."""
    given = [handle for exchange in conversation.exchanges for handle in exchange.given]
    return beside_the_question(
        conversation.question, frozenset(conversation.media[each].type for each in given)
    )


def _told(conversation: Conversation) -> list[Exchange]:
    """The exchanges that the core reads: without earlier ones whose results hold text that was read
    from media. That text may state anything, and it is about no later question."""
    return [
        exchange
        for exchange in conversation.exchanges
        if exchange is conversation.now or not any(result.taint for result in exchange.observed)
    ]


def messages(conversation: Conversation, shortened: int = 0) -> list[dict[str, Any]]:
    """A conversation as chat messages; of the first `shortened` results only the beginning.

    The media of exchanges that are left out come with the next question.
    """
    told: list[dict[str, Any]] = []
    unused, exchanges = beside(conversation), _told(conversation)
    media: list[dict[str, str]] = []
    for exchange in conversation.exchanges:
        media += conversation.parts(exchange, without=unused)
        if exchange not in exchanges:
            continue
        told.append(
            {"role": "user", "content": [*media, {"type": "text", "text": exchange.question}]}
        )
        media = []
        for calls in exchange.turns:
            said = [{"name": call.tool, "arguments": call.arguments} for call in calls]
            told.append({"role": "assistant", "tool_calls": said})
            for call in calls:
                if call.id in exchange.results:  # all have one, but in a run that was killed
                    text = conversation.text(exchange.results[call.id])
                    if shortened > 0:
                        text, shortened = shorten(text, SHORT, placeholder=" ..."), shortened - 1
                    told.append({"role": "tool", "content": text})
        if exchange.answer:
            told.append({"role": "assistant", "content": exchange.answer})
    return told
