"""Sounds of the miniature world: one or two events in a noisy room, with exact truth.

Events are synthesised (`object_sounds`, `animal_sounds`), heard through a random microphone and
room, mixed at a level difference of up to 10 dB, and laid over background noise. Two things are
held out by construction: `split` draws from seeds of its own, and `parameters="held_out"` takes
every parameter of the synthesis from a part of its range that the seen sounds never touch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nuthatch.tools.vocabulary import SOUNDS
from nuthatch.training.world.animal_sounds import ANIMALS
from nuthatch.training.world.object_sounds import OBJECTS
from nuthatch.training.world.splits import SPLITS, Split
from nuthatch.training.world.synthesis import (
    Draw,
    Parameters,
    Range,
    Samples,
    coloured_noise,
    count,
    fade,
    pass_filter,
    phase,
    reverberate,
    sine,
)

EVENTS = OBJECTS | ANIMALS

SHORTEST, LONGEST = 2.0, 4.0
LARGEST_DIFFERENCE_DB = 10.0
ACTIVITY_SAMPLES = 160  # a hundredth of a second

ROOM = {
    "reverberation": Range(0.1, 1.0, held_out=(0.45, 0.6)),
    "wet": Range(0.03, 0.7, held_out=(0.2, 0.3)),
    "noise_db": Range(12.0, 40.0, held_out=(20.0, 25.0)),
    "noise_slope": Range(0.05, 2.0, held_out=(0.6, 0.9)),
    "low_pass": Range(2500.0, 8000.0, held_out=(3600.0, 4500.0)),
}


@dataclass(frozen=True)
class Clip:
    """A sound and what is in it.

    Attributes:
        samples: (n,) float32, 16 kHz mono, within [-1, 1], 2 to 4 seconds.
        events: the events heard, loudest first; empty for background noise alone.
        levels_db: level of each event relative to the loudest, 0 or below.
        activity: (events, n // 160) float32, power of each event in each hundredth of a second,
            relative to its active level.
        seed: with the split and the parameters, what the clip was made from.
        split: whose seeds it was drawn from.
    """

    samples: Samples
    events: tuple[str, ...]
    levels_db: tuple[float, ...]
    activity: npt.NDArray[np.float32]
    seed: int
    split: Split


def make_sound(
    seed: int,
    split: Split = "train",
    *,
    events: int | Sequence[str] | None = None,
    parameters: Parameters = "seen",
) -> Clip:
    """Make the clip that these arguments always make.

    Args:
        seed: any integer from 0 on.
        split: "train", "calibrate" or "test"; the same seed gives unrelated clips in each.
        events: how many different events (0, 1 or 2), or their names, loudest first; None draws
            one or two.
        parameters: "seen", or "held_out" for synthesis parameters that training never hears.

    Raises:
        ValueError: an unknown split, event or number of events, a negative seed, or held-out
            parameters for the training split.
    """
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; expected one of {', '.join(SPLITS)}")
    if parameters == "held_out" and split == "train":
        raise ValueError("held-out parameters are never trained on; use split='test'")
    rng = np.random.default_rng([seed, SPLITS.index(split), parameters == "held_out"])
    names = _choose(rng, events)
    samples = count(rng.uniform(SHORTEST, LONGEST))
    room = Draw(rng, ROOM, parameters)
    levels = tuple(
        0.0 if index == 0 else -float(rng.uniform(0, LARGEST_DIFFERENCE_DB))
        for index in range(len(names))
    )
    mixture = np.zeros(samples, np.float32)
    activity = np.zeros((len(names), samples // ACTIVITY_SAMPLES), np.float32)
    for index, (name, level) in enumerate(zip(names, levels, strict=True)):
        sound = _hear(name, rng, samples, room, parameters)
        activity[index] = _power(sound, ACTIVITY_SAMPLES)
        mixture += 10 ** (level / 20) * sound
    mixture += _background(room, samples) * 10 ** (-room("noise_db") / 20)
    peak = float(np.exp(rng.uniform(np.log(0.05), np.log(0.95))))
    mixture *= peak / np.abs(mixture).max()
    return Clip(mixture.astype(np.float32), names, levels, activity, seed, split)


def active_level(sound: Samples) -> float:
    """Root mean square over the loud part: frames of 25 ms within 20 dB of the loudest.

    A mean over the whole clip would call a ticking clock far quieter than it is heard.
    """
    power = _power(sound, count(0.025))
    return float(np.sqrt(power[power >= power.max() / 100].mean()))


def _power(sound: Samples, frame: int) -> npt.NDArray[np.float64]:
    """Mean square of each whole frame of so many samples."""
    whole = sound[: len(sound) // frame * frame].reshape(-1, frame)
    power: npt.NDArray[np.float64] = np.mean(np.square(whole, dtype=np.float64), axis=1)
    return power


def _choose(rng: np.random.Generator, events: int | Sequence[str] | None) -> tuple[str, ...]:
    if events is None:
        events = int(rng.integers(1, 3))
    if isinstance(events, int):
        if not 0 <= events <= 2:
            raise ValueError(f"a clip holds 0, 1 or 2 events, not {events}")
        return tuple(str(name) for name in rng.choice(list(SOUNDS), size=events, replace=False))
    unknown = [name for name in events if name not in SOUNDS]
    if unknown or isinstance(events, str) or not 0 < len(set(events)) == len(events) <= 2:
        raise ValueError(
            f"given events={events!r}, expected a number or one or two different names of: "
            f"{', '.join(SOUNDS)}"
        )
    return tuple(events)


def _hear(
    name: str, rng: np.random.Generator, samples: int, room: Draw, parameters: Parameters
) -> Samples:
    """One event through its own distance, room and microphone, at active level 1."""
    event = EVENTS[name]
    start = 0 if rng.random() < 0.4 else int(samples * rng.uniform(0, 0.3))
    sound = np.zeros(samples, np.float32)
    made = event.synthesise(Draw(rng, event.ranges, parameters), samples - start)
    sound[start:] = fade(made, 0.001, 0.03)
    if rng.random() < 0.5:
        sound = pass_filter(sound, "low", room("low_pass"))
    if rng.random() < 0.3:
        sound = pass_filter(sound, "high", float(rng.uniform(60, 300)))
    if rng.random() < 0.6:
        sound = reverberate(sound, rng, room("reverberation"), room("wet"))
    return sound / np.float32(active_level(sound))


def _background(room: Draw, samples: int) -> Samples:
    """Noise of some colour, sometimes with the hum of the mains; unit level."""
    sound = coloured_noise(room.rng, samples, room("noise_slope"))
    if room.chance(0.25):
        mains = phase(float(room.rng.choice([50.0, 60.0])), samples)
        sound += room.between(0.2, 0.8) * (
            sine(mains) + 0.5 * sine(2 * mains) + 0.3 * sine(3 * mains)
        )
    return sound
