"""The core by itself, without tools: what it sees and hears on held-out scenes and clips.

Every question is asked again `blind`, with nothing (vectors of zeros) in the place of the picture
or sound, and `shuffled`, with that of another case. What it still gets right then, it guesses.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from nuthatch.mllm.generation.generator import Kind, Question, Speaker
from nuthatch.tools.captioning.caption import REQUEST
from nuthatch.tools.vocabulary import CATEGORIES, SOUNDS, SYNONYMS, TINTS, plural
from nuthatch.training.data import questions
from nuthatch.training.data.layouts import Layout
from nuthatch.training.data.sample import Draw, Held
from nuthatch.training.evaluate import asking, records
from nuthatch.training.evaluate.checking import polls
from nuthatch.training.evaluate.pope import asked_for, strict
from nuthatch.training.world.company import Company
from nuthatch.training.world.scenes import Scene
from nuthatch.training.world.sounds import Clip

Condition = Literal["", "blind", "shuffled", "deaf", "other_sound"]
SIGHT: tuple[Condition, ...] = ("", "blind", "shuffled")
BOTH: tuple[Condition, ...] = (*SIGHT, "deaf", "other_sound")
CAPTION = REQUEST
FORMS = ("exist", "count", "colour", "relation")
"""Kinds of questions that are asked in held-out forms."""
HEAR = "What can you hear?"
SOURCE = "Which object makes this sound?"


@dataclass(frozen=True)
class Asked:
    """A question; `truth` is what `read` should give of the answer."""

    kind: str
    text: str
    truth: Any
    category: str | None = None


@dataclass(frozen=True)
class Media:
    """A picture and a sound as the core reads them, (Q, D) each; None where there is none."""

    image: Tensor | None = None
    audio: Tensor | None = None

    def under(self, condition: Condition, other: "Media") -> "Media":
        """What is left of it; `other` are the media of another case."""
        image, audio = self.image, self.audio
        if condition in ("blind", "shuffled") and image is not None:
            swapped = other.image if condition == "shuffled" else None
            image = torch.zeros_like(image) if swapped is None else swapped
        if condition in ("deaf", "other_sound") and audio is not None:
            swapped = other.audio if condition == "other_sound" else None
            audio = torch.zeros_like(audio) if swapped is None else swapped
        return Media(image, audio)


def pictures(speaker: Speaker, scenes: Sequence[Scene]) -> list[Media]:
    """Each scene's picture, embedded."""
    return [Media(image=each) for each in speaker.see([scene.image for scene in scenes])]


def sounds(speaker: Speaker, clips: Sequence[Clip]) -> list[Media]:
    """Each clip, embedded."""
    return [Media(audio=each) for each in speaker.hear([clip.samples for clip in clips])]


def question(text: str, media: Media) -> Question:
    """A question about these media, picture first."""
    senses: tuple[tuple[Kind, Tensor | None], ...] = (
        ("image", media.image),
        ("audio", media.audio),
    )
    return Question(text, tuple((kind, given) for kind, given in senses if given is not None))


# -- questions and answers ------------------------------------------------------------------------


def about(scene: Scene, company: Company) -> list[Asked]:
    """POPE, a count, a caption, and a question of each kind in a held-out form."""
    counts = scene.counts()
    layout = Layout.of(scene)
    named = {each.category: each.label for each in polls(scene, company, scene.seed)}
    asked = [Asked("pope", asked_for(name), label, name) for name, label in sorted(named.items())]
    number = counts.get(scene.focus, 0)
    asked.append(Asked("count", f"How many {plural(scene.focus)} are there?", number, scene.focus))
    asked.append(Asked("caption", CAPTION, counts))
    for kind in FORMS:
        draw = Draw.of("core alone", scene.seed, kind)
        posed = questions.ask(draw, kind, layout, None, Held(branches=True))
        if posed is None or (kind == "colour" and posed.truth not in TINTS):
            continue
        asked.append(Asked(f"form {kind}", posed.text, posed.truth, posed.category))
    return asked


def of_sound(clip: Clip) -> list[Asked]:
    """What can be heard."""
    return [Asked("sound", HEAR, sorted(clip.events))]


