"""Link what is heard to what is seen: `locate_sound_source`."""

from pydantic import BaseModel

from nuthatch.tools.audio.tag_sound import SoundEvents
from nuthatch.tools.base.tool import Arguments, AudioRef, Context, ImageRef, Tool
from nuthatch.tools.detection.detect import Found

MIN_SCORE = 0.5  # events below this are not looked for


class LocateSoundSourceArgs(Arguments):
    image: ImageRef
    audio: AudioRef


class SoundLink(BaseModel):
    """One event, what would make it, and where that is in the picture (if it is)."""

    event: str
    description: str
    object: str
    score: float
    detections: list[str]  # handles; empty: heard, not seen


class SoundSources(BaseModel):
    """Events in the order of their scores; the detections are those of the inner `detect`."""

    links: list[SoundLink]


class LocateSoundSource(Tool[LocateSoundSourceArgs, SoundSources]):
    """Find the objects in a picture that make the sounds in a recording.

    The use BuboGPT (arXiv:2307.08581) puts its grounding to: events are named by `tag_sound`,
    the objects that make them looked for by `detect`.

    Raises:
        ToolUnavailable: one of the two cannot work here.
    """

    name = "locate_sound_source"
    # Its inner calls name detections; one after the other, so that names can be repeated.
    effects = "writes_media"
    weights = ("detect", "tag_sound")
    Args = LocateSoundSourceArgs
    Result = SoundSources

    def run(self, args: LocateSoundSourceArgs, context: Context) -> SoundSources:
        heard: SoundEvents = context.call("tag_sound", audio=args.audio)
        events = [event for event in heard.events if event.score >= MIN_SCORE]
        if not events:
            return SoundSources(links=[])
        objects = list(dict.fromkeys(event.object for event in events))
        found: Found = context.call("detect", image=args.image, labels=objects)
        links = [
            SoundLink(
                event=event.event,
                description=event.description,
                object=event.object,
                score=event.score,
                detections=[d.handle for d in found.detections if d.label == event.object],
            )
            for event in events
        ]
        return SoundSources(links=links)
