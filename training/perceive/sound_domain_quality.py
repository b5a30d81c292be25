"""What the sound tagger's domain is worth, on sounds of makes that it was not fitted on."""

from collections.abc import Iterable

import numpy as np
from tqdm import tqdm

from nuthatch.tools.audio.sound_tagger import SoundTagger
from nuthatch.tools.verification.correction import Item, verify_items
from nuthatch.tools.verification.evidence.calibration import Calibration
from nuthatch.tools.verification.evidence.perception import ModelSenses
from nuthatch.tools.vocabulary import SOUNDS
from nuthatch.tools.weights.store import Weights
from nuthatch.training.evaluate.everyday import EVERYDAY, FOREIGN
from nuthatch.training.evaluate.other_synthesis import other_sound
from nuthatch.training.evaluate.statistics import Interval, proportion
from nuthatch.training.world.sounds import make_sound
from nuthatch.training.world.speech import VOICES, speak
from nuthatch.training.world.synthesis import Parameters, Samples

SAMPLE_RATE = 16_000
OF_EACH_EVENT = 10


def measure(tagger: SoundTagger, clips: int) -> dict[str, Interval]:
    """Shares with 95 % intervals.

    `kept`, `held_out_kept`: clips of one and two events of the split "test" that lie inside.
    `refused/*`: speech, noise and tones that lie outside. `other_*`: of true sentences "I hear X"
    about sounds of a second synthesiser, those supported, refuted and left undecided by `verify`.
    """
    kinds: tuple[tuple[str, Parameters], ...] = (("kept", "seen"), ("held_out_kept", "held_out"))
    figures = {}
    for name, parameters in kinds:
        sounds = (make_sound(i, "test", parameters=parameters).samples for i in range(clips))
        known = _known(tagger, sounds, name)
        figures[name] = proportion(sum(known), len(known))
    others: dict[str, Iterable[Samples]] = {
        "speech": (speak(text, VOICES["seen"][len(text) % 8]) for text in EVERYDAY),
        "speech of other languages": (
            speak(text, language) for language, said in FOREIGN.items() for text in said
        ),
        "noise and tones": map(signal, range(120)),
    }
    for name, heard in others.items():
        known = _known(tagger, heard, name)
        figures[f"refused/{name}"] = proportion(known.count(False), len(known))
    return figures | hear_other_sounds(tagger, range(OF_EACH_EVENT))


def hear_other_sounds(tagger: SoundTagger, seeds: range) -> dict[str, Interval]:
    """`other_inside`, and what `verify` makes of a true "I hear X" about every event and seed."""
    weights = Weights()
    weights.put("tag_sound", tagger)
    verdicts, inside = [], 0
    for seed in tqdm(seeds, desc="other synthesis"):
        for event in SOUNDS:
            sound = other_sound(event, seed).samples
            known = tagger.knows([sound])[0]
            inside += known
            said = Item(f"I hear {SOUNDS[event].description}.", "What do you hear?", sound=sound)
            (report,) = verify_items([said], _Knowing(weights, known), Calibration(weights))
            verdicts += [verdict.verdict for verdict in report.verdicts]
    n = len(verdicts)
    found = {
        f"other_{name}": proportion(verdicts.count(name), n)
        for name in ("supported", "refuted", "not_enough_evidence")
    }
    return {"other_inside": proportion(inside, n), **found}


class _Knowing(ModelSenses):
    """The senses with a tagger that was put in, bound by its domain all the same."""

    def __init__(self, weights: Weights, known: bool) -> None:
        super().__init__(weights)
        self._known = known

    def knows_sound(self, sound: Samples) -> bool:
        return self._known


def signal(seed: int) -> Samples:
    """(n,) float32 at 16 kHz: white or brown noise, a sine, a square, a sweep, or two tones."""
    rng = np.random.default_rng([seed, 99])
    time = np.arange(int(SAMPLE_RATE * rng.uniform(1.5, 6.0))) / SAMPLE_RATE
    pitch = float(np.exp(rng.uniform(np.log(80), np.log(5000))))
    sine = np.sin(2 * np.pi * pitch * time)
    kinds = (
        rng.normal(size=len(time)),
        np.cumsum(rng.normal(size=len(time))),
        sine,
        np.sign(sine),
        np.sin(2 * np.pi * np.cumsum(np.linspace(pitch, 5080 - pitch, len(time))) / SAMPLE_RATE),
        sine + np.sin(2 * np.pi * 1.31 * pitch * time),
    )
    made = kinds[seed % len(kinds)]
    level = float(np.exp(rng.uniform(np.log(0.02), np.log(0.9))))
    samples: Samples = (level * made / np.abs(made).max()).astype(np.float32)
    return samples


def _known(tagger: SoundTagger, sounds: Iterable[Samples], name: str) -> list[bool]:
    return [tagger.knows([sound])[0] for sound in tqdm(sounds, desc=name)]
