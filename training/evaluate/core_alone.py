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

from nuthatch.mllm.chat import prompt_ids
from nuthatch.mllm.decoding import Decoder, Medium, Row
from nuthatch.mllm.grammar import turn_grammar
from nuthatch.tools.vocabulary import CATEGORIES, SOUNDS, SYNONYMS, TINTS, plural
from nuthatch.training.data import questions
from nuthatch.training.data.layouts import Layout
from nuthatch.training.data.sample import Draw, Held
from nuthatch.training.evaluate import asking, records
from nuthatch.training.evaluate.checking import polls
from nuthatch.training.evaluate.cores import Trial
from nuthatch.training.evaluate.pope import Company, asked_for, strict
from nuthatch.training.world.scenes import Scene
from nuthatch.training.world.sounds import Clip

Condition = Literal["", "blind", "shuffled", "deaf", "other_sound"]
SIGHT: tuple[Condition, ...] = ("", "blind", "shuffled")
BOTH: tuple[Condition, ...] = (*SIGHT, "deaf", "other_sound")
FORMS = ("exist", "count", "colour", "relation")
"""Kinds of questions that are asked in held-out forms."""
CAPTION = "Describe the picture."
HEAR = "What can you hear?"
SOURCE = "Which object makes this sound?"
MOST_TOKENS = 48
AT_ONCE = 48
"""Rows of a batch."""


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


class Speaker:
    """Answers questions about media that are embedded already, many at a time."""

    def __init__(self, trial: Trial) -> None:
        self.core, self.processor = trial
        self.decoder = Decoder(self.core, self.processor.tokenizer, max_new_tokens=MOST_TOKENS)
        self.grammar = turn_grammar([], {}, allow="answer")

    @torch.inference_mode()
    def pictures(self, scenes: Sequence[Scene]) -> list[Media]:
        """Each scene's picture, embedded."""
        values = self.processor.pixel_values([scene.image for scene in scenes])
        return [Media(image=each) for each in self.core.embed_image(values.to(self.core.device))]

    @torch.inference_mode()
    def sounds(self, clips: Sequence[Clip]) -> list[Media]:
        """Each clip, embedded."""
        banks = self.processor.filter_banks([clip.samples for clip in clips])
        return [Media(audio=each) for each in self.core.embed_audio(banks.to(self.core.device))]

    def answers(self, asked: Sequence[tuple[str, Media]]) -> list[str]:
        """One answer a question."""
        rows = [self._row(text, media) for text, media in asked]
        said: list[str] = []
        for start in range(0, len(rows), AT_ONCE):
            spoken = self.decoder.speak(rows[start : start + AT_ONCE])
            decode = self.processor.tokenizer.decode
            said += [decode(ids, skip_special_tokens=True).strip() for ids in spoken]
        return said

    def _row(self, text: str, media: Media) -> Row:
        senses = (("image", media.image), ("audio", media.audio))
        given = [(kind, vectors) for kind, vectors in senses if vectors is not None]
        content = [{"type": kind, "handle": f"{kind}_1"} for kind, _ in given]
        message = {"role": "user", "content": [*content, {"type": "text", "text": text}]}
        prompt = prompt_ids(
            self.processor.tokenizer, [message], queries=self.processor.config.num_query_tokens
        )
        return Row(prompt, self.grammar, [Medium(kind, vectors) for kind, vectors in given])


# -- questions and answers ------------------------------------------------------------------------


def about(scene: Scene, company: Company) -> list[Asked]:
    """POPE, a count, a caption, and a question of each kind in a held-out form."""
    counts = scene.counts()
    layout = Layout.of(scene)
    named = {question.category: question.label for question in polls(scene, company, scene.seed)}
    asked = [Asked("pope", asked_for(name), label, name) for name, label in sorted(named.items())]
    number = counts.get(scene.focus, 0)
    asked.append(Asked("count", f"How many {plural(scene.focus)} are there?", number, scene.focus))
    asked.append(Asked("caption", CAPTION, counts))
    for kind in FORMS:
        draw = Draw.of("core alone", scene.seed, kind)
        question = questions.ask(draw, kind, layout, None, Held(branches=True))
        if question is None or (kind == "colour" and question.truth not in TINTS):
            continue
        asked.append(Asked(f"form {kind}", question.text, question.truth, question.category))
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
    said = iter(speaker.answers(spoken))
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
    media = zip(speaker.pictures(scenes), speaker.pictures(others), strict=True)
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
    media = zip(speaker.sounds(clips), speaker.sounds(others), strict=True)
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
    pictures = speaker.pictures([scene for scene, _ in pairs])
    sounds = speaker.sounds([clip for _, clip in pairs])
    return [Media(a.image, b.audio) for a, b in zip(pictures, sounds, strict=True)]
