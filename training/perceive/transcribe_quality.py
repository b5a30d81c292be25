"""What the transcriber is worth: words wrong in sentences, and in voices, it never heard."""

import re
from collections.abc import Sequence

import numpy as np
from whisper.decoding import DecodingOptions
from whisper.model import Whisper

from nuthatch.tools.audio.transcriber import spectra
from nuthatch.training.evaluate.statistics import Interval, mean, proportion
from nuthatch.training.perceive.spoken import sentence
from nuthatch.training.world.speech import make_speech
from nuthatch.training.world.synthesis import Parameters, Samples

HELD_OUT, GLANCED_AT = 6_000_000, 5_000_000
"""First seed of the held-out sentences that are measured, and of those looked at in training."""
AT_ONCE = 16
GREEDY = DecodingOptions(
    language="en",
    without_timestamps=True,
    suppress_blank=False,
    length_penalty=0.0,  # else the package divides by the length, which may be 0
    fp16=False,
)


def words_of(text: str) -> list[str]:
    """Lower case, without punctuation: what word error rates count."""
    return re.findall(r"[a-z0-9']+", text.lower())


def word_errors(said: Sequence[str], heard: Sequence[str]) -> int:
    """Fewest words to put in, take out or replace that turn one into the other (Levenshtein)."""
    row = np.arange(len(heard) + 1)
    for number, word in enumerate(said, start=1):
        kept = row[:-1] + (np.array(heard, dtype=object) != word)
        best = np.minimum(kept, row[1:] + 1)
        row[0] = number
        for place, value in enumerate(best, start=1):  # a word too many costs one more
            row[place] = min(value, row[place - 1] + 1)
    return int(row[-1])


def clips(seeds: range, voices: Parameters) -> tuple[list[str], list[Samples]]:
    """Held-out sentences and how a voice of this kind says them."""
    texts = [sentence(seed, held_out=True) for seed in seeds]
    return texts, [
        make_speech(text, seed, "test", voices=voices).samples
        for seed, text in zip(seeds, texts, strict=True)
    ]


def hear(model: Whisper, sounds: Sequence[Samples]) -> list[str]:
    """What the model writes for each sound, each no longer than its window."""
    order = sorted(range(len(sounds)), key=lambda index: len(sounds[index]))
    heard: dict[int, str] = {}
    for start in range(0, len(order), AT_ONCE):
        batch = order[start : start + AT_ONCE]
        results = model.decode(spectra(model, [sounds[index] for index in batch]), GREEDY)
        heard |= {index: result.text for index, result in zip(batch, results, strict=True)}
    return [heard[index] for index in range(len(sounds))]


def measure(model: Whisper, sentences: int, first: int = HELD_OUT) -> dict[str, Interval]:
    """Figures with 95 % intervals over `sentences` held-out sentences in each kind of voice.

    `*wer`: words wrong (put in, left out or replaced) per word said. `*sentences`: share of
    sentences without a wrong word. `held_out_*`: voices that training never heard.
    """
    figures: dict[str, Interval] = {}
    kinds: tuple[tuple[str, Parameters], ...] = (("", "seen"), ("held_out_", "held_out"))
    for prefix, voices in kinds:
        texts, sounds = clips(range(first, first + sentences), voices)
        said = [words_of(text) for text in texts]
        heard = [words_of(text) for text in hear(model, sounds)]
        errors = [word_errors(a, b) for a, b in zip(said, heard, strict=True)]
        figures[f"{prefix}wer"] = mean(errors, [len(each) for each in said])
        figures[f"{prefix}sentences"] = proportion(errors.count(0), len(errors))
    return figures


def glance(model: Whisper) -> dict[str, float]:
    """How training fares: words wrong in 60 held-out sentences."""
    return {name: figure.value for name, figure in measure(model, 60, GLANCED_AT).items()}
