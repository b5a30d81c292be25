"""Talks that go on, fork and roll back over one cache, and text that stops at given strings.

TextBind (Li et al., 2023) writes a picture's caption, forgets it again and reads the picture in its
place: that is `stream`, `rollback`, `read`.

Shapes: B rows of a batch, T tokens, V vocabulary.

Example: `examples/fork_and_rollback.py`.
"""

import copy
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import DynamicCache, StoppingCriteria

from nuthatch.mllm.generation.decoding import ContextTooLong


class Piece(NamedTuple):
    """A token as it was chosen, and the text that is certain with it."""

    token: int
    text: str


class Continuation:
    """One talk with a model: what was read and written so far, and its keys and values.

    `model` is a `Core`, or any causal language model of transformers with full attention; with a
    `tokenizer` its stream is text too. `ids` are the tokens so far, media placeholders included.
    Every token is read once, and media are encoded only in the `read` that brings them.
    """

    def __init__(self, model: Any, tokenizer: Any = None) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.ids: list[int] = []
        self._cache = DynamicCache()  # holds the first tokens of `ids`; the rest waits to be read
        self._logits: Tensor | None = None  # (V,) after the last token in the cache, where known
        self._context: int = model.config.get_text_config().max_position_embeddings
        self._placeholders: tuple[int, ...] = getattr(model.config, "media_token_ids", ())

    def read(self, ids: Sequence[int], **media: Tensor) -> Tensor:
        """Append tokens, with the media whose placeholders are among them (see `Core.forward`).

        Returns:
            Logits (V,) of the token after them, in float32.

        Raises:
            ContextTooLong: the talk would be longer than the model's context.
            ValueError: no tokens are given, or media and placeholders do not match; the talk stays
                as it was.
        """
        if not len(ids):
            raise ValueError("given no tokens to read, expected at least one")
        self._check_room(len(ids))
        tokens = [int(token) for token in ids]
        logits = self._forward([*self._waiting(), *tokens], **media)
        self.ids += tokens
        return logits.clone()

    @torch.inference_mode()
    def fork(self) -> "Continuation":
        """An independent copy of the talk; only model and tokenizer are shared."""
        other = Continuation(self.model, self.tokenizer)
        other.ids = list(self.ids)
        other._cache = copy.deepcopy(self._cache)
        other._logits = self._logits  # never written to
        return other

    def rollback(self, number: int) -> None:
        """Forget the last tokens, read or written.

        Raises:
            ValueError: the talk does not have so many.
        """
        if not 0 <= number <= len(self.ids):
            raise ValueError(f"given {number} tokens to forget, expected 0 to {len(self.ids)}")
        kept = len(self.ids) - number
        if kept < self._cache.get_seq_length():
            self._cache.crop(kept - self._cache.get_seq_length())
            self._logits = None
        del self.ids[kept:]

    def stream(
        self,
        max_new_tokens: int,
        *,
        stop: str | int | Sequence[str | int] = (),
        temperature: float = 0.0,
        seed: int = 0,
    ) -> Iterator[Piece]:
        """Write on, one piece a token, until something stops it.

        The texts of the pieces together are the decoded tokens without special ones, up to the
        first stop string. Text that could still become a stop string, or whose last character is
        not complete, is held back for a later piece. What was shown stays shown, also where bytes
        that are no character at last spoil the decoding of whole ones before them. The talk keeps
        all tokens, those of the stop too: `rollback` forgets them. One may leave the stream at any
        piece.

        Args:
            max_new_tokens: tokens to write at most.
            stop: strings and token ids that end it, besides the end tokens of the model's
                generation config. The tokenizer's end token may be given as a string too. (The
                generation config's `suppress_tokens` are never chosen.)
            temperature: 0 takes the likeliest token; otherwise tokens are drawn.
            seed: of the draw.

        Raises:
            ContextTooLong: the context has no room for `max_new_tokens`.
            ValueError: nothing was read yet, or the talk was rolled back to right behind a medium;
                a stop string is empty, holds a special token or is given without a tokenizer; a
                number is too small.
        """
        if max_new_tokens < 1 or temperature < 0:
            raise ValueError(
                f"given max_new_tokens={max_new_tokens} and temperature={temperature}; expected at "
                "least 1, and at least 0.0"
            )
        self._check_room(max_new_tokens)
        stop = [stop] if isinstance(stop, str | int) else stop
        given = [each for each in stop if isinstance(each, str)]
        strings = _strings(given, self.tokenizer)
        ends = set(_listed(self.model.generation_config.eos_token_id))
        ends |= {each for each in stop if isinstance(each, int)}
        if len(strings) < len(given):
            ends.add(self.tokenizer.eos_token_id)
        return self._pieces(max_new_tokens, strings, ends, temperature, seed)

    def _pieces(
        self, most: int, stops: list[str], ends: set[int], temperature: float, seed: int
    ) -> Iterator[Piece]:
        random = torch.Generator().manual_seed(seed)
        written: list[int] = []
        shown = 0  # characters
        for number in range(1, most + 1):
            token = self._choose(temperature, random)
            self.ids.append(token)
            if token not in ends:
                written.append(token)
            text = "" if self.tokenizer is None else _decode(self.tokenizer, written)
            cut = _first_stop(text, stops)
            if token in ends or cut is not None or number == most:
                yield Piece(token, text[shown:cut])
                return
            certain = max(shown, len(text) - _unsure(text, stops))  # a half character hides others
            yield Piece(token, text[shown:certain])
            shown = certain

    def _choose(self, temperature: float, random: torch.Generator) -> int:
        logits = self._next_logits().cpu().clone()
        logits[_listed(self.model.generation_config.suppress_tokens)] = -torch.inf
        if temperature == 0:
            return int(logits.argmax())
        chances = (logits.double() / temperature).softmax(-1)
        return int(torch.multinomial(chances, 1, generator=random))

    def _next_logits(self) -> Tensor:
        """Logits (V,) after the last token; reads what waits."""
        if not self.ids:
            raise ValueError("nothing was read yet; read a prompt first")
        waiting = self._waiting()
        if not waiting and self._logits is not None:
            return self._logits
        if not waiting:  # rolled back: the last token is read again
            if self.ids[-1] in self._placeholders:
                raise ValueError(
                    "the talk was rolled back to right behind a medium, whose vectors are not "
                    "kept; read on before streaming, or fork there instead"
                )
            self._cache.crop(-1)
            waiting = self.ids[-1:]
        return self._forward(waiting)

    def _waiting(self) -> list[int]:
        return self.ids[self._cache.get_seq_length() :]

    @torch.inference_mode()
    def _forward(self, ids: list[int], **media: Tensor) -> Tensor:
        logits: Tensor = self.model(
            input_ids=torch.tensor([ids], device=self.model.device),
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
            **media,
        ).logits[0, -1]
        self._logits = logits.float()
        return self._logits

    def _check_room(self, tokens: int) -> None:
        if len(self.ids) + tokens > self._context:
            raise ContextTooLong(
                f"the talk has {len(self.ids):,} tokens, media included, and {tokens:,} more do "
                f"not fit into the model's {self._context:,}: shorten it, or ask for less"
            )


