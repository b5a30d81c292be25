"""Packed training beside padded training, answer tokens a second: `make bench`.

The same lessons, the same core of the shipped sizes with random weights, the same loss: once packed
as stages `read_and_call` and `join` do it (questions share what stands before them, attention group
by group, no padding), once as transformers' `Trainer` does it: every dialogue a row of its own,
rows of like length together (`LengthGroupedSampler`), padded to the longest. Steps of both take
turns. Reports, never asserts.

    python tests/benchmarks/bench_packing.py [--batches 6] [--rows 16] [--threads 1] [--json]
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast
from transformers.trainer_pt_utils import LengthGroupedSampler

from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.core import Core
from nuthatch.mllm.processing import CoreProcessor
from nuthatch.tools.vocabulary import CATEGORIES
from nuthatch.training.collate import IGNORED, Group, Packer
from nuthatch.training.recipes.core import JoinRecipe
from nuthatch.training.stages.grouped_attention import NAME as GROUPED
from nuthatch.training.stages.grouped_attention import spans_of
from nuthatch.training.stages.join import MediaMaker
from nuthatch.training.stages.lessons import Lesson, Lessons
from nuthatch.training.stages.phrase_vectors import PhraseVectors, sound_vectors
from nuthatch.training.stages.read_and_call import texts
from nuthatch.training.stages.simulated import QuerySimulator
from nuthatch.training.tokenizer import train_tokenizer


class Row(NamedTuple):
    """A dialogue by itself."""

    ids: np.ndarray
    said: np.ndarray
    media: tuple[Any, ...]


def rows_of(group: Group, core: CoreConfig) -> Iterator[Row]:
    """The dialogues of a group, each with the media that it reads."""

    def number(ids: np.ndarray) -> int:
        return int(np.isin(ids, core.media_token_ids).sum()) // core.num_query_tokens

    shared = number(group.prefix)
    own = iter(group.media[shared:])
    for ids, said in zip(group.branches, group.answers, strict=True):
        media = (*group.media[:shared], *(next(own) for _ in range(number(ids))))
        silent = np.zeros_like(group.prefix)
        yield Row(np.concatenate([group.prefix, ids]), np.concatenate([silent, said]), media)


class Ways:
    """A core, and one training step of it in either way; each gives the answer tokens it saw."""

    def __init__(self, words: PreTrainedTokenizerFast, lessons: Sequence[Lesson]) -> None:
        self.config = CoreConfig.embedded()
        self.config.text_config.vocab_size = len(words)
        torch.manual_seed(0)
        self.core = Core(self.config)
        self.core.vision_tower.requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            [each for each in self.core.parameters() if each.requires_grad], lr=1e-4
        )
        named = PhraseVectors(CATEGORIES, torch.eye(len(CATEGORIES), 192))
        queries = self.config.num_query_tokens
        simulate = QuerySimulator(named, sound_vectors(named), queries)
        self.media = MediaMaker(CoreProcessor(self.config, words), simulate, vary=0.0)
        self.lessons = lessons

    def _embedded(self, media: Sequence[Any]) -> Tensor | None:
        if not media:
            return None
        made = self.media(media, 0, torch.Generator().manual_seed(0))
        senses = {"pixels": self.core.embed_image, "filter_banks": self.core.embed_audio}
        parts = {name: embed(made[name]) for name, embed in senses.items() if name in made}
        kinds = made["kinds"].tolist()  # 0: a picture, 1: a sound, 2: one that was never drawn
        size = (len(made["queries"]), self.config.num_query_tokens)
        undrawn = torch.zeros(*size, self.config.text_config.hidden_size)
        left = [*(iter(parts.get(name, ())) for name in senses), iter(undrawn)]
        return torch.stack([next(left[kind]) for kind in kinds])

    def _step(self, loss: Tensor) -> None:
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def packed(self, lessons: Sequence[Lesson], tokens: int) -> int:
        batch = Packer(1, tokens).batch([[lesson.group for lesson in lessons]])
        model = self.core.language_model
        model.set_attn_implementation(GROUPED)
        embeds = self.core.embed_inputs(batch.input_ids, media_embeds=self._embedded(batch.media))
        read = model.model(
            inputs_embeds=embeds,
            spans=spans_of(batch.groups, batch.branches, embeds.dtype),
            position_ids=batch.position_ids,
            use_cache=False,
        ).last_hidden_state
        said = batch.labels[:, 1:] != IGNORED
        logits = model.lm_head(read[:, :-1][said])
        self._step(torch.nn.functional.cross_entropy(logits, batch.labels[:, 1:][said]))
        return int(said.sum())

    def padded(self, rows: Sequence[Row]) -> int:
        longest = max(len(row.ids) for row in rows)
        ids = torch.full((len(rows), longest), self.config.text_config.pad_token_id)
        labels, mask = torch.full_like(ids, IGNORED), torch.zeros_like(ids)
        for index, row in enumerate(rows):
            own = torch.from_numpy(row.ids)
            ids[index, : len(own)] = own
            mask[index, : len(own)] = 1
            labels[index, : len(own)] = own.where(torch.from_numpy(row.said) > 0, IGNORED)
        media = [each for row in rows for each in row.media]
        self.core.language_model.set_attn_implementation("sdpa")
        loss = self.core(
            input_ids=ids,
            attention_mask=mask,
            media_embeds=self._embedded(media),
            labels=labels,
            use_cache=False,
        ).loss
        self._step(loss)
        return int((labels != IGNORED).sum())


def timed(step: Callable[[], int]) -> tuple[int, float]:
    began = time.perf_counter()
    return step(), time.perf_counter() - began


def report(batches: int, at_once: int) -> dict[str, float]:
    words = train_tokenizer(texts(300), vocab_size=2048)
    config = JoinRecipe()
    core = CoreConfig.embedded()
    drawn = Lessons(words, core.num_query_tokens, scenes=1.0, colours=True, shares=config.shares)
    packs: list[list[Lesson]] = []
    stream = drawn.stream("bench")
    for _ in range(batches + 1):
        pack, room = [], config.tokens
        for lesson in stream:
            if len(lesson.group) > room:
                break
            pack.append(lesson)
            room -= len(lesson.group)
        packs.append(pack)
    ways = Ways(words, [lesson for pack in packs for lesson in pack])
    rows = [row for lesson in ways.lessons for row in rows_of(lesson.group, core)]
    order = list(LengthGroupedSampler(at_once, lengths=[len(row.ids) for row in rows]))
    chunks = [order[start : start + at_once] for start in range(0, len(order), at_once)]

    totals = {"packed": [0, 0.0], "padded": [0, 0.0]}
    spread = np.array_split(np.arange(1, len(chunks)), batches)  # so that both take turns
    ways.packed(packs[0], config.tokens)
    ways.padded([rows[index] for index in chunks[0]])
    for pack, some in zip(packs[1:], spread, strict=True):
        steps = [("packed", lambda pack=pack: ways.packed(pack, config.tokens))]
        for chunk in some.tolist():
            own = [rows[index] for index in chunks[chunk]]
            steps.append(("padded", lambda own=own: ways.padded(own)))
        for name, step in steps:
            answers, took = timed(step)
            totals[name][0] += answers
            totals[name][1] += took
    rates = {name: answers / took for name, (answers, took) in totals.items()}
    return {
        "packed_answer_tokens_per_second": rates["packed"],
        "padded_answer_tokens_per_second": rates["padded"],
        "ratio": rates["packed"] / rates["padded"],
        "dialogues": len(rows),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batches", type=int, default=6)
    parser.add_argument("--rows", type=int, default=16, help="of a padded batch")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    figures = report(arguments.batches, arguments.rows)
    for name, value in figures.items():
        print(f"{name:>34} {value:10.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
