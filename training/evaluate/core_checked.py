"""The core's own words, checked: its POPE answers and captions, before and after the verifier."""

import re
from collections.abc import Sequence

from nuthatch.mllm.generation.generator import Speaker
from nuthatch.tools.verification.correction import Item
from nuthatch.tools.verifier import Verifier
from nuthatch.tools.vocabulary import canonical
from nuthatch.training.evaluate.checking import polls, text_row
from nuthatch.training.evaluate.core_alone import CAPTION, NAME, Media, named, pictures, question
from nuthatch.training.evaluate.pope import asked_for, strict
from nuthatch.training.evaluate.records import Row
from nuthatch.training.evaluate.writer import NUMBER_WORDS, Fact, Phrase, Truth
from nuthatch.training.world.company import Company
from nuthatch.training.world.scenes import Scene

_NUMBER = re.compile(rf"\b({'|'.join(NUMBER_WORDS[1:])}|\d+) (?:pairs of )?$")
_ARTICLE = re.compile(r"\b(?:an?|the|some|a pair of) $")


def check(
    speaker: Speaker, scenes: Sequence[Scene], verifier: Verifier, company: Company
) -> list[Row]:
    """One row a scene: POPE answers before and after, and what became of its caption."""
    asked: list[tuple[int, str, Media]] = []
    for index, media in enumerate(pictures(speaker, scenes)):
        scene = scenes[index]
        names = {question.category for question in polls(scene, company, scene.seed)}
        texts = [*(asked_for(name) for name in sorted(names)), CAPTION]
        asked += [(index, text, media) for text in texts]
    said = speaker.answers([question(text, media) for _, text, media in asked])
    # A speaker that is not trained yet may say nothing at all.
    said = [text if text.strip() else "-" for text in said]
    items = [
        Item(answer, None if text == CAPTION else text, scenes[index].image)
        for answer, (index, text, _) in zip(said, asked, strict=True)
    ]
    corrections = verifier.correct_many(items)
    rows: list[Row] = []
    for index, scene in enumerate(scenes):
        mine = [
            (text, answer, correction)
            for (of, text, _), answer, correction in zip(asked, said, corrections, strict=True)
            if of == index
        ]
        by_question = {text: (answer, correction) for text, answer, correction in mine}
        caption, corrected = by_question[CAPTION]
        truth = Truth.of(scene)
        pope = []
        for each in polls(scene, company, scene.seed):
            answer, correction = by_question[each.text]
            verdicts = [(verdict.rule, verdict.verdict) for verdict in correction.verdicts]
            pope.append(
                {
                    "setting": each.setting,
                    "category": each.category,
                    "label": each.label,
                    "core": strict(answer),
                    "verified": strict(correction.final),
                    "verdicts": verdicts,
                }
            )
        rows.append(
            {
                "pope": pope,
                "counts": scene.counts(),
                "caption": named(caption),
                "caption_verified": named(corrected.final),
                "written": text_row(facts_of(caption, truth), corrected, truth),
            }
        )
    return rows


def facts_of(caption: str, truth: Truth) -> Phrase:
    """A caption with what it states: objects and their numbers. A denial is not counted."""
    facts: list[Fact] = []
    for found in NAME.finditer(caption.lower()):
        name = canonical(found[2])
        if found[1] or name is None:
            continue
        before = caption.lower()[: found.start()]
        start = found.start()
        number = _NUMBER.search(before)
        article = _ARTICLE.search(before)
        if number:
            start = number.start()
            word = number[1]
            count = NUMBER_WORDS.index(word) if word in NUMBER_WORDS else int(word)
            right = truth.counts.get(name, 0) == count
            facts.append(Fact("count", name, number.span(1), right, str(count)))
        elif article:
            start = article.start()
        facts.append(Fact("existence", name, (start, found.end()), name in truth.counts))
    return Phrase(caption, tuple(facts))
