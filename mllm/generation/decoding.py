"""Constrained decoding: turns that match a grammar, one forward pass for each choice it leaves.

What the grammar forces rides along with the next choice in one forward pass: of a tool call, that
is most of it. Rows with different grammars share a batch. Across the steps and turns of a
conversation, `PrefixCache` keeps keys and values, so that only what is new is computed. With
`Guesses` the next tokens are guessed from earlier turns, and read with what waits.

Shapes: B rows of the batch, T tokens of a pass, V vocabulary, Q queries a medium, D model width.
"""

import inspect
import re
import warnings
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import llguidance.hf
import numpy as np
import torch
from llguidance import LLMatcher, LLTokenizer
from numpy.typing import NDArray
from torch import Tensor
from transformers import DynamicCache

from nuthatch.mllm.chat import AUDIO, CALL, IMAGE
from nuthatch.mllm.generation.looking_ahead import SIZES, Guesses

CLOSING = 64  # tokens a turn may take to end once its own are used up
COMPILED = 64  # grammars kept
_QUOTE = re.compile(r'(?<!\\)(?:\\\\)*"')  # one that is not escaped


class ContextTooLong(ValueError):
    """A prompt that leaves the model no room for a turn."""


class Medium(NamedTuple):
    """A picture or sound as the model reads it; `key` names its content, e.g. by sha256."""

    key: str
    vectors: Tensor  # (Q, D)


@dataclass(frozen=True)
class Row:
    """One turn to generate: the prompt, its media in order of appearance, the grammar.

    `prompt` holds Q placeholders for each medium.
    """

    prompt: Sequence[int]
    grammar: str
    media: Sequence[Medium] = ()
    seed: int = 0


class PrefixCache:
    """Keys and values of the last few conversations: the next turn computes only what is new.

    A new conversation that begins like a kept one (same tools, same pictures) starts from a copy.
    Not for several threads at once.
    """

    def __init__(self, conversations: int = 4) -> None:
        self.conversations = conversations
        self._kept: list[_Kept] = []  # the latest last

    def take(self, keys: list[Hashable]) -> tuple[DynamicCache, int]:
        """A cache that holds the first tokens of `keys`, and how many; never all of them."""
        best = max(self._kept, key=lambda kept: _shared(kept.keys, keys), default=None)
        shared = 0 if best is None else min(_shared(best.keys, keys), len(keys) - 1)
        if best is None or shared == 0:
            return DynamicCache(), 0
        if shared >= best.prompt - 1:  # all it was given: the same conversation goes on
            self._kept.remove(best)
            best.cache.crop(shared - len(best.keys))
            return best.cache, shared
        copy = DynamicCache()
        for number, layer in enumerate(best.cache.layers):
            keys_and_values = (part[..., :shared, :].clone() for part in (layer.keys, layer.values))
            copy.update(*keys_and_values, number)
        return copy, shared

    def keep(self, keys: list[Hashable], prompt: int, cache: DynamicCache) -> None:
        """Keep a cache that holds exactly these tokens, of which `prompt` were given."""
        self._kept.append(_Kept(keys, prompt, cache))
        del self._kept[: -self.conversations]


class _Kept(NamedTuple):
    keys: list[Hashable]
    prompt: int
    cache: DynamicCache


def _shared(one: list[Hashable], other: list[Hashable]) -> int:
    """How many tokens two conversations have in common from the start."""
    for place, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return place
    return min(len(one), len(other))


def _in_string(text: str) -> bool:
    """Whether the last call of a turn stands inside a JSON string."""
    call = text.rpartition(CALL)
    return bool(call[1]) and len(_QUOTE.findall(call[2])) % 2 == 1


@lru_cache(maxsize=4)
def _vocabulary(tokenizer: Any) -> LLTokenizer:
    """The tokenizer as llguidance knows it; half a second's work."""
    return llguidance.hf.from_tokenizer(tokenizer, n_vocab=len(tokenizer))