def of_both(scene: Scene, clip: Clip) -> list[Asked]:
    """Which thing in the picture makes the sound: only both senses can tell."""
    makers = {SOUNDS[event].object for event in clip.events}
    return [Asked("source", SOURCE, sorted(makers & set(scene.counts())))]


def read(kind: str, text: str) -> Any:
    """What an answer says, by plain words; None if it says nothing of the kind."""
    if kind in ("pope", "form exist", "form relation"):
        return strict(text)
    if kind == "caption":
        return named(text)
    plain = {"form count": "count", "form colour": "tint"}.get(kind, kind)
    return asking.read(plain, text)


def _names() -> dict[str, str]:
    """Every name of a category, one and many -> the category; longer names first."""
    words = {**{name: name for name in CATEGORIES}, **SYNONYMS}
    words |= {plural(word): category for word, category in list(words.items())}
    return dict(sorted(words.items(), key=lambda pair: -len(pair[0])))


_NAMES = _names()
NAME = re.compile(rf"\b(no )?({'|'.join(map(re.escape, _NAMES))})\b")
"""A name of a category in lower case, and whether it is denied."""


def named(text: str) -> list[str]:
    """The categories that a caption says are there."""
    found = NAME.findall(text.lower())
    return sorted({_NAMES[name] for no, name in found if not no})


def interview(
    speaker: Speaker,
    cases: Sequence[tuple[Sequence[Asked], Media, Media]],
    conditions: Sequence[Condition],
) -> list[records.Row]:
    """Ask everything of each case (its questions, its media, those of another) under all
    conditions; one record a case."""
    spoken = [
        (each.text, media.under(condition, other))
        for asked, media, other in cases
        for each in asked
        for condition in conditions
    ]
    said = iter(speaker.answers([question(*each) for each in spoken]))
    rows = []
    for asked, _, _ in cases:
        answered = []
        for each in asked:
            answers = {condition: next(said) for condition in conditions}
            answered.append(
                {
                    "kind": each.kind,
                    "question": each.text,
                    "category": each.category,
                    "truth": each.truth,
                    "answers": answers,
                    "read": {c: read(each.kind, text) for c, text in answers.items()},
                }
            )
        rows.append({"asked": answered})
    return rows


def look(
    speaker: Speaker, scenes: Sequence[Scene], others: Sequence[Scene], company: Company
) -> list[records.Row]:
    """One row a scene: everything that can be asked of its picture; `others` stand in for it."""
    media = zip(pictures(speaker, scenes), pictures(speaker, others), strict=True)
    cases = [(about(scene, company), *both) for scene, both in zip(scenes, media, strict=True)]
    rows = interview(speaker, cases, SIGHT)
    for row, scene in zip(rows, scenes, strict=True):
        row["settings"] = {
            f"{each.setting} {each.category}": each.label
            for each in polls(scene, company, scene.seed)
        }
    return rows


def listen(speaker: Speaker, clips: Sequence[Clip], others: Sequence[Clip]) -> list[records.Row]:
    """One row a clip."""
    media = zip(sounds(speaker, clips), sounds(speaker, others), strict=True)
    cases = [(of_sound(clip), *both) for clip, both in zip(clips, media, strict=True)]
    return interview(speaker, cases, ("", "deaf", "other_sound"))


def relate(
    speaker: Speaker,
    pairs: Sequence[tuple[Scene, Clip]],
    others: Sequence[tuple[Scene, Clip]],
) -> list[records.Row]:
    """One row a scene with its clip."""
    media = zip(_both(speaker, pairs), _both(speaker, others), strict=True)
    cases = [(of_both(*pair), *both) for pair, both in zip(pairs, media, strict=True)]
    rows = interview(speaker, cases, BOTH)
    for row, (_, clip) in zip(rows, pairs, strict=True):
        row["events"] = list(clip.events)
    return rows


def _both(speaker: Speaker, pairs: Sequence[tuple[Scene, Clip]]) -> list[Media]:
    seen = pictures(speaker, [scene for scene, _ in pairs])
    heard = sounds(speaker, [clip for _, clip in pairs])
    return [Media(a.image, b.audio) for a, b in zip(seen, heard, strict=True)]