class RowStops(StoppingCriteria):  # type: ignore[misc]
    """Each row of `generate` stops by itself, at strings of its own.

        stops = RowStops(tokenizer, [["\\n"], ["###", "User:"]], input_ids.shape[1])
        texts = stops.texts(model.generate(..., stopping_criteria=[stops]))

    transformers' `StopStringCriteria` stops rows by themselves too, but all at the same strings,
    and its match may begin in the prompt: after a prompt that ends in "#", a first "#" stops "##".
    A row that has stopped is padded where the model has an end token; without one it is written on,
    and `texts` cuts it.

    Args:
        tokenizer: the model's.
        stops: of each row of the prompt its strings; an empty list for a row that has none. Several
            beams or samples of a row share them. The tokenizer's end token among them is left to
            `generate`, which ends rows with it by itself.
        prompt_length: T, the padding on the left included.

    Raises:
        ValueError: no rows are given; a string is empty or holds a special token; in `generate`,
            the batch has another number of rows.
    """

    def __init__(self, tokenizer: Any, stops: Sequence[Sequence[str]], prompt_length: int) -> None:
        if not stops:
            raise ValueError("given stop strings for no rows, expected a list for each row")
        self.tokenizer = tokenizer
        self.stops = [_strings(row, tokenizer) for row in stops]
        self.prompt_length = prompt_length

    def __call__(self, input_ids: Tensor, scores: Any = None, **_: Any) -> Tensor:
        """(B,) bool, True where a row holds one of its strings behind the prompt."""
        stopped = [_first_stop(text, stops) is not None for text, stops in self._rows(input_ids)]
        return torch.tensor(stopped, device=input_ids.device)

    def texts(self, output_ids: Tensor) -> list[str]:
        """What `generate` returned, (B, T), to the new text of each row up to its stop string."""
        return [text[: _first_stop(text, stops)] for text, stops in self._rows(output_ids)]

    def _rows(self, ids: Tensor) -> Iterator[tuple[str, Sequence[str]]]:
        if len(ids) % len(self.stops):
            raise ValueError(
                f"given {len(ids)} rows and stop strings for {len(self.stops)}; expected a list of "
                "strings for every row of the prompt"
            )
        copies = len(ids) // len(self.stops)  # beams, or samples
        for row, new in enumerate(ids[:, self.prompt_length :].tolist()):
            yield _decode(self.tokenizer, new), self.stops[row // copies]


def _decode(tokenizer: Any, ids: list[int]) -> str:
    text: str = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text


def _first_stop(text: str, stops: Sequence[str]) -> int | None:
    """Where the first of the stop strings in the text begins."""
    return min((text.index(stop) for stop in stops if stop in text), default=None)


def _unsure(text: str, stops: Sequence[str]) -> int:
    """Characters at the end that may change, or that a stop string may begin with."""
    broken = len(text) - len(text.rstrip("\N{REPLACEMENT CHARACTER}"))
    whole = text[: len(text) - broken]
    starts = [stop[:length] for stop in stops for length in range(1, len(stop))]
    return broken + max((len(start) for start in starts if whole.endswith(start)), default=0)


def _strings(stops: Sequence[str], tokenizer: Any) -> list[str]:
    """The stop strings that are to be looked for in the text, where no end token stands."""
    if stops and tokenizer is None:
        raise ValueError(f"given the stop strings {list(stops)} without a tokenizer; give ids")
    strings = [stop for stop in stops if stop != tokenizer.eos_token]
    for stop in strings:
        if not stop:
            raise ValueError("given an empty stop string, which every text holds")
        ids = tokenizer.encode(stop, add_special_tokens=False)
        if not set(ids).isdisjoint(tokenizer.all_special_ids):
            raise ValueError(
                f"the stop string {stop!r} holds a special token, which is not part of the text; "
                "give its id"
            )
    return strings


def _listed(ids: int | Sequence[int] | None) -> list[int]:
    return [] if ids is None else [ids] if isinstance(ids, int) else list(ids)
