"""How the verifier looks and listens: through tools, or straight through models.

`ToolSenses` asks the executor, so that every look is a recorded call with an id that evidence can
name. `ModelSenses` asks the models for many pictures at once, for evaluations. What they see is the
same; everything behind them is shared. A judge that is not installed sees nothing: the answer is
None, and no evidence comes of it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from nuthatch.tools.base.tool import Context
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.domain.abstain import unknown_to
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.faults import ToolFault, ToolUnavailable
from nuthatch.tools.media.geometry import Box
from nuthatch.tools.media.ingest import Pixels, Samples
from nuthatch.tools.tagging.lens import COSINE, Contrastive
from nuthatch.tools.weights.store import Weights

T = TypeVar("T")
Picture = Any
"""A handle or an array, whatever the senses take."""
Sound = Any

JUDGES = ("detect", "tag")
"""Weights of those who look at pictures."""
LABELS_AT_ONCE = 64
REGIONS_AT_ONCE = 32
"""Boxes of one label that are looked at closely, best first."""


class Seen(NamedTuple, Generic[T]):
    """What came of one look, and the id of the call that looked."""

    call_id: str
    value: T


class Sighting(NamedTuple):
    """A box that the detector found, under the label asked for."""

    label: str
    score: float
    box: Box
    handle: str


class Region(NamedTuple):
    """What the tagger makes of one box: scores of categories and of tints (`plain`: none)."""

    objects: Mapping[str, float]
    tints: Mapping[str, float]


class Written(NamedTuple):
    """A line of text that the reader read: data from the picture, to be compared and no more."""

    text: str
    score: float
    box: Box


class Senses(Protocol):
    """The judges' eyes and ears."""

    @property
    def reads(self) -> bool:
        """Whether there is a reader at all."""
        ...

    def pixels(self, picture: Picture) -> Pixels: ...

    def unknown_to(self, picture: Picture) -> frozenset[str]:
        """The judges' models (`detect`, `tag`) that do not know a picture: they must abstain."""
        ...

    def find(
        self, pictures: Sequence[Picture], labels: Sequence[Sequence[str]], floor: float
    ) -> list[Seen[list[Sighting]]] | None:
        """The detector: all boxes of each picture's labels from the score `floor` on."""
        ...

    def tag(
        self, pictures: Sequence[Picture], labels: Sequence[Sequence[str]]
    ) -> list[Seen[dict[str, float]]] | None:
        """The tagger on whole pictures: a score for each label."""
        ...

    def describe(
        self, picture: Picture, sightings: Sequence[Sighting]
    ) -> list[Seen[Region]] | None:
        """The tagger on what lies in each box."""
        ...

    def measure(self, op: str, a: Sequence[Sighting], b: Sequence[Sighting]) -> str:
        """Put a measurement on record (`count`, `relation`); the id of its call."""
        ...

    def knows_sound(self, sound: Sound) -> bool:
        """Whether the sound tagger knows sounds of this kind: of others it must not judge."""
        ...

    def listen(self, sound: Sound) -> Seen[dict[str, float]] | None:
        """The sound tagger: a score for each event; an empty answer is silence."""
        ...

    def read(self, picture: Picture) -> Seen[list[Written]] | None:
        """The reader: lines of text as a page is read; none where nothing was read."""
        ...


