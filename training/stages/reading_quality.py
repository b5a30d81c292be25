"""Whether the language model says the right thing: first turns, and answers from queries.

`Quiz` asks with teacher forcing: a turn is right when every token of it is the likeliest one, which
is the same as that greedy decoding would say it. `called_figures` really decodes, within the
grammar of the turn. Everything comes from seeds that training does not draw.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from nuthatch.mllm.chat import parse_turn, prompt_ids
from nuthatch.mllm.generation.decoding import Decoder, Medium, Row
from nuthatch.mllm.generation.grammar import turn_grammar
from nuthatch.tools.vocabulary import singular
from nuthatch.training.collate import IGNORED, Packer, share
from nuthatch.training.data import mixture, questions
from nuthatch.training.data.sample import HELD_OUT, TRAINING, Draw, Held, Picture, Sample, Sound
from nuthatch.training.stages.lessons import Lessons, up_to_first_turn
from nuthatch.training.stages.trainer import Figures

Embed = Callable[[Sequence[Picture | Sound], torch.Generator], Tensor]
SEED = 404
ROWS, LENGTH = 2, 1024
KINDS: dict[str, Held] = {"seen": TRAINING, **HELD_OUT}
SIGHT = {"exist": "exist", "count": "count", "caption": "caption", "tag sound": "heard"}
"""Kind of question -> name of its figure."""


@dataclass(frozen=True)
class Quiz:
    """So many dialogues for each figure; pictures are scenes that training never shows.

    `embed` gives what stands in the places of media, (M, Q, width).
    """

    lessons: Lessons
    embed: Embed
    number: int

    def figures(self, model: nn.Module) -> Figures:
        """Shares of right turns: first turns by what is held out, answers by kind of question.

        `model` is called as `Core.forward`.
        """
        figures = {}
        for name, held in KINDS.items():
            asked = [first_turn(held, index) for index in range(self.number)]
            figures[f"turn_{name}"] = self._right(model, asked)
        for kind, name in SIGHT.items():
            for held in (TRAINING, HELD_OUT["branches"]):
                asked = [self._question(kind, held, index) for index in range(self.number)]
                suffix = "_new_forms" if held.branches else ""
                figures[name + suffix] = self._right(model, asked)
        return figures

    def shuffled(self, model: nn.Module) -> Figures:
        """The same of existence, each question about the picture of another: sight, or a guess?"""
        asked = [self._question("exist", TRAINING, index) for index in range(self.number)]
        others = [*asked[1:], asked[0]]
        swapped = [replace(a, media=b.media) for a, b in zip(asked, others, strict=True)]
        return {"exist_shuffled": self._right(model, swapped)}

    def _question(self, kind: str, held: Held, index: int) -> Sample:
        draw = Draw.of(SEED, kind, index)
        while True:
            media: dict[str, Picture | Sound] = {}
            if kind == "tag sound":
                sound = questions.draw_sound(draw)
                media["audio_1"] = sound
                asked = questions.ask(draw, kind, None, sound, held)
            else:
                picture = self.lessons.picture(draw)
                media["image_1"] = picture
                asked = questions.ask(draw, kind, picture.layout, None, held)
            if asked is not None:
                return questions.sample_of(asked, media)

    def _right(self, model: nn.Module, samples: Sequence[Sample]) -> float:
        """Share of dialogues in which every answer is said right, token by token."""
        generator = torch.Generator().manual_seed(SEED)
        device = next(model.parameters()).device
        groups = [
            share([self.lessons.encode(each)], tuple(each.media.values())) for each in samples
        ]
        packer = Packer(ROWS, LENGTH)
        right = asked = 0
        for packed in packer.batches(groups, last=True):
            media = self.embed(packed.media, generator)
            batch = packed.to(device)
            logits = model(
                batch.input_ids,
                media_embeds=media,
                attention_mask=batch.attention,
                position_ids=batch.position_ids,
            ).logits
            labels = batch.labels[:, 1:]
            wrong = (logits[:, :-1].argmax(-1) != labels) & (labels != IGNORED)
            for row, members in enumerate(batch.groups[:, 1:]):
                for group in range(int(members.max()) + 1):
                    asked += 1
                    right += not bool(wrong[row][members == group].any())
        return right / max(asked, 1)


def first_turn(held: Held, index: int) -> Sample:
    """A request that a tool answers, up to the call; every kind of dialogue comes equally often."""
    kinds = list(mixture.TOOLS)
    kind = kinds[index % len(kinds)]
    sample = mixture.dialogue(Draw.of(SEED, kind, index), kind, held, armed=True)
    return up_to_first_turn(sample)


def called_figures(model: nn.Module, lessons: Lessons, embed: Embed, number: int) -> Figures:
    """Share of first turns decoded within the grammar whose calls are right."""
    decoder = Decoder(model, lessons.tokenizer)
    figures = {}
    for name, held in KINDS.items():
        samples = [first_turn(held, index) for index in range(number)]
        right = [
            _plain(_said(decoder, lessons, embed, each)) == _plain(calls_of(each.messages[-1]))
            for each in samples
        ]
        figures[f"called_{name}"] = sum(right) / len(right)
    return figures


def _said(decoder: Decoder, lessons: Lessons, embed: Embed, sample: Sample) -> Any:
    media = embed(list(sample.media.values()), torch.Generator().manual_seed(SEED))
    handles = {
        kind: [handle for handle in sample.media if handle.startswith(kind)]
        for kind in ("image", "audio")
    }
    row = Row(
        prompt_ids(lessons.tokenizer, sample.messages[:-1], sample.tools, queries=lessons.queries),
        turn_grammar(sample.tools, handles),
        [Medium(handle, vectors) for handle, vectors in zip(sample.media, media, strict=True)],
    )
    return parse_turn(lessons.tokenizer, decoder.generate([row])[0])


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
