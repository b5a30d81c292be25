"""The few signal blocks from which the sounds of the miniature world are built.

Everything is mono at 16 kHz in float32; times are seconds, frequencies hertz, phases cycles.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq
from scipy.signal import lfilter, oaconvolve

SAMPLE_RATE = 16_000

Samples = npt.NDArray[np.floating[Any]]
Phase = npt.NDArray[np.float64]
Parameters = Literal["seen", "held_out"]


@dataclass(frozen=True)
class Range:
    """A synthesis parameter, drawn log-uniformly; a part of its range is never heard in training.

    The seen values are what `held_out` leaves of `low` to `high`, so the two cannot overlap.
    """

    low: float
    high: float
    held_out: tuple[float, float]

    def __post_init__(self) -> None:
        first, last = self.held_out
        if not 0 < self.low <= first < last <= self.high or (first, last) == (self.low, self.high):
            raise ValueError(f"{self}: held_out must be a proper part of a positive low to high")

    def pieces(self, parameters: Parameters) -> list[tuple[float, float]]:
        """The intervals that seen, or held-out, values are drawn from."""
        if parameters == "held_out":
            return [self.held_out]
        sides = [(self.low, self.held_out[0]), (self.held_out[1], self.high)]
        return [(low, high) for low, high in sides if low < high]

    def draw(self, rng: np.random.Generator, parameters: Parameters) -> float:
        """One value of the seen, or of the held-out, part."""
        pieces = np.log(self.pieces(parameters))
        lengths = pieces[:, 1] - pieces[:, 0]
        place = rng.uniform(0, lengths.sum())
        index = 0 if place <= lengths[0] else 1
        return float(np.exp(pieces[index, 0] + place - lengths[:index].sum()))


class Draw:
    """The random choices of one sound.

    Calling it draws a named parameter; what it draws otherwise has no held-out part.
    """

    def __init__(
        self, rng: np.random.Generator, ranges: Mapping[str, Range], parameters: Parameters
    ) -> None:
        self.rng = rng
        self._ranges = ranges
        self._parameters = parameters

    def __call__(self, name: str) -> float:
        """A fresh value of the parameter `name`."""
        return self._ranges[name].draw(self.rng, self._parameters)

    def between(self, low: float, high: float) -> float:
        """A uniform value that is drawn alike for seen and held-out sounds."""
        return float(self.rng.uniform(low, high))

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)


class Event(NamedTuple):
    """One kind of sound: how so many samples of it are made, and the parameters it draws."""

    synthesise: Callable[[Draw, int], Samples]
    ranges: Mapping[str, Range]


def count(seconds: float) -> int:
    """Samples in so many seconds, at least one."""
    return max(1, round(seconds * SAMPLE_RATE))


def phase(frequency: float | npt.NDArray[np.floating], samples: int) -> Phase:
    """Cycles done at each sample by an oscillator of constant or changing frequency."""
    return np.cumsum(np.broadcast_to(frequency, samples), dtype=np.float64) / SAMPLE_RATE


def sine(cycles: Phase) -> Samples:
    # The whole cycles go first, in float64: float32 would lose the pitch after a few seconds.
    wave: Samples = np.sin((2 * np.pi) * (cycles - np.floor(cycles)).astype(np.float32))
    return wave


def pulses(cycles: Phase, brightness: float, pitch: float) -> Samples:
    """A harmonic tone, the k-th harmonic `brightness ** k`, in closed form.

    `pitch`, the highest frequency of the tone, limits the brightness so that little is left at the
    Nyquist frequency to fold back.
    """
    r = np.float32(min(brightness, 0.03 ** (2 * pitch / SAMPLE_RATE)))
    cosine = sine(cycles + 0.25)
    return (1 - r) * (cosine - r) / (1 - 2 * r * cosine + r * r)


def noise(rng: np.random.Generator, samples: int) -> Samples:
    """White noise of unit variance."""
    return rng.standard_normal(samples, dtype=np.float32)


def coloured_noise(rng: np.random.Generator, samples: int, slope: float) -> Samples:
    """Noise whose power falls as frequency ** -slope (0 white, 1 pink, 2 brown), unit variance."""
    length = next_fast_len(samples, real=True)
    spectrum = rfft(noise(rng, length))
    frequency = np.maximum(rfftfreq(length, 1 / SAMPLE_RATE), 30.0).astype(np.float32)
    coloured: Samples = irfft(spectrum * frequency ** (-slope / 2), length)[:samples]
    coloured /= coloured.std()
    return coloured


def decay(seconds: float, samples: int) -> Samples:
    """Exponential fall by 60 dB within `seconds`."""
    time = np.arange(samples, dtype=np.float32) / SAMPLE_RATE
    fall: Samples = np.exp(-6.908 / seconds * time)  # ln(1000): 60 dB
    return fall


def contour(values: Sequence[float], samples: int) -> Samples:
    """A line through evenly spaced values."""
    return np.interp(
        np.linspace(0, len(values) - 1, samples), np.arange(len(values)), values
    ).astype(np.float32)


def fade(sound: Samples, attack: float, release: float) -> Samples:
    """The sound with raised-cosine edges of so many seconds, each at most half of its length."""
    out = sound.copy()
    for seconds, edge in ((attack, out), (release, out[::-1])):
        length = min(count(seconds), len(out) // 2)
        edge[:length] *= 0.5 - 0.5 * np.cos(np.linspace(0, np.pi, length, dtype=np.float32))
    return out


def add(sound: Samples, piece: Samples, start: int, gain: float = 1.0) -> None:
    """Mix `piece` into `sound` in place from sample `start` on; what does not fit is cut."""
    room = len(sound) - start
    if room > 0:
        sound[start : start + len(piece)] += np.float32(gain) * piece[:room]


def resonate(sound: Samples, peaks: Sequence[tuple[float, float, float]]) -> Samples:
    """The sum of two-pole resonances, each a (frequency, bandwidth, gain at the peak)."""
    out = np.zeros_like(sound)
    for frequency, bandwidth, gain in peaks:
        radius = np.exp(-np.pi * bandwidth / SAMPLE_RATE)
        angle = 2 * np.pi * min(frequency, 0.48 * SAMPLE_RATE) / SAMPLE_RATE
        scale = gain * (1 - radius**2) / 2
        b = np.array([scale, 0.0, -scale], np.float32)
        a = np.array([1.0, -2 * radius * np.cos(angle), radius**2], np.float32)
        out += lfilter(b, a, sound)
    return out


def pass_filter(sound: Samples, kind: Literal["low", "high"], frequency: float) -> Samples:
    """Second-order Butterworth (R. Bristow-Johnson's audio equaliser cookbook)."""
    angle = 2 * np.pi * min(frequency, 0.48 * SAMPLE_RATE) / SAMPLE_RATE
    cosine, alpha = np.cos(angle), np.sin(angle) / np.sqrt(2)
    edge, sign = ((1 - cosine) / 2, 2.0) if kind == "low" else ((1 + cosine) / 2, -2.0)
    b = np.array([edge, sign * edge, edge]) / (1 + alpha)
    a = np.array([1 + alpha, -2 * cosine, 1 - alpha]) / (1 + alpha)
    filtered: Samples = lfilter(b, a, sound).astype(np.float32)
    return filtered


def string(excitation: Samples, samples: int, smoothing: float, gain: float) -> Samples:
    """A plucked string (Karplus and Strong, 1983): the excitation runs round a lossy delay line.

    Args:
        excitation: one period of the string, which sets its pitch.
        samples: length of the result.
        smoothing: weight of the older of two neighbours, 0 to 1; 0.5 dampens high partials most.
        gain: what is left after one round, below 1.
    """
    period = len(excitation)
    out = np.zeros(1 + samples + period, np.float32)  # a zero stands before the first sample
    out[1 : 1 + period] = excitation
    newer, older = np.float32(gain * (1 - smoothing)), np.float32(gain * smoothing)
    for start in range(1 + period, 1 + samples, period):
        last = out[start - period - 1 : start]
        out[start : start + period] = newer * last[1:] + older * last[:-1]
    return out[1 : 1 + samples]


def reverberate(sound: Samples, rng: np.random.Generator, seconds: float, wet: float) -> Samples:
    """The sound in a room: exponentially dying noise of `seconds` to -60 dB, mixed in at `wet`."""
    length = count(min(seconds, 0.6))
    response = noise(rng, length) * decay(seconds, length)
    response[: count(0.004)] = 0.0
    response *= wet / (np.sqrt(np.sum(response**2)) + 1e-12)
    tail: Samples = oaconvolve(sound, response)[: len(sound)].astype(np.float32)
    return sound + tail


def beats(draw: Draw, interval: float, samples: int, *, jitter: float) -> Iterator[int]:
    """Sample numbers of a regular pulse, each off by a random share of the interval."""
    for number in range(max(1, int(samples / (interval * SAMPLE_RATE)) + 1)):
        offset = draw.between(0, jitter) if number else 0.0
        yield int((number + offset) * interval * SAMPLE_RATE)