class ToolSenses:
    """Looks by calling tools inside a call. Pictures and sounds are handles."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def pixels(self, picture: str) -> Pixels:
        return self.context.media.image(picture)

    def unknown_to(self, picture: str) -> frozenset[str]:
        media, executor = self.context.media, self.context.executor
        tools = executor.tools if isinstance(executor, ToolExecutor) else ToolSet(())
        # A tool of the user's own, with models of its own, is bound by nothing of ours.
        names = [name for name in JUDGES if name in tools and name in tools[name].weights]
        return unknown_to(
            self.context.weights,
            names,
            "image",
            lambda: media.image(picture),
            media[picture].sha256,
        )

    def knows_sound(self, sound: str) -> bool:
        media = self.context.media
        return not unknown_to(
            self.context.weights,
            ("tag_sound",),
            "audio",
            lambda: media.audio(sound),
            media[sound].sha256,
        )

    def find(
        self, pictures: Sequence[str], labels: Sequence[Sequence[str]], floor: float
    ) -> list[Seen[list[Sighting]]] | None:
        from nuthatch.tools.detection.detect import Found

        everything: list[Seen[list[Sighting]]] = []
        for picture, names in zip(pictures, labels, strict=True):
            sightings: list[Sighting] = []
            call_id = ""
            for start in range(0, len(names), LABELS_AT_ONCE):
                found = self._call(
                    "detect",
                    image=picture,
                    labels=list(names[start : start + LABELS_AT_ONCE]),
                    threshold=floor,
                )
                if found is None:
                    return None
                assert isinstance(found.value, Found)
                call_id = call_id or found.call_id
                sightings += [
                    Sighting(each.label, each.score, each.box, each.handle)
                    for each in found.value.detections
                ]
            everything.append(Seen(call_id, sightings))
        return everything

    def tag(
        self, pictures: Sequence[str], labels: Sequence[Sequence[str]]
    ) -> list[Seen[dict[str, float]]] | None:
        from nuthatch.tools.tagging.tag import Tags

        everything: list[Seen[dict[str, float]]] = []
        for picture, names in zip(pictures, labels, strict=True):
            scores: dict[str, float] = {}
            call_id = ""
            for start in range(0, len(names), LABELS_AT_ONCE):
                part = list(names[start : start + LABELS_AT_ONCE])
                tags = self._call("tag", image=picture, labels=part, top_k=len(part))
                if tags is None:
                    return None
                assert isinstance(tags.value, Tags)
                if tags.value.score_kind == COSINE:
                    return None  # says how alike things are, not how likely
                call_id = tags.call_id
                scores.update({tag.label: tag.score for tag in tags.value.tags})
            everything.append(Seen(call_id, scores))
        return everything

    def describe(self, picture: str, sightings: Sequence[Sighting]) -> list[Seen[Region]] | None:
        from nuthatch.tools.tagging.describe_attributes import Attributes

        regions: list[Seen[Region]] = []
        for sighting in sightings:
            look = self._call(
                "describe_attributes", image=picture, region=sighting.handle, top_k=20
            )
            if look is None:
                return None
            assert isinstance(look.value, Attributes)
            if look.value.score_kind == COSINE:
                return None
            region = Region(
                {word.word: word.score for word in look.value.objects},
                {word.word: word.score for word in look.value.tints},
            )
            regions.append(Seen(look.call_id, region))
        return regions

    def measure(self, op: str, a: Sequence[Sighting], b: Sequence[Sighting]) -> str:
        there = [each.handle for each in b]
        seen = self._call("measure", op=op, a=[each.handle for each in a], b=there or None)
        return seen.call_id if seen else ""

    def listen(self, sound: str) -> Seen[dict[str, float]] | None:
        from nuthatch.tools.audio.tag_sound import SoundEvents
        from nuthatch.tools.vocabulary import SOUNDS

        heard = self._call("tag_sound", audio=sound, top_k=len(SOUNDS))
        if heard is None:
            return None
        assert isinstance(heard.value, SoundEvents)
        if not heard.value.events and not heard.value.silent:
            return None  # the tagger named nothing, which is no silence
        return Seen(heard.call_id, {each.event: each.score for each in heard.value.events})

    @property
    def reads(self) -> bool:
        executor = self.context.executor
        return isinstance(executor, ToolExecutor) and "read_text" in executor.tools

    def read(self, picture: str) -> Seen[list[Written]] | None:
        from nuthatch.tools.ocr.read_text import Lines

        try:
            found = self._call("read_text", image=picture)
        except ToolFault:  # too slow, or a user's own that takes other arguments
            self.context.check()
            return None
        if found is None or not isinstance(found.value, Lines):
            return None
        lines = [Written(line.text, line.score, line.box) for line in found.value.lines]
        return Seen(found.call_id, lines)

    def _call(self, tool: str, **arguments: object) -> Seen[object] | None:
        """The result and the id of its call; None if the tool cannot work here, or has a bug."""
        try:
            value = self.context.call(tool, **arguments)
        except ToolFault as fault:  # the failed call stays on record
            if isinstance(fault, ToolUnavailable) or fault.code == "internal":
                return None
            raise
        return Seen(self.context.children[-1].call.id, value)


class ModelSenses:
    """Looks with the models themselves. Pictures are (H, W, 3) uint8, sounds 16 kHz float32.

    Call ids are the tools' names: nothing is recorded.
    """

    def __init__(self, weights: Weights, *, batch: int = 16) -> None:
        self.weights = weights
        self.batch = batch

    def pixels(self, picture: Pixels) -> Pixels:
        return picture

    def unknown_to(self, picture: Pixels) -> frozenset[str]:
        return unknown_to(self.weights, JUDGES, "image", lambda: picture)

    def knows_sound(self, sound: Samples) -> bool:
        return not unknown_to(self.weights, ("tag_sound",), "audio", lambda: sound)

    def find(
        self, pictures: Sequence[Pixels], labels: Sequence[Sequence[str]], floor: float
    ) -> list[Seen[list[Sighting]]] | None:
        from nuthatch.tools.detection.detectors import clipped

        detector = self._get("detect")
        if detector is None:
            return None
        everything: list[Seen[list[Sighting]]] = []
        for start in range(0, len(pictures), self.batch):
            part = slice(start, start + self.batch)
            seen = detector.find(pictures[part], labels[part], threshold=floor)
            for found, picture in zip(seen, pictures[part], strict=True):
                height, width = picture.shape[:2]
                sightings = [
                    Sighting(each.label, each.score, Box.of(each.box), str(number))
                    for number, each in enumerate(clipped(found, width, height))
                ]
                everything.append(Seen("detect", sightings))
        return everything

    def tag(
        self, pictures: Sequence[Pixels], labels: Sequence[Sequence[str]]
    ) -> list[Seen[dict[str, float]]] | None:
        tagger = self._get("tag")
        if tagger is None:
            return None
        return [
            Seen("tag", {name: scores[name] for name in names})
            for names, scores in zip(labels, map(tagger.tag_image, pictures), strict=True)
        ]

    def describe(self, picture: Pixels, sightings: Sequence[Sighting]) -> list[Seen[Region]] | None:
        tagger = self._get("tag")
        if tagger is None:
            return None
        from nuthatch.tools.tagging.taggers import LABELS, TINT_LABELS

        tags = tagger.tag_boxes(picture, [each.box.xyxy for each in sightings])
        return [
            Seen(
                "describe_attributes",
                Region(
                    dict(zip(LABELS, objects.tolist(), strict=True)),
                    dict(zip(TINT_LABELS, tints.tolist(), strict=True)),
                ),
            )
            for objects, tints in zip(tags.categories, tags.tints, strict=True)
        ]

    def measure(self, op: str, a: Sequence[Sighting], b: Sequence[Sighting]) -> str:
        return "measure"

    def listen(self, sound: Samples) -> Seen[dict[str, float]] | None:
        from nuthatch.tools.audio.tag_sound import SILENCE

        tagger = self._get("tag_sound")
        if tagger is None:
            return None
        silent = float(np.abs(sound).max(initial=0.0)) < SILENCE
        return Seen("tag_sound", {} if silent else dict(tagger.tag(sound)))

    reads = False  # no weights: the reader is a tool

    def read(self, picture: Pixels) -> None:
        return None

    def _get(self, name: str) -> Any:
        try:
            model = self.weights.get(name)
        except ToolUnavailable:
            return None
        return None if isinstance(model, Contrastive) else model
