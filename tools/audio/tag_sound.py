"""Name what is heard: `tag_sound`."""

from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, Field

from nuthatch.tools.audio.audioset import source_of
from nuthatch.tools.base.tool import Arguments, AudioRef, Context, Tool
from nuthatch.tools.domain.abstain import unknown_to
from nuthatch.tools.vocabulary import SOUNDS, Sound

if TYPE_CHECKING:
    from nuthatch.tools.audio.sound_tagger import Listener

SILENCE = 1e-4  # peak amplitude below which there is nothing to hear


class TagSoundArgs(Arguments):
    audio: AudioRef
    top_k: int = Field(3, ge=1, le=13)


class SoundEvent(BaseModel):
    event: str  # as the tagger names it
    description: str  # in words, e.g. "a bell ringing"
    object: str  # what makes it: a category, or what a detector may look for
    score: float  # 0 to 1


class SoundEvents(BaseModel):
    """Ranked sound events, best first; empty when the recording is silent, and for sounds that
    the tagger does not know."""

    events: list[SoundEvent]
    score_kind: str = "probability"
    silent: bool = False


class TagSound(Tool[TagSoundArgs, SoundEvents]):
    """Rank the events that can be heard in a recording, with a score each.

    A BEATs encoder (arXiv:2212.09058) with a multi-label head; several events may sound at once.
    The shipped one knows the sounds of the vocabulary, the published one AudioSet's 527 classes.

    Raises:
        ToolUnavailable: weights or packages are missing.
    """

    name = "tag_sound"
    caches = True
    weights = ("tag_sound",)
    Args = TagSoundArgs
    Result = SoundEvents

    def run(self, args: TagSoundArgs, context: Context) -> SoundEvents:
        samples = context.media.audio(args.audio)
        if float(np.abs(samples).max()) < SILENCE:
            return SoundEvents(events=[], silent=True)
        tagger: Listener = context.weights.get("tag_sound")
        sha256 = context.media[args.audio].sha256
        if unknown_to(context.weights, self.weights, "audio", lambda: samples, sha256):
            return SoundEvents(events=[])  # the notice of the result says why
        return SoundEvents(events=[_described(*each) for each in tagger.tag(samples)[: args.top_k]])


def _described(event: str, score: float) -> SoundEvent:
    about = SOUNDS.get(event) or Sound(object=source_of(event), description=event.lower())
    return SoundEvent(event=event, description=about.description, object=about.object, score=score)
