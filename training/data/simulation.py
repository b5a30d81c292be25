"""Tools at work on pictures and sounds that are known by what they show: real results, no models.

Arguments are checked by the tools' own `Args`, handles are named as the media store names them,
results are the tools' own types, and `measure` and `calculate` are the tools themselves. What a
planner reads of them is written by `tools.render.observation`, as it is when the house serves.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ConfigDict

from nuthatch.tools.audio.tag_sound import SoundEvent, SoundEvents, TagSoundArgs
from nuthatch.tools.base.tool import Context, ToolCall, ToolResult
from nuthatch.tools.base.toolset import media_arguments
from nuthatch.tools.basic.calculate import Calculate
from nuthatch.tools.basic.crop import Crop, CropArgs
from nuthatch.tools.basic.measure import Measure
from nuthatch.tools.catalogue import all_tools
from nuthatch.tools.composite.ground import GroundArgs, Grounded, PhraseLink
from nuthatch.tools.composite.locate_sound_source import MIN_SCORE, SoundLink, SoundSources
from nuthatch.tools.detection.detect import DetectArgs, Found
from nuthatch.tools.faults import Fault, RetryCall, ToolFault
from nuthatch.tools.media.geometry import Box
from nuthatch.tools.media.store import Detection, Media, MediaKind, MediaStore
from nuthatch.tools.output.render import observation
from nuthatch.tools.segmentation.segment import Masks, SegmentArgs
from nuthatch.tools.tagging.describe_attributes import (
    Attributes,
    DescribeAttributesArgs,
    ScoredWord,
)
from nuthatch.tools.tagging.tag import Tag, TagArgs, Tags
from nuthatch.tools.verification.extraction.words import COLOURS
from nuthatch.tools.vocabulary import CATEGORIES, SOUNDS, TINTS, canonical
from nuthatch.training.data.layouts import Layout, Thing
from nuthatch.training.data.sample import Draw, Sound

ARGUMENTS: dict[str, type[BaseModel]] = {
    tool.name: cast(type[BaseModel], tool.Args) for tool in all_tools()
}
_MEASURE, _CALCULATE = Measure(), Calculate()


class Reply(BaseModel):
    """The result of a tool outside the catalogue: whatever fields it has."""

    model_config = ConfigDict(extra="allow")


class KnownMedia(MediaStore):
    """A media store without files: it knows names and sizes."""

    def __init__(self) -> None:
        super().__init__(Path("known"))

    def enter(
        self,
        kind: MediaKind,
        *,
        width: int | None = None,
        height: int | None = None,
        seconds: float | None = None,
        made_by: str | None = None,
    ) -> str:
        """Name a medium; returns its handle."""
        return self._enter(
            Media(
                handle=self._next(kind),
                type=kind,
                sha256="",
                path=self.root,
                width=width,
                height=height,
                seconds=seconds,
                made_by=made_by,
            )
        ).handle


class Simulation:
    """The media of one talk, and tools that know what they show.

    Of a label outside the world's vocabulary nothing is known: how often it is found is drawn.
    """

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.media = KnownMedia()
        self.layouts: dict[str, Layout] = {}
        self.sounds: dict[str, Sound] = {}
        self.things: dict[str, Thing] = {}
        """Detection handle -> what was found there."""

    def picture(self, layout: Layout, made_by: str | None = None) -> str:
        """Give a picture; returns its handle."""
        handle = self.media.enter(
            "image", width=layout.width, height=layout.height, made_by=made_by
        )
        self.layouts[handle] = layout
        return handle

    def sound(self, sound: Sound) -> str:
        """Give a recording; returns its handle."""
        handle = self.media.enter("audio", seconds=round(self.draw.uniform(2, 4), 1))
        self.sounds[handle] = sound
        return handle

    def run(
        self, call: ToolCall, *, told: BaseModel | None = None, fault: ToolFault | None = None
    ) -> ToolResult:
        """What becomes of a call. `told` is the value of a tool that is not simulated here.

        Raises:
            ValueError: the arguments are wrong or a handle is dead: no sample may show that.
        """
        if call.tool in ARGUMENTS:
            args = ARGUMENTS[call.tool].model_validate(call.arguments)
            self._check_handles(call.tool, args)
        else:
            args = Reply(**call.arguments)
        if fault is not None:
            if call.tool == "detect":
                self.media.reserve_detections()
            return ToolResult(call, None, Fault(fault.code, fault.message), 0.0)
        try:
            value = told or self._value(call, args)
        except ToolFault as problem:
            return ToolResult(call, None, Fault(problem.code, problem.message), 0.0)
        return ToolResult(call, value, None, 0.0)

    def text(self, result: ToolResult) -> str:
        """What the planner reads."""
        return observation(result, media=self.media)

    def _check_handles(self, tool: str, args: BaseModel) -> None:
        for name, kind in media_arguments(type(args)):
            given = getattr(args, name)
            live = self.media.handles(kind)  # type: ignore[arg-type]
            for handle in given if isinstance(given, (list, tuple)) else [given]:
                if isinstance(handle, str) and handle not in live:
                    raise ValueError(f"{tool}.{name}: no {kind} {handle!r}; live: {live}")

    def _value(self, call: ToolCall, args: BaseModel) -> BaseModel:
        if call.tool in ("measure", "calculate"):
            # Neither asks for weights or other tools.
            context = Context(call.id, self.media, cast(Any, None), cast(Any, None))
            tool: Any = _MEASURE if call.tool == "measure" else _CALCULATE
            return cast(BaseModel, tool.run(args, context))
        simulate: Callable[[Any], BaseModel] = getattr(self, f"_{call.tool}")
        return simulate(args)

    # -- one method a tool ----------------------------------------------------------------------

    def _detect(self, args: DetectArgs) -> Found:
        threshold = args.threshold or 0.35
        asked: dict[str, str] = {}
        for label in args.labels:
            asked.setdefault(canonical(label) or label, label)
        pairs = [
            (Thing(label, thing.tint, thing.box), thing)
            for name, label in asked.items()
            for thing in self._shown(args.image, name)
        ]
        found = self._enter(
            args.image, [(seen.category, thing) for seen, thing in pairs], threshold
        )
        hit = {each.label for each in found}
        return Found(
            detections=found,
            labels_searched=args.labels,
            labels_not_found=[
                label for label in args.labels if asked.get(canonical(label) or label) not in hit
            ],
            threshold=threshold,
        )

    def _enter(
        self, image: str, seen: list[tuple[str, Thing]], threshold: float
    ) -> list[Detection]:
        """Name what was found, best first."""
        group = self.media.reserve_detections()
        scores = sorted((self._score(threshold) for _ in seen), reverse=True)
        self.draw.shuffle(seen)
        found = self.media.add_detections(
            group,
            [
                Detection(
                    image=image,
                    label=label,
                    score=score,
                    score_kind="detector score",
                    box=Box.of([round(side) for side in thing.box]),
                )
                for (label, thing), score in zip(seen, scores, strict=True)
            ],
        )
        for each, (_, thing) in zip(found, seen, strict=True):
            self.things[each.handle] = thing
        return found

    def _score(self, threshold: float) -> float:
        return min(0.99, threshold + (1 - threshold) * self.draw.betavariate(4, 1.5))

    def _shown(self, image: str, name: str) -> list[Thing]:
        layout = self.layouts[image]
        if canonical(name):
            return [each for each in layout.things if each.category == canonical(name)]
        first, _, rest = name.partition(" ")
        category = canonical(rest)
        if COLOURS.get(first) in TINTS and category:
            return [
                each
                for each in layout.things
                if each.category == category and each.tint == COLOURS[first]
            ]
        number = self.draw.choices(range(7), (18, 40, 18, 10, 6, 5, 3))[0]
        return [self._somewhere(layout, name) for _ in range(number)]

    def _somewhere(self, layout: Layout, name: str) -> Thing:
        wide, high = (side * self.draw.uniform(0.1, 0.4) for side in (layout.width, layout.height))
        x, y = self.draw.uniform(0, layout.width - wide), self.draw.uniform(0, layout.height - high)
        tint = self.draw.choice(list(TINTS)) if self.draw.chance(0.6) else None
        return Thing(name, tint, (x, y, x + wide, y + high))

    def _segment(self, args: SegmentArgs) -> Masks:
        if args.detections is not None:
            found = [d for handle in args.detections for d in self.media.detections(handle)]
            areas = [each.box.area for each in found]
        elif args.boxes is not None:
            areas = [self._inside(args.image, Box.of(box)).area for box in args.boxes]
        else:
            areas = [self.draw.uniform(200, 4000) for _ in args.points or ()]
        layout = self.layouts[args.image]
        handles = [
            self.media.enter("mask", width=layout.width, height=layout.height) for _ in areas
        ]
        return Masks(
            masks=handles,
            predicted_iou=[self.draw.uniform(0.7, 0.97) for _ in areas],
            areas=[int(area * self.draw.uniform(0.4, 0.85)) for area in areas],
        )

    def _tag(self, args: TagArgs) -> Tags:
        present = self.layouts[args.image].counts()
        asked = {label: canonical(label) for label in args.labels or CATEGORIES}
        tags = [
            Tag(
                label=label,
                score=self.draw.uniform(0.6, 0.99)
                if category in present
                else self.draw.betavariate(1, 12),
            )
            for label, category in asked.items()
            if category
        ]
        tags.sort(key=lambda tag: -tag.score)
        return Tags(
            tags=tags[: args.top_k],
            score_kind="best tile's probability",
            unknown=[label for label, category in asked.items() if not category],
        )

    def _describe_attributes(self, args: DescribeAttributesArgs) -> Attributes:
        thing = self._thing_at(args.image, args.region)
        name = thing.category if thing else self.draw.choice(CATEGORIES)
        tint = (thing.tint if thing else None) or "plain"
        others = [each for each in self.draw.sample(CATEGORIES, args.top_k) if each != name]
        tints = [each for each in self.draw.sample([*TINTS, "plain"], 3) if each != tint]
        return Attributes(
            objects=self._ranked([name, *others], args.top_k),
            tints=self._ranked([tint, *tints], args.top_k),
            score_kind="probability",
        )

    def _ranked(self, words: list[str], top_k: int) -> list[ScoredWord]:
        score, ranked = self.draw.uniform(0.6, 0.98), []
        for word in words[:top_k]:
            ranked.append(ScoredWord(word=word, score=score))
            score = (1 - score) * self.draw.uniform(0.3, 0.8) if len(ranked) == 1 else score / 2
        return ranked

    def _thing_at(self, image: str, region: Any) -> Thing | None:
        """What a detection or box shows; of a picture as a whole, its largest thing."""
        if isinstance(region, str):
            return self.things.get(region)
        things = self.layouts[image].things
        if region is None:
            return max(things, key=lambda each: Box.of(each.box).area, default=None)
        x, y = Box.of(region).centre
        away = lambda each: abs(each.centre[0] - x) + abs(each.centre[1] - y)  # noqa: E731
        return min(things, key=away, default=None)

    def _crop(self, args: CropArgs) -> Crop:
        layout = self.layouts[args.image]
        box = self.media.detection(args.detection).box if args.detection else Box.of(args.box or ())
        box = self._inside(args.image, box).grow(args.margin, layout.width, layout.height)
        x1, y1, x2, y2 = (round(side) for side in box.xyxy)
        inside = tuple(
            each for each in layout.things if x1 < each.centre[0] < x2 and y1 < each.centre[1] < y2
        )
        part = Layout(inside, layout.focus, layout.theme, x2 - x1, y2 - y1)
        return Crop(image=self.picture(part, made_by="crop"), box=Box.of((x1, y1, x2, y2)))

    def _inside(self, image: str, box: Box) -> Box:
        layout = self.layouts[image]
        try:
            return box.clip(layout.width, layout.height)
        except ValueError as error:
            size = f"{layout.width}x{layout.height}"
            raise RetryCall(f"{error}; the picture is {size} pixels") from error

    def _tag_sound(self, args: TagSoundArgs) -> SoundEvents:
        sound = self.sounds[args.audio]
        if sound.silent:
            return SoundEvents(events=[], silent=True)
        heard = [(event, self.draw.uniform(0.6, 0.99)) for event in sound.events]
        rest = [event for event in SOUNDS if event not in sound.events]
        heard += [(event, self.draw.betavariate(1, 14)) for event in rest]
        heard.sort(key=lambda pair: -pair[1])
        return SoundEvents(
            events=[
                SoundEvent(
                    event=event,
                    description=SOUNDS[event].description,
                    object=SOUNDS[event].object,
                    score=score,
                )
                for event, score in heard[: args.top_k]
            ]
        )

    def _locate_sound_source(self, args: Any) -> SoundSources:
        heard = self._tag_sound(TagSoundArgs(audio=args.audio))
        events = [event for event in heard.events if event.score >= MIN_SCORE]
        if not events:
            return SoundSources(links=[])
        objects = list(dict.fromkeys(event.object for event in events))
        found = self._detect(DetectArgs(image=args.image, labels=objects))
        return SoundSources(
            links=[
                SoundLink(
                    event=event.event,
                    description=event.description,
                    object=event.object,
                    score=event.score,
                    detections=[d.handle for d in found.detections if d.label == event.object],
                )
                for event in events
            ]
        )

    def _ground(self, args: GroundArgs) -> Grounded:
        links = []
        for given in args.phrases:
            phrase = given if isinstance(given, str) else given.text
            seen = [(phrase, thing) for thing in self._shown(args.image, phrase)[:3]]
            found = self._enter(args.image, seen, 0.35) if seen else []
            links.append(
                PhraseLink(
                    phrase=phrase,
                    detections=[each.handle for each in found],
                    score=found[0].score if found else None,
                )
            )
        return Grounded(links=links)
