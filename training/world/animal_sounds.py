"""How the animals of the vocabulary sound: three throats and a syrinx.

Every event is a function of a `Draw` and a length that returns that many samples in any scale,
and a table of the parameters that make its character. Incidental choices (patterns, jitter, phases)
come from `Draw.rng` and have no held-out part.
"""

from collections.abc import Sequence

import numpy as np

from nuthatch.training.world.synthesis import (
    SAMPLE_RATE,
    Draw,
    Event,
    Phase,
    Range,
    Samples,
    add,
    beats,
    contour,
    count,
    fade,
    noise,
    phase,
    pulses,
    resonate,
    sine,
)

Formants = Sequence[tuple[float, float, float]]


def dog(draw: Draw, samples: int) -> Samples:
    """A barking dog: short rough cries whose mouth opens and closes."""
    pitch, size = draw("pitch"), draw("size")
    barked = np.zeros(samples, np.float32)
    for start in beats(draw, draw("interval"), samples, jitter=0.2):
        length = count(draw("bark"))
        rise = [draw.between(0.5, 0.75), 1.0, draw.between(0.85, 1.0), draw.between(0.45, 0.7)]
        cycles = _shaken(draw, pitch * draw.between(0.92, 1.08) * contour(rise, length), 0.04)
        source = pulses(cycles, draw.between(0.75, 0.92), pitch)
        source += draw.between(0.1, 0.45) * noise(draw.rng, length)
        shut = [(450 * size, 150, 1.0), (1100 * size, 250, 0.5), (2500 * size, 400, 0.15)]
        wide = [(850 * size, 180, 1.0), (1600 * size, 300, 0.8), (2900 * size, 450, 0.35)]
        cry = _mouth(source, shut, wide, contour([0.2, 1.0, 0.7, 0.0], length))
        add(barked, fade(cry, 0.012, 0.6 * length / SAMPLE_RATE), start, draw.between(0.7, 1.0))
    return barked


def cat(draw: Draw, samples: int) -> Samples:
    """A meowing cat: a long cry that opens from a hum and rounds off."""
    pitch, size = draw("pitch"), draw("size")
    cried = np.zeros(samples, np.float32)
    start = 0
    while start < samples:
        length = count(draw("meow"))
        rise = [draw.between(0.6, 0.85), 1.0, draw.between(0.92, 1.05), draw.between(0.6, 0.85)]
        vibrato = 1 + draw.between(0, 0.02) * sine(phase(draw.between(5, 9), length))
        cycles = _shaken(draw, pitch * contour(rise, length) * vibrato, 0.008)
        source = pulses(cycles, draw.between(0.6, 0.85), pitch)
        source += draw.between(0.01, 0.1) * noise(draw.rng, length)
        hum = [(350 * size, 100, 1.0), (1000 * size, 200, 0.15), (2600 * size, 300, 0.08)]
        open_ = [(900 * size, 150, 1.0), (1900 * size, 250, 0.9), (3400 * size, 400, 0.4)]
        opening = contour([0.0, draw.between(0.5, 1), 1.0, draw.between(0.5, 0.9), 0.1], length)
        cry = _mouth(source, hum, open_, opening)
        add(cried, fade(cry, 0.06, 0.18), start, draw.between(0.7, 1.0))
        start += length + count(draw.between(0.15, 0.9))
    return cried


def bird(draw: Draw, samples: int) -> Samples:
    """A chirping bird: phrases of quick whistled sweeps."""
    pitch, rate, sweep = draw("pitch"), draw("rate"), draw("sweep")
    sung = np.zeros(samples, np.float32)
    start = 0
    while start < samples:
        length = count(draw.between(0.35, 0.85) / rate)
        up = draw.chance(0.5)
        bow = draw.between(0.8, 1.3)
        shape = [1.0, bow * sweep**0.5, sweep] if up else [sweep, bow * sweep**0.5, 1.0]
        trill = 1 + draw.between(0, 0.05) * sine(phase(draw.between(25, 60), length))
        centre = min(pitch * draw.between(0.85, 1.2), 7000 / (1.4 * sweep))
        cycles = phase(centre * contour(shape, length) * trill, length)
        chirp = sine(cycles) + draw.between(0, 0.15) * sine(2 * cycles)
        chirp = fade(chirp, 0.3 * length / SAMPLE_RATE, 0.4 * length / SAMPLE_RATE)
        for _ in range(draw.rng.integers(1, 7)):
            add(sung, chirp, start, draw.between(0.6, 1.0))
            start += count(1 / rate)
        start += count(draw.between(0.02, 0.45))
    return sung


def cow(draw: Draw, samples: int) -> Samples:
    """A mooing cow: a long low nasal call."""
    pitch, size = draw("pitch"), draw("size")
    called = np.zeros(samples, np.float32)
    start = 0
    while start < samples:
        length = count(draw("moo"))
        rise = [
            draw.between(0.65, 0.85),
            0.95,
            1.0,
            draw.between(0.95, 1.1),
            draw.between(0.6, 0.8),
        ]
        cycles = _shaken(draw, pitch * contour(rise, length), 0.02)
        source = pulses(cycles, draw.between(0.85, 0.96), 1.1 * pitch)
        source *= 1 + draw.between(0, 0.4) * sine(cycles / 2)
        source += draw.between(0.01, 0.08) * noise(draw.rng, length)
        nasal = [(230 * size, 60, 1.0), (900 * size, 200, 0.1), (2200 * size, 300, 0.05)]
        open_ = [(520 * size, 100, 1.0), (1000 * size, 150, 0.5), (2300 * size, 300, 0.2)]
        cry = _mouth(source, nasal, open_, contour([0, 0.2, 0.8, 1.0, 0.7, 0.3], length))
        add(called, fade(cry, 0.12, 0.3), start, draw.between(0.7, 1.0))
        start += length + count(draw.between(0.2, 1.0))
    return called


def _shaken(draw: Draw, pitch: Samples, amount: float) -> Phase:
    """The phase of a throat, whose pitch is never steady."""
    tremor = np.repeat(noise(draw.rng, len(pitch) // 80 + 1), 80)[: len(pitch)]
    return phase(pitch * np.clip(1 + amount * tremor, 0.7, 1.3), len(pitch))


def _mouth(source: Samples, shut: Formants, wide: Formants, opening: Samples) -> Samples:
    """A throat's sound through a mouth that moves between two shapes (0 shut, 1 wide)."""
    return (1 - opening) * resonate(source, shut) + opening * resonate(source, wide)


ANIMALS: dict[str, Event] = {
    "dog": Event(
        dog,
        {
            "pitch": Range(200, 900, (400, 520)),
            "size": Range(0.75, 1.35, (1.2, 1.35)),
            "bark": Range(0.09, 0.32, (0.16, 0.2)),
            "interval": Range(0.28, 1.1, (0.5, 0.65)),
        },
    ),
    "cat": Event(
        cat,
        {
            "pitch": Range(330, 850, (500, 600)),
            "size": Range(0.8, 1.3, (1.18, 1.3)),
            "meow": Range(0.45, 1.4, (0.75, 0.9)),
        },
    ),
    "bird": Event(
        bird,
        {
            "pitch": Range(1800, 5500, (2900, 3600)),
            "rate": Range(4, 16, (12, 16)),
            "sweep": Range(1.1, 2.2, (1.5, 1.7)),
        },
    ),
    "cow": Event(
        cow,
        {
            "pitch": Range(75, 210, (115, 145)),
            "size": Range(0.75, 1.3, (1.18, 1.3)),
            "moo": Range(0.8, 2.4, (1.9, 2.4)),
        },
    ),
}
