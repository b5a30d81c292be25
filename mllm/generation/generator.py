"""The core answers questions about pictures and sounds, by itself: no tools, no turns before.

Shapes: N media, Q queries a medium, D width of the language model.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from nuthatch.mllm.chat import encode, prompt_ids
from nuthatch.mllm.core import Core
from nuthatch.mllm.feature_cache import FeatureCache
from nuthatch.mllm.generation.decoding import Decoder, Medium, Row
from nuthatch.mllm.generation.grammar import turn_grammar
from nuthatch.mllm.processing import CoreProcessor, Picture, Samples

MOST_TOKENS = 48  # of an answer
AT_ONCE = 48  # rows of a batch
Kind = Literal["image", "audio"]


class Question(NamedTuple):
    """A question and what it is about, in order of appearance."""

    text: str
    media: tuple[tuple[Kind, Tensor], ...] = ()
    """Of each medium its kind and its vectors (Q, D)."""


class Speaker:
    """A core and its processor, asked many questions at a time.

    `known` is for those who ask about the same media more than once, planner and tools alike.
    """

    def __init__(self, core: Core, processor: CoreProcessor) -> None:
        self.core = core
        self.processor = processor
        self.tokenizer = processor.tokenizer
        self.known = FeatureCache()
        self._decoder = Decoder(core, self.tokenizer, max_new_tokens=MOST_TOKENS)
        self._grammar = turn_grammar([], {}, allow="answer")
        self._queries = processor.config.num_tokens("image")

    @torch.inference_mode()
    def see(self, pictures: Sequence[Picture]) -> Tensor:
        """Upright RGB pictures of any size to vectors (N, Q, D)."""
        values = self.processor.pixel_values(pictures)
        seen: Tensor = self.core.embed_image(values.to(self.core.device))
        return seen

    @torch.inference_mode()
    def hear(self, sounds: Sequence[Samples]) -> Tensor:
        """16 kHz mono sounds to vectors (N, Q, D)."""
        banks = self.processor.filter_banks(sounds)
        heard: Tensor = self.core.embed_audio(banks.to(self.core.device))
        return heard

    def answers(self, asked: Sequence[Question]) -> list[str]:
        """One answer a question, the likeliest word by word."""
        rows = [self._row(each) for each in asked]
        said: list[str] = []
        for start in range(0, len(rows), AT_ONCE):
            spoken = self._decoder.generate(rows[start : start + AT_ONCE])
            said += [self.tokenizer.decode(ids, skip_special_tokens=True).strip() for ids in spoken]
        return said

    @torch.inference_mode()
    def log_likelihoods(self, asked: Sequence[tuple[Question, str]]) -> list[tuple[float, int]]:
        """How likely these answers are: the logarithm of the whole, and how many tokens it has."""
        found = []
        for question, answer in asked:
            row = self._row(question)
            talk = [_message(question), {"role": "assistant", "content": answer}]
            whole = encode(self.tokenizer, talk, queries=self._queries).ids
            said = whole[len(row.prompt) :]
            vectors = [medium.vectors for medium in row.media]
            logits = self.core(
                input_ids=torch.tensor([whole], device=self.core.device),
                media_embeds=torch.stack(vectors) if vectors else None,
            ).logits[0, len(row.prompt) - 1 : -1]
            chosen = (
                logits.float().log_softmax(-1).gather(-1, logits.new_tensor(said).long()[:, None])
            )
            found.append((float(chosen.sum()), len(said)))
        return found

    def _row(self, asked: Question) -> Row:
        message = _message(asked)
        handles = [part["handle"] for part in message["content"][:-1]]
        return Row(
            prompt_ids(self.tokenizer, [message], queries=self._queries),
            self._grammar,
            [
                Medium(handle, vectors)
                for handle, (_, vectors) in zip(handles, asked.media, strict=True)
            ],
        )


def _message(asked: Question) -> dict[str, Any]:
    """The question as a user's message; media are named in the order of their kind."""
    numbers: dict[str, int] = {}
    content: list[dict[str, Any]] = []
    for kind, _ in asked.media:
        numbers[kind] = numbers.get(kind, 0) + 1
        content.append({"type": kind, "handle": f"{kind}_{numbers[kind]}"})
    return {"role": "user", "content": [*content, {"type": "text", "text": asked.text}]}


def load(folder: Path, device: str = "cpu") -> Speaker:
    """The core of a folder with `config.json`, weights and `tokenizer.json`.

    Raises:
        OSError, ValueError: a file is missing, or does not fit the others.
    """
    core = Core.from_pretrained(folder).to(device).eval()
    return Speaker(core, CoreProcessor.from_pretrained(folder))
