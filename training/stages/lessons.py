"""What the language model reads in stages `read_and_call` and `join`: batches of packed dialogues.

A batch is a function of its key. It is filled with lessons, groups of dialogues that share what
they begin with: questions about one picture or sound, dialogues that are offered the same tools.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor

from nuthatch.mllm.chat import BOS, END, SPECIAL_TOKENS, Encoded, encode
from nuthatch.tools.vocabulary import CATEGORIES
from nuthatch.training.collate import IGNORED, Batch, Group, Packer, share
from nuthatch.training.config import check_known
from nuthatch.training.data import generated, mixture, questions
from nuthatch.training.data.layouts import Layout, draw_layout
from nuthatch.training.data.offers import offer
from nuthatch.training.data.sample import TRAINING, Draw, Held, Picture, Sample, Sound
from nuthatch.training.data.talk import Talk
from nuthatch.training.recipes.core import SHARES
from nuthatch.training.tokenizer import spelt_alike
from nuthatch.training.world.scenes import Scene, make_scene
from nuthatch.training.world.splits import Split

ECHOED = (3, 40)
"""Tokens of an echo, at least and at most."""
NUMBERS_ECHOED = 0.3
"""Share of echoes in which numbers are said again as a list: as boxes and points are copied."""
WRITTEN = ((" ", " ", ""), (" (", ", ", ")"), (" [", ", ", "]"), (" ", ",", ""), (" x ", " y ", ""))
"""How users write numbers: what stands before, between and behind them."""
QUESTIONS = 8
"""About one picture or sound."""
TOGETHER = 4
"""Dialogues that are offered the same tools."""
FIRST_TURNS = 0.4
"""Share of these that end with the assistant's first turn: what to call is the hardest part."""
TALKS = 0.2
"""Share of these that need no tool."""
SWAPPED = 0.4
"""Share of dialogues with tools in which eye and ear are given something else: what counts is what
the tools observed, and a planner that answers from its own senses instead is wrong there."""
COLOURS = frozenset({"colour", "is colour"})
SCENES = 1_000_000
"""Seeds to draw from."""
SOUND_ALONE, SOUND_BESIDE = 0.18, 0.12
"""Share of sight lessons about a sound, and about a picture and a sound."""
MISSES = 4
"""A batch is full when so many lessons have found no room."""


@dataclass(frozen=True)
class Lesson:
    """Dialogues with one beginning.

    `names` holds for each branch the index of the category that its question is about, or -1.
    """

    group: Group
    names: tuple[int, ...]


