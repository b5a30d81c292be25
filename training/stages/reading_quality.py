"""Whether the language model says the right thing: first turns, and answers from queries.

`Quiz` asks with teacher forcing: a turn is right when every token of it is the likeliest one, which
is the same as that greedy decoding would say it. `called_figures` really decodes, within the
grammar of the turn. Everything comes from seeds that training does not draw.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nuthatch.mllm.chat import encode, parse_turn, prompt_ids
from nuthatch.mllm.decoding import Decoder, Medium, Row
from nuthatch.mllm.grammar import turn_grammar
from nuthatch.tools.vocabulary import singular
from nuthatch.training.collate import IGNORED, Packer, block_mask, share
from nuthatch.training.data import mixture, questions
from nuthatch.training.data.sample import HELD_OUT, TRAINING, Draw, Held, Picture, Sample, Sound
from nuthatch.training.stages.lessons import Lessons
from nuthatch.training.stages.reader import Reader
from nuthatch.training.stages.simulated import QuerySimulator

SEED = 404
KINDS: dict[str, Held] = {"seen": TRAINING, **HELD_OUT}
SIGHT = {"exist": "exist", "count": "count", "caption": "caption", "tag sound": "heard"}
"""Kind of question -> name of its figure."""


@dataclass(frozen=True)
class Quiz:
    """So many dialogues for each figure."""

    lessons: Lessons
    simulate: QuerySimulator
    number: int

    def figures(self, reader: Reader) -> dict[str, float]:
        """Shares of right turns: first turns by what is held out, answers by kind of question."""
        figures = {}
        for name, held in KINDS.items():
            asked = [first_turn(held, index) for index in range(self.number)]
            figures[f"turn_{name}"] = self._right(reader, asked)
        for kind, name in SIGHT.items():
            for held in (TRAINING, HELD_OUT["branches"]):
                asked = [self._question(kind, held, index) for index in range(self.number)]
                suffix = "_new_forms" if held.branches else ""
                figures[name + suffix] = self._right(reader, asked)
        return figures

    def _question(self, kind: str, held: Held, index: int) -> Sample:
        draw = Draw.of(SEED, kind, index)
        while True:
            media: dict[str, Picture | Sound] = {}
            if kind == "tag sound":
                media["audio_1"] = questions.draw_sound(draw)
                asked = questions.ask(draw, kind, None, media["audio_1"], held)  # type: ignore[arg-type]
            else:
                picture = self.lessons.picture(draw)
                media["image_1"] = picture
                asked = questions.ask(draw, kind, picture.layout, None, held)
            if asked is not None:
                return questions.sample_of(asked, media)

    def _right(self, reader: Reader, samples: Sequence[Sample]) -> float:
        """Share of dialogues in which every answer is said right, token by token."""
        generator = torch.Generator().manual_seed(SEED)
        groups = [
            share([self.lessons.encode(each)], tuple(each.media.values())) for each in samples
        ]
        packer = Packer(self.lessons.rows, self.lessons.length)
        right = asked = 0
        for batch in packer.batches(groups, last=True):
            queries = self.simulate(batch.media, generator).to(reader.device)
            batch = batch.to(reader.device)
            mask = block_mask(batch.groups, batch.branches)
            logits = reader(
                batch.input_ids,
                reader.embed_queries(queries),
                attention_mask=torch.zeros(mask.shape).masked_fill(~mask, -1e9).to(reader.device),
                position_ids=batch.position_ids,
            ).logits
            wrong = (logits[:, :-1].argmax(-1) != batch.labels[:, 1:]) & (
                batch.labels[:, 1:] != IGNORED
            )
            for row, groups_of_row in enumerate(batch.groups[:, 1:]):
                for group in range(int(groups_of_row.max()) + 1):
                    asked += 1
                    right += not bool(wrong[row][groups_of_row == group].any())
        return right / max(asked, 1)


def first_turn(held: Held, index: int) -> Sample:
    """A request that a tool answers, up to the call; every kind of dialogue comes equally often."""
    kinds = list(mixture.TOOLS)
    kind = kinds[index % len(kinds)]
    sample = mixture.dialogue(Draw.of(SEED, kind, index), kind, held, armed=True)
    return up_to_first_turn(sample)


def up_to_first_turn(sample: Sample) -> Sample:
    """The sample without what follows the assistant's first turn."""
    end = next(i for i, each in enumerate(sample.messages) if each["role"] == "assistant")
    messages = sample.messages[: end + 1]
    given = [
        part["handle"]
        for message in messages
        if isinstance(message.get("content"), list)
        for part in message["content"]
        if "handle" in part
    ]
    media = {handle: sample.media[handle] for handle in given}
    return Sample(messages, sample.tools, media, sample.kind, sample.branch)


def called_figures(
    reader: Reader, tokenizer: Any, simulate: QuerySimulator, number: int
) -> dict[str, float]:
    """Share of first turns decoded within the grammar whose calls are right."""
    decoder = Decoder(reader, tokenizer)
    figures = {}
    for name, held in KINDS.items():
        samples = [first_turn(held, index) for index in range(number)]
        said = [_said(decoder, reader, tokenizer, simulate, sample) for sample in samples]
        meant = [calls_of(sample.messages[-1]) for sample in samples]
        right = [_plain(a) == _plain(b) for a, b in zip(said, meant, strict=True)]
        figures[f"called_{name}"] = sum(right) / len(right)
    return figures


def _said(
    decoder: Decoder, reader: Reader, tokenizer: Any, simulate: QuerySimulator, sample: Sample
) -> Any:
    generator = torch.Generator().manual_seed(SEED)
    media = list(sample.media.values())
    embedded: list[Tensor] = list(reader.embed_queries(simulate(media, generator)))
    handles = {
        kind: [handle for handle in sample.media if handle.startswith(kind)]
        for kind in ("image", "audio")
    }
    prompt = prompt_ids(
        tokenizer, sample.messages[:-1], sample.tools, queries=simulate.queries
    )
    row = Row(
        prompt,
        turn_grammar(sample.tools, handles),
        [Medium(str(index), vectors) for index, vectors in enumerate(embedded)],
    )
    return parse_turn(tokenizer, decoder.speak([row])[0])


def calls_of(message: Any) -> Any:
    """Tools and arguments of the assistant's message, or its text."""
    if not message.get("tool_calls"):
        return message["content"]
    called = [each["function"] for each in message["tool_calls"]]
    return [(each["name"], each["arguments"]) for each in called]


def _plain(value: Any) -> Any:
    """Labels are compared as tools take them: singular and lower case."""
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return singular(value) if isinstance(value, str) else value
