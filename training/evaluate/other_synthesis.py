"""A second synthesiser of the vocabulary's sound events, for evaluation only.

It shares no code and no method with `training.world`, which the tagger is trained on: bells and
telephones by frequency modulation (Chowning 1973), voices by overlapping formant grains (Rodet
1984), strings by sums of stiff partials, engines and clocks by convolution with impulse responses,
rain from single drops, and rooms by comb and all-pass filters (Schroeder 1962). Sounds are made at
a rate of their own and resampled. Nothing may be trained, calibrated or chosen on them.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, fftconvolve, lfilter, resample_poly, sosfilt

from nuthatch.tools.vocabulary import SOUNDS

Wave = npt.NDArray[np.floating[Any]]
SAMPLE_RATE = 16_000
RATES = (16_000, 22_050, 32_000, 44_100)
SHORTEST, LONGEST = 2.0, 8.0
QUIETEST, LOUDEST = 0.01, 1.0


class OtherSound(NamedTuple):
    """(n,) float32 at 16 kHz within [-1, 1], and the one event that it holds."""

    samples: npt.NDArray[np.float32]
    event: str


class _Synthesiser:
    """The blocks: everything at `rate`, in float64; times in seconds, frequencies in hertz."""

    def __init__(self, rng: np.random.Generator, rate: int, seconds: float) -> None:
        self.rng = rng
        self.rate = rate
        self.seconds = seconds
        self.time = np.arange(int(rate * seconds)) / rate

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def log_between(self, low: float, high: float) -> float:
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def grid(self, seconds: float) -> Wave:
        """Times of a piece of this length."""
        return np.arange(max(8, int(self.rate * seconds))) / self.rate

    def silence(self) -> Wave:
        return np.zeros(len(self.time))

    def place(self, onto: Wave, piece: Wave, at: float, gain: float = 1.0) -> None:
        start = int(at * self.rate)
        end = min(len(onto), start + len(piece))
        if start < end:
            onto[start:end] += gain * piece[: end - start]

    def cycles(self, frequency: Wave | float, time: Wave) -> Wave:
        """Phase in radians of an oscillator of this frequency."""
        steps = np.broadcast_to(np.asarray(frequency, float), time.shape)
        turned: Wave = 2 * np.pi * np.cumsum(steps) / self.rate
        return turned

    def modulated(self, carrier: Wave, ratio: float, index: Wave | float) -> Wave:
        """Frequency modulation of a carrier phase by a sine at `ratio` times its frequency."""
        wave: Wave = np.sin(carrier + index * np.sin(ratio * carrier))
        return wave

    def hiss(self, low: float, high: float, length: int) -> Wave:
        """Noise between two frequencies."""
        edges = [low, min(high, 0.48 * self.rate)]
        noise = self.rng.uniform(-1, 1, length)
        passed: Wave = sosfilt(butter(2, edges, "band", fs=self.rate, output="sos"), noise)
        return passed

    def voice(self, pitch: Wave, formants: list[tuple[Wave, float, float]], rough: float) -> Wave:
        """One grain of decaying sines for each glottal period; formants are (frequency over the
        same times as the pitch, decay in 1/s, gain)."""
        out = np.zeros(len(pitch) + int(0.05 * self.rate))
        grain = self.grid(0.04)
        rise = np.minimum(1.0, grain / 0.001)
        at = 0.0
        while at < len(pitch) - 1:
            here = int(at)
            gain = 1 + rough * self.rng.normal()
            for frequency, decay, level in formants:
                piece = level * gain * rise * np.exp(-decay * grain)
                out[here : here + len(grain)] += (
                    piece * np.sin(2 * np.pi * frequency[here] * grain)
                )[: len(out) - here]
            at += self.rate / (pitch[here] * (1 + 0.3 * rough * self.rng.normal() * 0.2))
        return out[: len(pitch)]


def _bell(s: _Synthesiser) -> Wave:
    pitch, ratio = s.log_between(300, 1300), s.rng.choice([1.4, 2.76, 3.5, 1.19])
    out, decay = s.silence(), s.between(0.7, 3.0)
    every, at = s.between(0.5, 2.0), s.between(0, 0.3)
    piece = s.grid(min(4.0, s.seconds))
    index = s.between(3, 8) * np.exp(-piece * 2 / decay)
    stroke = np.exp(-piece / decay * 2) * s.modulated(s.cycles(pitch, piece), ratio, index)
    while at < s.seconds:
        s.place(out, stroke, at, s.between(0.6, 1))
        at += every * s.between(0.9, 1.1)
    return out


def _phone(s: _Synthesiser) -> Wave:
    """A dual-tone electronic ring with a tremolo, or a buzzer by frequency modulation."""
    low, on, off = s.between(700, 1600), s.between(0.5, 1.6), s.between(0.3, 1.2)
    high, rate = low * s.between(1.1, 1.35), s.between(10, 25)
    warble = np.sign(np.sin(2 * np.pi * rate * s.time))
    if s.rng.random() < 0.5:
        tone = s.modulated(
            s.cycles(np.where(warble > 0, low, high), s.time), 2.0, s.between(0.3, 1.5)
        )
    else:
        both = np.sin(s.cycles(low, s.time)) + np.sin(s.cycles(high, s.time))
        tone = both * (0.6 + 0.4 * warble)
    gate = (s.time % (on + off) < on).astype(float)
    ringing: Wave = tone * lfilter([0.01], [1, -0.99], gate)
    return ringing


def _siren(s: _Synthesiser) -> Wave:
    low, span, rate = s.between(400, 800), s.between(1.4, 2.3), s.log_between(0.25, 5)
    swing = 2 * np.abs((s.time * rate + s.rng.random()) % 1 - 0.5)
    if s.rng.random() < 0.3:
        swing = (swing > 0.5).astype(float)
    phase = s.cycles(low * span**swing, s.time)
    partials = range(1, int(0.45 * s.rate / (low * span)) + 1)
    gains = [1 / n ** s.between(0.7, 1.4) for n in partials]
    wailing: Wave = sum(g * np.sin(n * phase) for n, g in zip(partials, gains, strict=True))
    return wailing


def _clock(s: _Synthesiser) -> Wave:
    """Two impulse responses of a case, in turns."""
    every, out = s.between(0.25, 0.95), s.silence()
    piece = s.grid(0.06)
    ticks = []
    for pitch in (s.between(1400, 4200), s.between(1400, 4200)):
        response = sum(
            s.between(0.3, 1) * np.exp(-piece * s.between(120, 500)) * np.sin(2 * np.pi * f * piece)
            for f in (pitch, pitch * 1.5, pitch * 0.37)
        )
        ticks.append(fftconvolve(s.hiss(800, 7000, int(0.003 * s.rate) + 20), response))
    for beat in range(int(s.seconds / every) + 1):
        s.place(out, ticks[beat % 2] / np.abs(ticks[beat % 2]).max(), 0.05 + beat * every)
    return out


def _drum(s: _Synthesiser) -> Wave:
    pitch, out, every = s.log_between(60, 240), s.silence(), s.between(0.16, 0.5)
    piece = s.grid(s.between(0.15, 0.5))
    fall = pitch * (1 + s.between(0.3, 1.5) * np.exp(-piece * 40))
    skin = s.modulated(s.cycles(fall, piece), 1.6, 2.0 * np.exp(-piece * 30)) * np.exp(
        -piece * s.between(6, 20)
    )
    snare = s.hiss(1500, 7000, len(piece)) * np.exp(-piece * s.between(15, 40))
    for beat in range(int(s.seconds / every) + 1):
        if beat % 4 == 0 or s.rng.random() < 0.7:
            s.place(out, skin, beat * every, s.between(0.7, 1))
            s.place(out, snare, beat * every, s.between(0, 0.4))
    return out


def _guitar(s: _Synthesiser) -> Wave:
    """Plucked strings as sums of slightly stiff partials that die the sooner the higher."""
    root, every, out, at = s.log_between(90, 330), s.between(0.15, 0.6), s.silence(), 0.05
    scale = [[0, 4, 7, 12], [0, 3, 7, 10], [0, 2, 4, 7, 9]][int(s.rng.integers(3))]
    pluck, stiff, ring = s.between(0.12, 0.4), s.between(1e-5, 2e-4), s.between(0.6, 2.5)
    strum = s.rng.random() < 0.4
    while at < s.seconds:
        for number, step in enumerate(scale if strum else [int(s.rng.choice(scale))]):
            base, piece = root * 2 ** (step / 12), s.grid(min(2.0, ring))
            note = np.zeros(len(piece))
            for n in range(1, int(min(7000, 0.45 * s.rate) / base) + 1):
                gain = np.sin(np.pi * n * pluck) / n**1.3
                f = n * base * np.sqrt(1 + stiff * n * n)
                note += (
                    gain * np.exp(-piece * (1.5 + 0.35 * n) / ring) * np.sin(2 * np.pi * f * piece)
                )
            s.place(out, note, at + 0.02 * number, s.between(0.6, 1))
        at += every * (2 if strum else 1)
    return out


def _engine(s: _Synthesiser) -> Wave:
    """Impulses of the cylinders, convolved with the response of an exhaust."""
    revs = np.interp(s.time, np.linspace(0, s.seconds, 4), s.rng.uniform(0.8, 1.6, 4))
    fired = np.floor(np.cumsum(s.between(25, 80) * revs) / s.rate)
    hits = np.diff(fired, prepend=0.0) > 0
    cylinders = s.rng.uniform(0.5, 1.0, 4)
    train = hits * cylinders[fired.astype(int) % 4]
    piece = s.grid(0.08)
    response = sum(
        g * np.exp(-piece * d) * np.sin(2 * np.pi * f * piece)
        for f, d, g in (
            (s.between(80, 220), s.between(40, 90), 1.0),
            (s.between(300, 700), s.between(100, 200), 0.5),
            (s.between(900, 2000), s.between(200, 500), 0.25),
        )
    )
    rattle = s.hiss(200, 3000, len(s.time)) * s.between(0.01, 0.06)
    running: Wave = fftconvolve(train, response)[: len(s.time)] + rattle
    return running


def _rain(s: _Synthesiser) -> Wave:
    """Every drop a short decaying sine of its own, over a wash of unresolved ones."""
    out = s.hiss(s.between(300, 1500), s.between(4500, 7500), len(s.time))
    level = out.std() * s.between(1, 6)
    for _ in range(int(s.seconds * s.between(40, 250))):
        piece = s.grid(0.012)
        drop = np.exp(-piece * s.between(250, 900)) * np.sin(
            2 * np.pi * s.log_between(900, 6500) * piece
        )
        s.place(out, drop, s.between(0, s.seconds), level * s.rng.exponential())
    return out


def _whistle(s: _Synthesiser) -> Wave:
    """A steam whistle: a chord of narrow noises and tones that scoop into their pitch."""
    base, out, at = s.log_between(260, 760), s.silence(), s.between(0, 0.3)
    chord = [[1, 1.25, 1.5], [1, 1.33, 1.67], [1, 1.19, 1.5, 1.78]][int(s.rng.integers(3))]
    breath = s.between(0.05, 0.4)
    while at < s.seconds:
        piece = s.grid(s.between(0.5, 1.8))
        scoop = 1 - 0.1 * np.exp(-piece * 25)
        edge = np.minimum(1, np.minimum(piece, piece[::-1]) / 0.06)
        blast = breath * s.hiss(400, 6000, len(piece))
        for ratio in chord:
            phase = s.cycles(base * ratio * scoop, piece)
            blast += sum(np.sin(n * phase) / n**1.6 for n in (1, 2, 3, 4))
        s.place(out, blast * edge, at)
        at += len(piece) / s.rate + s.between(0.15, 0.5)
    return out


def _cries(
    s: _Synthesiser,
    pitch: float,
    length: tuple[float, float],
    gap: tuple[float, float],
    bend: list[float],
    mouth: Sequence[tuple[Sequence[float], float, float]],
    rough: float,
) -> Wave:
    """Cries of one animal: `mouth` has (formant in hertz over the cry, decay, gain)."""
    out, at = s.silence(), s.between(0, 0.3)
    size = s.between(0.85, 1.15)
    while at < s.seconds:
        piece = s.grid(s.between(*length))
        over = np.linspace(0, 1, len(piece))

        def path(values: Sequence[float], over: Wave = over) -> Wave:
            drawn: Wave = np.interp(over, np.linspace(0, 1, len(values)), values)
            return drawn

        shapes = [(path(f) * size, decay, gain) for f, decay, gain in mouth]
        cry = s.voice(pitch * s.between(0.93, 1.07) * path(bend), shapes, rough)
        cry += rough * cry.std() * s.hiss(500, 5000, len(piece))
        s.place(out, cry * np.sin(np.pi * over**0.6) ** 0.7, at, s.between(0.7, 1))
        at += len(piece) / s.rate + s.between(*gap)
    return out


def _dog(s: _Synthesiser) -> Wave:
    mouth = [([500, 900, 550], 350.0, 1.0), ([1100, 1700, 1200], 500.0, 0.6)]
    mouth += [([2500, 3000, 2600], 800.0, 0.25)]
    bend = [0.6, 1.0, 0.9, 0.55]
    return _cries(s, s.log_between(220, 750), (0.1, 0.3), (0.15, 0.7), bend, mouth, 0.3)


def _cat(s: _Synthesiser) -> Wave:
    mouth = [([400, 900, 1000, 600], 250.0, 1.0), ([1100, 1900, 1800, 1200], 400.0, 0.7)]
    mouth += [([2700, 3400, 3300, 2800], 600.0, 0.3)]
    bend = [0.75, 1.0, 1.0, 0.7]
    return _cries(s, s.log_between(350, 800), (0.5, 1.3), (0.2, 0.8), bend, mouth, 0.04)


def _cow(s: _Synthesiser) -> Wave:
    mouth = [([250, 400, 550, 450], 180.0, 1.0), ([900, 1000, 1000, 950], 300.0, 0.4)]
    mouth += [([2200, 2300, 2300, 2200], 600.0, 0.15)]
    bend = [0.75, 0.95, 1.0, 1.0, 0.7]
    return _cries(s, s.log_between(80, 200), (0.9, 2.2), (0.2, 0.9), bend, mouth, 0.08)


def _bird(s: _Synthesiser) -> Wave:
    """Chirps by frequency modulation of a high sine."""
    out, at, pitch = s.silence(), s.between(0, 0.2), s.log_between(2000, 5200)
    while at < s.seconds:
        piece = s.grid(s.between(0.04, 0.16))
        slope = s.between(-0.4, 0.4)
        glide = np.minimum(pitch * (1 + slope * np.linspace(-1, 1, len(piece))), 7000.0)
        chirp = s.modulated(s.cycles(glide, piece), s.between(0.01, 0.05), s.between(0, 2))
        for _ in range(int(s.rng.integers(1, 6))):
            s.place(out, chirp * np.hanning(len(piece)), at, s.between(0.6, 1))
            at += s.between(1.2, 2.0) * len(piece) / s.rate
        at += s.between(0.05, 0.5)
    return out


_MAKERS: dict[str, Callable[[_Synthesiser], Wave]] = {
    "bell": _bell,
    "siren": _siren,
    "clock": _clock,
    "phone": _phone,
    "drum": _drum,
    "guitar": _guitar,
    "engine": _engine,
    "rain": _rain,
    "whistle": _whistle,
    "dog": _dog,
    "cat": _cat,
    "bird": _bird,
    "cow": _cow,
}


def other_sound(event: str, seed: int) -> OtherSound:
    """The sound that this event and seed always give: any length, gain, rate, room and noise.

    Raises:
        ValueError: no event of the vocabulary.
    """
    if event not in SOUNDS:
        raise ValueError(f"given the event {event!r}, expected one of: {', '.join(SOUNDS)}")
    rng = np.random.default_rng([seed, list(SOUNDS).index(event), 2])
    rate = int(rng.choice(RATES))
    synthesiser = _Synthesiser(rng, rate, float(rng.uniform(SHORTEST, LONGEST)))
    wave = _MAKERS[event](synthesiser)
    if rng.random() < 0.5:
        wave = _room(wave, rate, synthesiser)
    wave = wave / np.abs(wave).max()
    if rng.random() < 0.7:
        level = 10 ** (-rng.uniform(15, 45) / 20)
        steps = np.cumsum(rng.normal(size=len(wave))) if rng.random() < 0.3 else None
        noise = rng.normal(size=len(wave)) if steps is None else lfilter([1, -1], [1, -0.99], steps)
        wave = wave + level * noise / np.abs(noise).max()
    if rate != SAMPLE_RATE:
        wave = resample_poly(wave, SAMPLE_RATE, rate)
    gain = synthesiser.log_between(QUIETEST, LOUDEST)
    return OtherSound((gain * wave / np.abs(wave).max()).astype(np.float32), event)


def _room(wave: Wave, rate: int, s: _Synthesiser) -> Wave:
    """Four combs and two all-passes (Schroeder 1962)."""
    seconds, wet = s.between(0.3, 1.6), s.between(0.1, 0.6)
    late = np.zeros(len(wave))
    for delay in (0.0297, 0.0371, 0.0411, 0.0437):
        length = int(delay * rate)
        feedback = np.zeros(length + 1)
        feedback[0], feedback[-1] = 1.0, -(10 ** (-3 * delay / seconds))
        late += lfilter([1.0], feedback, wave)
    for delay in (0.005, 0.0017):
        length = int(delay * rate)
        ahead, back = np.zeros(length + 1), np.zeros(length + 1)
        ahead[0], ahead[-1], back[0], back[-1] = -0.7, 1.0, 1.0, -0.7
        late = lfilter(ahead, back, late)
    mixed: Wave = wave / np.abs(wave).max() + wet * late / np.abs(late).max()
    return mixed