@dataclass(frozen=True)
class Lessons:
    """Draws lessons and packs them.

    Attributes:
        tokenizer: with the chat's template.
        queries: tokens that a medium takes.
        tokens: of a batch.
        scenes: share of pictures that are scenes of the world; the others are layouts alone.
        scenes_of_dialogues: the same in dialogues with tools: what to call can be learned of
            layouts, and a scene costs more.
        split, first_scene: scenes are of this split, and of `SCENES` seeds from here on.
        longest_echo: tokens, at most.
        colours: whether colours are asked, which only real queries can tell.
    """

    tokenizer: Any
    queries: int
    tokens: int = 2560
    scenes: float = 0.5
    scenes_of_dialogues: float = 0.5
    split: Split = "train"
    first_scene: int = 0
    colours: bool = False
    shares: Mapping[str, float] = field(default_factory=lambda: SHARES)
    longest_echo: int = ECHOED[1]

    def __post_init__(self) -> None:
        check_known(self.shares, SHARES, "shares.")

    def echoes(self, progress: float) -> "Lessons":
        """Echoes alone: short ones at progress 0, long ones at 1."""
        longest = round(6 + (ECHOED[1] - 6) * min(1.0, progress))
        return replace(self, shares={"echo": 1}, longest_echo=longest)

    def batch(self, *key: int | str) -> tuple[Batch, Tensor]:
        """One row of lessons, and (1, T) the category asked about at the token before the answer.

        Names are -1 at all other tokens.
        """
        chosen: list[Lesson] = []
        room, misses = self.tokens, 0
        for lesson in self.stream(*key):
            if len(lesson.group) <= room:
                chosen.append(lesson)
                room -= len(lesson.group)
                continue
            misses += 1
            if misses == MISSES:
                break
        packed = Packer(1, self.tokens).batch([[lesson.group for lesson in chosen]])
        return packed, names_asked(packed, chosen)

    def stream(self, *key: int | str) -> Iterator[Lesson]:
        """Lessons without end."""
        number = 0
        while True:
            yield self.lesson(Draw.of(*key, number))
            number += 1

    def lesson(self, draw: Draw) -> Lesson:
        """One lesson of a kind drawn from `shares`."""
        kind = draw.weighted(self.shares)
        match kind:
            case "sight":
                return self.sight(draw)
            case "offered":
                return self.offered(draw)
            case "echo":
                return self.numbers(draw) if draw.chance(NUMBERS_ECHOED) else self.echo(draw)
            case "generated":
                return self._alone(generated.make(draw, TRAINING).sample("generated"))
        kinds = {
            "following": mixture.FOLLOWING,
            "drills": mixture.DRILLS,
            "talk": mixture.TALK,
        }[kind]
        return self._alone(mixture.dialogue(draw, _weighted(draw, kinds)))

    def echo(self, draw: Draw) -> Lesson:
        """Tokens at random, said again by the assistant: nothing teaches to copy as fast.

        Half of them are of few kinds, so that the last token does not tell which comes next. The
        first is asked with a space before it where there is such a token, and said without.
        """
        special = len(SPECIAL_TOKENS)
        number = draw.randint(ECHOED[0], self.longest_echo)
        said = [draw.randrange(special, len(self.tokenizer)) for _ in range(number)]
        if draw.chance(0.5):
            said = draw.choices(said[: max(2, number // 4)], k=number)
        bare, spaced = spellings(self.tokenizer)
        said[0] = bare.get(said[0], said[0])
        return self._echo([spaced.get(said[0], said[0]), *said[1:]], said)

    def numbers(self, draw: Draw) -> Lesson:
        """Numbers said again as a list."""
        asked, said = (
            self.tokenizer(text, add_special_tokens=False).input_ids for text in numbers_twice(draw)
        )
        return self._echo(asked, said)

    def _echo(self, asked: Sequence[int], said: Sequence[int]) -> Lesson:
        bos, user, end, assistant = self.tokenizer.convert_tokens_to_ids(
            [BOS, "<|user|>", END, "<|assistant|>"]
        )
        before = [bos, user, *asked, end, assistant]
        answers = [0] * len(before) + [1] * (len(said) + 1)
        return Lesson(share([Encoded([*before, *said, end], answers)]), (-1,))

    def sight(self, draw: Draw, number: int = QUESTIONS, held: Held = TRAINING) -> Lesson:
        """Questions about one picture, one sound, or both, answered by eye and ear alone."""
        media = self.media(draw)
        asked = self.questions(draw, media, number, held)
        encoded = [self.encode(questions.sample_of(each, media)) for each in asked]
        names = tuple(
            -1 if each.category is None else CATEGORIES.index(each.category) for each in asked
        )
        return Lesson(share(encoded, tuple(media.values())), names)

    def media(self, draw: Draw) -> dict[str, Picture | Sound]:
        """A picture, a sound, or both, by their handles."""
        way = draw.random()
        media: dict[str, Picture | Sound] = {}
        layout = None
        if way >= SOUND_ALONE:
            picture = self.picture(draw)
            layout = picture.layout
            media["image_1"] = picture
        if way < SOUND_ALONE + SOUND_BESIDE:
            media["audio_1"] = questions.draw_sound(draw, layout)
        return media

    def picture(self, draw: Draw) -> Picture:
        """A scene that is known by its seed, or a layout that was never drawn."""
        return self._scene(draw) if draw.chance(self.scenes) else Picture(draw_layout(draw))

    def _scene(self, draw: Draw) -> Picture:
        seed = self.first_scene + draw.randrange(SCENES)
        return Picture(Layout.of(scene_of(seed, self.split)), seed)

    def questions(
        self, draw: Draw, media: Mapping[str, Picture | Sound], number: int, held: Held
    ) -> list[questions.Question]:
        """So many questions that can be answered."""
        picture, sound = media.get("image_1"), media.get("audio_1")
        layout = picture.layout if isinstance(picture, Picture) else None
        heard = sound if isinstance(sound, Sound) else None
        asked: list[questions.Question] = []
        while len(asked) < number:
            found = questions.questions(draw, layout, heard, number=number, held=held)
            asked += [each for each in found if self.colours or each.kind not in COLOURS]
        return asked[:number]

    def offered(self, draw: Draw) -> Lesson:
        """Dialogues that are offered the same tools, one of which may be missing."""
        kinds = [
            _weighted(draw, mixture.TALK if draw.chance(TALKS) else mixture.TOOLS)
            for _ in range(TOGETHER)
        ]
        needed = {name: None for kind in kinds for name in mixture.ALL[kind].needs}
        without: tuple[str, ...] = ()
        if needed and not draw.chance(mixture.ARMED):
            without = (draw.choice(list(needed)),)
        tools = offer(draw, [name for name in needed if name not in without], without=without)
        samples = []
        for kind in kinds:
            armed = tools.keys() >= set(mixture.ALL[kind].needs)
            if kind in COLOURS and not armed and not self.colours:
                continue
            talk = self._talk(draw, tools, armed=armed)
            mixture.ALL[kind].make(talk)
            sample = talk.sample(kind)
            if armed and draw.chance(SWAPPED):
                sample = replace(sample, media=self._others(draw, sample.media))
            samples.append(up_to_first_turn(sample) if draw.chance(FIRST_TURNS) else sample)
        if not samples:
            return self.offered(draw)
        encoded = [self.encode(sample) for sample in samples]
        media = tuple(each for sample in samples for each in sample.media.values())
        return Lesson(self._after_tools(encoded, media), (-1,) * len(encoded))

    def _others(
        self, draw: Draw, media: Mapping[str, Picture | Sound]
    ) -> dict[str, Picture | Sound]:
        """Other media in the place of these."""
        return {
            handle: Picture(draw_layout(draw))
            if isinstance(each, Picture)
            else questions.draw_sound(draw)
            for handle, each in media.items()
        }

    def _talk(self, draw: Draw, tools: Mapping[str, Any], *, armed: bool) -> Talk:
        if not draw.chance(self.scenes_of_dialogues):
            return Talk(draw, TRAINING, tools, armed=armed)
        scene = partial(self._scene, draw)
        return SceneTalk(draw, TRAINING, tools, armed=armed, scene=scene)

    def _after_tools(self, dialogues: Sequence[Encoded], media: tuple[Any, ...]) -> Group:
        """Dialogues that share the tools and nothing else: each has pictures of its own."""
        user = self.tokenizer.convert_tokens_to_ids("<|user|>")
        start = dialogues[0].ids.index(user)
        alone = [share([each]) for each in dialogues]
        return Group(
            alone[0].branches[0][:start],
            tuple(each.branches[0][start:] for each in alone),
            tuple(each.answers[0][start:] for each in alone),
            media,
        )

    def _alone(self, sample: Sample) -> Lesson:
        return Lesson(share([self.encode(sample)], tuple(sample.media.values())), (-1,))

    def encode(self, sample: Sample) -> Encoded:
        """A dialogue as the model reads it."""
        return encode(self.tokenizer, sample.messages, sample.tools, queries=self.queries)


class SceneTalk(Talk):
    """A talk about scenes of the world instead of layouts that were never drawn."""

    def __init__(self, *args: Any, scene: Callable[[], Picture], **options: Any) -> None:
        super().__init__(*args, **options)
        self._scene = scene

    def show(self, layout: Layout | None = None) -> str:
        """Give a scene with the next turn; returns its handle."""
        if layout is not None:
            return super().show(layout)
        scene = self._scene()
        handle = super().show(scene.layout)
        given = self.given[handle]
        assert isinstance(given, Picture)
        self.given[handle] = replace(given, seed=scene.seed)
        return handle


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


def numbers_twice(draw: Draw) -> tuple[str, str]:
    """One to eight numbers as a user may write them, and as a list in JSON."""
    sizes = draw.choices((10, 100, 1000), (1, 1, 2), k=draw.randint(1, 8))
    numbers = [str(draw.randrange(size)) for size in sizes]
    before, between, after = draw.choice(WRITTEN)
    return f"{before}{between.join(numbers)}{after}", f"[{','.join(numbers)}]"


@lru_cache(4)
def spellings(tokenizer: Any) -> tuple[dict[int, int], dict[int, int]]:
    """Ids of pieces with a space before them -> those without, and the other way round."""
    alike = spelt_alike(tokenizer)
    return {spaced: bare for bare, spaced in alike}, dict(alike)


@lru_cache(256)
def scene_of(seed: int, split: Split = "train", size: int = 128) -> Scene:
    """`make_scene`; a batch asks for a scene more than once."""
    return make_scene(seed, split, size=size)


def names_asked(batch: Batch, lessons: Sequence[Lesson]) -> Tensor:
    """(1, T): `Lesson.names` at the token before each branch's first answer, else -1."""
    names = torch.full_like(batch.labels, -1)
    said = batch.labels != IGNORED
    for number, lesson in enumerate(lessons):
        for branch, name in enumerate(lesson.names, start=1):
            here = (batch.groups == number) & (batch.branches == branch) & said
            names[0, int(here[0].int().argmax()) - 1] = name
    return names


def _weighted(draw: Draw, kinds: Mapping[str, mixture.Dialogue]) -> str:
    return draw.weighted({name: each.weight for name, each in kinds.items()})
