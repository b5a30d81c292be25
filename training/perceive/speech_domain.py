"""Fit the transcriber's domain: the speech whose words it finds as likely as those it learned.

Its centre and spread are those of held-out sentences of the miniature; the threshold lies halfway
between what nearly all of them keep within and what nearly all `unlike` speech exceeds. What it is
worth is measured on other sentences, voices and languages.
"""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from nuthatch.tools.audio.transcriber import Transcriber, load
from nuthatch.tools.domain.check import Domain
from nuthatch.tools.weights.fetching import sha256_of
from nuthatch.tools.weights.folder import DOMAIN_FILE
from nuthatch.training.evaluate.everyday import EVERYDAY, FOREIGN
from nuthatch.training.evaluate.statistics import Interval, proportion
from nuthatch.training.perceive.domain_card import write_section
from nuthatch.training.perceive.spoken import sentence
from nuthatch.training.perceive.transcribe_quality import HELD_OUT
from nuthatch.training.perceive.unlike import unlike_speech
from nuthatch.training.recipes.perception import SpeechDomainRecipe
from nuthatch.training.world.speech import FASTEST, SLOWEST, VOICES, make_speech, speak
from nuthatch.training.world.synthesis import Samples

CALIBRATION = 4_000_000
"""First seed of the held-out sentences that the domain is fitted on."""
SPEAKERS = (
    *("en-us+Gene", "en-us+klatt3", "en-gb+Storm", "en-us+Hugo", "en-gb+Diogo", "en-us+Denis"),
    *("en-gb+f5", "en-029+Lee", "en-us+Jacky"),
)
"""Voices that neither the training of the transcriber nor its test set heard."""
SECTION = """`domain.safetensors` tells speech of the miniature world from other speech, by the mean
log-probability of the words that were written (`nuthatch.tools.audio.transcriber.window_features`).
Outside of it nothing is `reliable`, and `transcribe` leaves it out. Its centre and spread are those
of 300 held-out sentences in the world's voices and 200 in nine voices that neither training nor
test heard; the threshold lies halfway, in deviations, between what 99 % of these keep within and
what 95 % of 500 recordings of other sentences and made-up words exceed
(`nuthatch.training.perceive.unlike`). Shares of recordings with 95 % intervals; `kept`: all words
reliable, `refused`: none.
Command: first line of `training/recipes/embedded/1_perceive_speech_domain.yaml`."""
KEPT, PASSED = 0.99, 0.05
"""Shares of known and of unlike speech at whose distances the threshold's two neighbours lie."""


def train(config: SpeechDomainRecipe) -> None:
    """Fit, export, and measure."""
    model, export = Path(config.transcribe), Path(config.export)
    for folder in (Path(config.out), export):
        folder.mkdir(parents=True, exist_ok=True)
    transcriber = load(model)
    transcriber.domain = None
    texts = [sentence(CALIBRATION + i, held_out=True) for i in range(config.sentences)]
    spoken = [make_speech(text, i, "calibrate").samples for i, text in enumerate(texts)]
    draw = Random(0)
    spoken += [
        speak(
            texts[i % len(texts)],
            SPEAKERS[i % len(SPEAKERS)],
            words_per_minute=draw.randint(SLOWEST, FASTEST),
            pitch=draw.randint(30, 70),
        )
        for i in range(config.other_speakers)
    ]
    known = features(transcriber, spoken)
    unlike = features(transcriber, [unlike_speech(i) for i in range(config.unlike)])
    weights = sha256_of(model / "model.safetensors")[:12]
    between(known, unlike, weights).save(export / DOMAIN_FILE)
    transcriber.domain = Domain.load(export / DOMAIN_FILE)
    figures = measure(transcriber, config.test_sentences)
    record = {name: figure._asdict() for name, figure in figures.items()}
    path = Path(config.out) / "figures.json"
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    write_section(export, SECTION, figures)


def features(transcriber: Transcriber, sounds: Iterable[Samples]) -> npt.NDArray[np.float64]:
    """(windows, D): what is told of every window of the sounds."""
    return np.array(
        [row for sound in tqdm(sounds, desc="hearing") for row in transcriber.features(sound)]
    )


def between(
    known: npt.NDArray[np.float64], unlike: npt.NDArray[np.float64], weights: str = ""
) -> Domain:
    """The domain of known speech with its threshold halfway to unlike speech."""
    domain = Domain.fit(known, calibration=known, kept=KEPT, weights=weights)
    passed = float(np.quantile(domain.distances(unlike), PASSED))
    return replace(domain, threshold=(domain.threshold + passed) / 2)


def measure(transcriber: Transcriber, sentences: int) -> dict[str, Interval]:
    """Shares of recordings: `kept` (`held_out_kept`: voices never heard), all of whose words are
    reliable, of the miniature's sentences; `refused`, none of whose words is, of everyday English
    in the world's voices and in others, and of other languages."""
    texts = [sentence(HELD_OUT + i, held_out=True) for i in range(sentences)]
    sets = {
        "kept": (make_speech(t, i, "test").samples for i, t in enumerate(texts)),
        "held_out_kept": (
            make_speech(t, i, "test", voices="held_out").samples for i, t in enumerate(texts)
        ),
        "refused/everyday": (
            speak(text, voice)
            for text in EVERYDAY
            for voice in (VOICES["seen"][len(text) % 8], VOICES["held_out"][len(text) % 2])
        ),
        "refused/other languages": (
            speak(text, language + variant)
            for language, said in FOREIGN.items()
            for text in said
            for variant in ("", "+f2")
        ),
    }
    figures = {}
    for name, sounds in sets.items():
        reliable = [
            [part.reliable for heard in transcriber.hear(sound) for part in heard.segments]
            for sound in tqdm(sounds, desc=name)
        ]
        right = [all(r) and bool(r) if "kept" in name else not any(r) for r in reliable]
        figures[name] = proportion(sum(right), len(right))
    return figures