class Decoder:
    """Generates turns with a core, or with any causal language model of transformers.

    `temperature` 0 takes the likeliest token; otherwise tokens are drawn, row by row from the row's
    own seed, so that a row gives the same alone and in a batch. After `max_new_tokens` a turn is
    closed in the shortest way that its grammar allows, so it is valid even then.

    `guesses` serve single rows with a prefix cache and temperature 0; they change only the number
    of passes, not what is generated.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        max_new_tokens: int = 192,
        temperature: float = 0.0,
        guesses: Guesses | None = None,
    ) -> None:
        self.model = model
        self.max_new_tokens = max_new_tokens
        self.temperature = temperature
        self.context: int = model.config.get_text_config().max_position_embeddings
        self._size = len(tokenizer)
        self._vocabulary = _vocabulary(tokenizer)
        self._compiled: OrderedDict[str, LLMatcher] = OrderedDict()
        self.guesses = guesses
        self._end: int = tokenizer.eos_token_id
        self._pad: int = self._end if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        self._places = set(tokenizer.convert_tokens_to_ids([IMAGE, AUDIO]))
        texts = ((i, tokenizer.decode([i])) for i in range(self._size))
        closing = {i: len(text) for i, text in texts if text and set(text) <= set('"]}')}
        longest = sorted(closing, key=lambda i: -closing[i])
        quotes = [i for i in longest if tokenizer.decode([i]).startswith('"')]
        others = [self._end, *(i for i in longest if i not in quotes)]
        self._closing = {True: np.array(quotes + others), False: np.array(others + quotes)}
        self._tokenizer = tokenizer
        forward = inspect.signature(model.forward).parameters
        takes_rest = any(p.kind is p.VAR_KEYWORD for p in forward.values())
        self._keeps_logits = "logits_to_keep" in forward or takes_rest

    @property
    def longest_prompt(self) -> int:
        """Tokens, the queries of media included, that leave room for a turn."""
        return self.context - self.max_new_tokens - CLOSING

    @torch.inference_mode()
    def generate(self, rows: Sequence[Row], prefix: PrefixCache | None = None) -> list[list[int]]:
        """One turn a row: its token ids, the end token included.

        Args:
            rows: what to generate; see `Row`.
            prefix: with a single row: where its keys and values come from and go to.

        Raises:
            ContextTooLong: a prompt has more than `longest_prompt` tokens.
            ValueError: a grammar is wrong, or placeholders and media of a row do not match.
        """
        if prefix is not None and len(rows) != 1:
            raise ValueError(f"given {len(rows)} rows and a prefix cache, which serves one row")
        sequences = [self._sequence(row) for row in rows]
        cache, guesses = DynamicCache(), None
        if prefix is not None:
            cache, known = prefix.take(sequences[0].keys)
            sequences[0].skip(known)
            guesses = self.guesses if self.temperature == 0 else None
        active = [sequence for sequence in sequences if not sequence.ended]
        seen = torch.ones(len(active), cache.get_seq_length(), dtype=torch.bool)
        while active:
            guess = [] if guesses is None else self._guess(active[0], guesses)
            inputs, seen, places = self._inputs(active, cache, seen, guess)
            logits = self.model(**inputs).logits[places].float().cpu()
            active, seen = self._advanced(active, logits, cache, seen, guess)
        if prefix is not None:
            read = cache.get_seq_length()
            keys = [*sequences[0].keys, *sequences[0].generated][:read]
            prefix.keep(keys, len(sequences[0].keys), cache)
        if guesses is not None:
            guesses.remember(rows[0].prompt, sequences[0].generated)
        return [sequence.generated for sequence in sequences]

    def speak(self, rows: Sequence[Row], prefix: PrefixCache | None = None) -> list[list[int]]:
        """The name of `generate` in the previous release."""
        warnings.warn("Decoder.speak is deprecated: use generate", DeprecationWarning, stacklevel=2)
        return self.generate(rows, prefix)

    def _advanced(
        self,
        active: list["_Sequence"],
        logits: Tensor,
        cache: DynamicCache,
        seen: Tensor,
        guess: list[int],
    ) -> tuple[list["_Sequence"], Tensor]:
        """Extend the sequences by what the model chose after a pass: those that have not ended, and
        which columns of the cache count for them."""
        for sequence in active:
            sequence.read += len(sequence.waiting)
            sequence.waiting = []
        if guess:
            self._accept(active[0], logits, cache, guess)
        else:
            for sequence, row in zip(active, logits, strict=True):
                self._append(sequence, self._choose(sequence, row))
        going = [n for n, sequence in enumerate(active) if not sequence.ended]
        if 0 < len(going) < len(active):  # rows that ended leave the batch
            cache.batch_select_indices(torch.tensor(going, device=self.model.device))
            seen = seen[going]
        return [active[n] for n in going], seen[:, : cache.get_seq_length()]

    # -- guesses of the next tokens ---------------------------------------------------------------

    def _accept(
        self, sequence: "_Sequence", logits: Tensor, cache: DynamicCache, guess: list[int]
    ) -> None:
        """Keep of a guess, which the model has read, what it would have generated itself."""
        sequence.read -= len(guess)  # not accepted yet
        right = 0
        while not sequence.ended and not sequence.waiting and right <= len(guess):
            self._append(sequence, self._choose(sequence, logits[right]))
            while sequence.waiting and sequence.waiting[:1] == guess[right : right + 1]:
                right += 1
                sequence.read += 1
                del sequence.waiting[0]
        if right < len(guess):
            cache.crop(right - len(guess))

    def _guess(self, sequence: "_Sequence", guesses: Guesses) -> list[int]:
        """Tokens that may come next; all are allowed one after the other."""
        before = [*sequence.row.prompt[-SIZES[0] :], *sequence.generated]
        room = self.context - len(sequence.keys) - len(sequence.generated)
        guess = guesses.after(before)[: max(0, room)]
        return guess[: sequence.matcher.validate_tokens(guess)] if guess else []

    # -- the grammar's side -----------------------------------------------------------------------

    def _sequence(self, row: Row) -> "_Sequence":
        if len(row.prompt) > self.longest_prompt:
            raise ContextTooLong(
                f"the prompt has {len(row.prompt):,} tokens, media included; at most "
                f"{self.longest_prompt:,} leave room for a turn in the model's {self.context:,}: "
                "shorten the conversation, or offer fewer tools"
            )
        keys, places = list[Hashable](row.prompt), 0
        names = [(medium.key, n) for medium in row.media for n in range(len(medium.vectors))]
        for place, token in enumerate(row.prompt):
            if token in self._places:
                keys[place] = names[places] if places < len(names) else token
                places += 1
        if places != len(names):
            raise ValueError(
                f"the prompt has {places} placeholders for {len(row.media)} media of "
                f"{len(names)} vectors in all; expected one placeholder for each vector"
            )
        sequence = _Sequence(row, keys, self._matcher(row.grammar))
        sequence.waiting = list(row.prompt)
        sequence.random.manual_seed(row.seed)
        self._append_forced(sequence)
        return sequence

    def _matcher(self, grammar: str) -> LLMatcher:
        """A fresh matcher; a grammar that was met before is not compiled again."""
        if grammar not in self._compiled:
            self._compiled[grammar] = LLMatcher(self._vocabulary, grammar, log_level=0)
            if len(self._compiled) > COMPILED:
                self._compiled.popitem(last=False)
        self._compiled.move_to_end(grammar)
        matcher = self._compiled[grammar].deep_copy()
        if matcher.is_error():
            raise ValueError(f"the grammar of the turn is wrong: {matcher.get_error()}")
        return matcher

    def _append(self, sequence: "_Sequence", token: int) -> None:
        """Take a chosen token, and all that must follow it."""
        sequence.append([token])
        if token == self._end:
            sequence.ended = True
        else:
            self._append_forced(sequence)

    def _append_forced(self, sequence: "_Sequence") -> None:
        """Say what the grammar forces; then `allowed` is what there is to choose from."""
        while not sequence.matcher.is_stopped():
            if forced := sequence.matcher.compute_ff_tokens():
                sequence.append(forced)
                continue
            bits = np.frombuffer(sequence.matcher.compute_bitmask(), np.uint8)
            sequence.allowed = np.unpackbits(bits, bitorder="little")[: self._size].astype(bool)
            if np.count_nonzero(sequence.allowed) != 1:
                break
            sequence.append([int(sequence.allowed.argmax())])
        if sequence.matcher.is_error():
            raise ValueError(f"the grammar of the turn failed: {sequence.matcher.get_error()}")
        if sequence.matcher.is_stopped():
            if sequence.generated[-1:] != [self._end]:
                sequence.generated.append(self._end)
            sequence.ended = True

    def _choose(self, sequence: "_Sequence", logits: Tensor) -> int:
        """The next token, from (V,) logits."""
        allowed = sequence.allowed
        if len(sequence.generated) >= self.max_new_tokens:
            if len(sequence.keys) + len(sequence.generated) >= self.context:
                raise ContextTooLong("the turn has reached the end of the model's context")
            order = self._closing[_in_string(self._tokenizer.decode(sequence.generated))]
            closing = order[allowed[order]]
            if closing.size:
                return int(closing[0])
        scores = logits[: self._size].masked_fill(~torch.from_numpy(allowed), -torch.inf)
        if self.temperature == 0:
            return int(scores.argmax())
        chances = (scores.double() / self.temperature).softmax(-1)
        return int(torch.multinomial(chances, 1, generator=sequence.random))

    # -- the model's side -------------------------------------------------------------------------

    def _inputs(
        self, active: Sequence["_Sequence"], cache: DynamicCache, seen: Tensor, guess: list[int]
    ) -> tuple[dict[str, Any], Tensor, tuple[Tensor, Tensor]]:
        """What the model reads in one pass: all that waits in each row, padded on the right, and
        after that of a single row the guess.

        Returns:
            the model's inputs; which columns of the cache count after the pass (B, past + T); and
            the places (row, column) in the model's logits that choose the next tokens: one a row,
            or of a single row one before each token of the guess and one after it.
        """
        device, ahead = self.model.device, len(guess)
        if guess:
            active[0].waiting += guess
        lengths = torch.tensor([len(sequence.waiting) for sequence in active])
        width = int(lengths.max())
        ids = torch.full((len(active), width), self._pad)
        for row, sequence in zip(ids, active, strict=True):
            row[: len(sequence.waiting)] = torch.tensor(sequence.waiting)
        starts = torch.tensor([sequence.read for sequence in active])
        positions = (starts[:, None] + torch.arange(width)).clamp_max(self.context - 1)
        seen = torch.cat([seen, torch.arange(width) < lengths[:, None]], dim=1)
        inputs: dict[str, Any] = {
            "input_ids": ids.to(device),
            "position_ids": positions.to(device),
            "past_key_values": cache,
            "use_cache": True,
        }
        if not bool(seen.all()):
            inputs["attention_mask"] = seen.long().to(device)
        if media := [vectors for sequence in active for vectors in sequence.media()]:
            inputs["media_embeds"] = torch.stack(media).to(device)
        rows, last = torch.arange(len(active)), lengths - 1
        if ahead:
            rows, last = torch.zeros(ahead + 1, dtype=torch.long), torch.arange(ahead + 1)
            last += width - 1 - ahead
        if self._keeps_logits:  # of the whole prompt they would be large
            last, where = last.unique(return_inverse=True)
            inputs["logits_to_keep"] = last.to(device)
            last = where
        return inputs, seen, (rows.to(device), last.to(device))


@dataclass
class _Sequence:
    """A row under way."""

    row: Row
    keys: list[Hashable]  # the prompt, with the content's name where a medium stands
    matcher: LLMatcher
    generated: list[int] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)  # tokens that the model has not read yet
    read: int = 0  # tokens that it has read
    allowed: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    random: torch.Generator = field(default_factory=torch.Generator)
    ended: bool = False

    def append(self, tokens: list[int]) -> None:
        """Say these; the matcher stops with an error if it must not."""
        self.matcher.consume_tokens(tokens)
        self.generated += tokens
        self.waiting += tokens

    def skip(self, known: int) -> None:
        """The first tokens of the prompt are in the cache already."""
        self.read = known
        self.waiting = self.waiting[known:]

    def media(self) -> list[Tensor]:
        """The media in what waits, as (Q, D) each."""
        read = sum(isinstance(key, tuple) for key in self.keys[: self.read])
        unread = []
        for medium in self.row.media:
            if read <= 0 and self.read < len(self.keys):
                unread.append(medium.vectors)
            read -= len(medium.vectors)
        return unread
