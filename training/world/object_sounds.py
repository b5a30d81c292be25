"""How the things of the vocabulary sound: nine small physical models.

Every event is a function of a `Draw` and a length that returns that many samples in any scale,
and a table of the parameters that make its character. Incidental choices (patterns, jitter, phases)
come from `Draw.rng` and have no held-out part.
"""

from functools import cache

import numpy as np

from nuthatch.training.world.synthesis import (
    SAMPLE_RATE,
    Draw,
    Event,
    Range,
    Samples,
    add,
    beats,
    contour,
    count,
    decay,
    fade,
    noise,
    pass_filter,
    phase,
    pulses,
    resonate,
    sine,
    string,
)


def bell(draw: Draw, samples: int) -> Samples:
    """A struck bell: inharmonic partials, the higher the sooner gone."""
    tubular = draw.chance(0.4)
    ratios = (
        np.array([1.0, 1.5, 2.0, 2.44, 2.9, 3.95, 5.2])
        if tubular
        else np.array([0.5, 1.0, 1.19, 1.5, 2.0, 2.51, 2.66, 3.01, 4.17])
    )
    pitch, ring = draw("pitch"), draw("ring")
    ratios = ratios * (1 + 0.01 * draw.rng.standard_normal(len(ratios)))
    once = np.zeros(samples, np.float32)
    for ratio in ratios[ratios * pitch < 7500]:
        length = min(samples, count(ring / ratio**0.6))
        # Two nearly equal modes beat, because no casting is quite round.
        beat = pitch * ratio * (1 + draw.between(0.0005, 0.003))
        partial = sine(phase(pitch * ratio, length)) + 0.5 * sine(phase(beat, length))
        gain = draw.between(0.4, 1.0) / ratio**0.5
        add(once, partial * decay(length / SAMPLE_RATE, length), 0, gain)
    clapper = noise(draw.rng, count(0.004)) * decay(0.004, count(0.004))
    add(once, clapper, 0, draw.between(0.1, 0.8))
    rung = np.zeros(samples, np.float32)
    for start in beats(draw, draw("interval"), samples, jitter=0.06):
        add(rung, once, start, draw.between(0.6, 1.0))
    return rung


def phone(draw: Draw, samples: int) -> Samples:
    """A telephone: two gongs under a fast hammer, or an electronic warble, on and off."""
    pitch, rate = draw("pitch"), draw("rate")
    second = pitch * draw.between(1.12, 1.34)
    if draw.chance(0.5):
        rung = np.zeros(samples, np.float32)
        length = count(draw.between(0.12, 0.4))
        gongs = []
        for base in (pitch, second):
            modes = [(1.0, 1.0), (1.52, 0.5), (2.76, 0.5), (4.1, 0.25)]
            gong = np.zeros(length, np.float32)
            for ratio, gain in modes:
                if base * ratio < 7800:
                    dying = decay(length / SAMPLE_RATE / ratio**0.5, length)
                    add(gong, sine(phase(base * ratio, length)) * dying, 0, gain)
            gongs.append(gong)
        for hit, start in enumerate(beats(draw, 1 / rate, samples, jitter=0.04)):
            add(rung, gongs[hit % 2], start, draw.between(0.8, 1.0))
    else:
        which = np.floor(phase(rate, samples) * 2).astype(int) % 2
        tone = phase(np.where(which == 0, pitch, second), samples)
        rung = pulses(tone, draw.between(0.1, 0.6), second)
    on, off = draw("on"), draw.between(0.25, 1.2)
    gate = np.zeros(samples, np.float32)
    for start in beats(draw, on + off, samples, jitter=0.01):
        add(gate, fade(np.ones(count(on), np.float32), 0.005, 0.05), start)
    return rung * gate


def siren(draw: Draw, samples: int) -> Samples:
    """An emergency siren: a bright tone that wails, yelps, or steps between two pitches."""
    low, span = draw("pitch"), draw("span")
    kind = draw.rng.integers(3)
    rate = draw(("wail", "yelp", "step")[kind])
    swing = phase(rate, samples) + draw.between(0, 1)
    if kind == 2:
        position = pass_filter((sine(swing) > 0).astype(np.float32), "low", 30.0)
    else:
        # A rise that is faster than the fall, as of a rotor that spins up and coasts.
        turn = (swing - np.floor(swing)).astype(np.float32)
        top = draw.between(0.25, 0.6)
        position = np.where(turn < top, turn / top, (1 - turn) / (1 - top)).astype(np.float32)
    pitch = low * span**position
    tone = pulses(phase(pitch, samples), draw.between(0.3, 0.75), low * span)
    driven: Samples = np.tanh(draw.between(1.0, 4.0) * tone)
    return driven


def clock(draw: Draw, samples: int) -> Samples:
    """A ticking clock: regular short clicks, tick and tock a little apart in pitch."""
    interval, pitch, ring = draw("interval"), draw("pitch"), draw("ring")
    length = count(0.08)
    clicks = []
    for scale in (1.0, draw.between(0.72, 0.97)):
        click = np.zeros(length, np.float32)
        burst = noise(draw.rng, count(0.0015))
        add(click, burst, 0)
        add(click, burst, count(draw.between(0.004, 0.025)), draw.between(0.1, 0.6))
        peaks = [(pitch * scale * m, 0.9 / ring, g) for m, g in ((1, 1.0), (1.63, 0.6), (2.4, 0.4))]
        case = (draw.between(180, 700), 40.0, draw.between(0.2, 1.5))
        clicks.append(resonate(click, [peak for peak in (*peaks, case) if peak[0] < 7500]))
    ticking = np.zeros(samples, np.float32)
    for beat, start in enumerate(beats(draw, interval, samples, jitter=0.004)):
        add(ticking, clicks[beat % 2], start, draw.between(0.85, 1.0))
    return ticking


def drum(draw: Draw, samples: int) -> Samples:
    """A drum pattern: membrane modes that drop in pitch, a stick, sometimes a snare."""
    pitch, ring, interval = draw("pitch"), draw("ring"), draw("interval")
    length = count(min(0.7, ring))
    bend = pitch * (1 + draw.between(0.1, 0.8) * decay(0.12, length))
    hit = np.zeros(length, np.float32)
    for ratio, gain in ((1.0, 1.0), (1.59, 0.6), (2.14, 0.4), (2.30, 0.3), (2.65, 0.25)):
        hit += gain * sine(phase(bend * ratio, length)) * decay(ring / ratio, length)
    stick = pass_filter(noise(draw.rng, count(0.02)), "low", draw.between(1200, 5000))
    add(hit, stick * decay(0.02, count(0.02)), 0, draw.between(0.2, 1.0))
    if draw.chance(0.3):
        snare = pass_filter(noise(draw.rng, length), "high", 1200.0)
        hit += draw.between(0.1, 0.4) * snare * decay(draw.between(0.1, 0.25), length)
    pattern = draw.rng.random(8) < draw.between(0.55, 1.0)
    pattern[0] = True
    beaten = np.zeros(samples, np.float32)
    for beat, start in enumerate(beats(draw, interval, samples, jitter=0.02)):
        if pattern[beat % 8]:
            add(beaten, hit, start, 1.0 if beat % 4 == 0 else draw.between(0.4, 0.9))
    return beaten


def guitar(draw: Draw, samples: int) -> Samples:
    """Plucked strings: a strummed chord, an arpeggio or a tune."""
    root, interval, ring = draw("pitch"), draw("interval"), draw("ring")
    scales = (
        (0, 4, 7, 12, 16),
        (0, 3, 7, 12, 15),
        (0, 2, 4, 7, 9),
        (0, 3, 5, 7, 10),
        (0, 5, 7, 12),
    )
    scale = scales[draw.rng.integers(len(scales))]
    style = draw.rng.integers(3)
    smoothing, pick = draw.between(0.25, 0.5), draw.between(0.1, 0.45)
    brightness = draw.between(1500, 6000)

    @cache
    def pluck(semitones: int) -> Samples:
        frequency = root * 2 ** (semitones / 12)
        period = max(8, round(SAMPLE_RATE / frequency - smoothing))
        excitation = pass_filter(noise(draw.rng, period + 40), "low", brightness)[40:]
        # Plucking at a point of the string silences the partials that have a node there.
        excitation = excitation - np.roll(excitation, round(pick * period))
        loss = 10 ** (-3 / (ring * frequency))
        return fade(string(excitation, count(min(ring, 2.5)), smoothing, loss), 0.001, 0.02)

    played = np.zeros(samples, np.float32)
    for beat, start in enumerate(beats(draw, interval, samples, jitter=0.03)):
        if style == 0:
            if beat % 2 == 0:
                spread = count(draw.between(0.008, 0.03))
                for voice, note in enumerate(scale):
                    add(played, pluck(note), start + voice * spread, 0.6)
        else:
            step = beat if style == 1 else int(draw.rng.integers(len(scale)))
            add(played, pluck(scale[step % len(scale)]), start, draw.between(0.6, 1.0))
    body = resonate(played, [(draw.between(90, 130), 30, 0.8), (draw.between(180, 260), 40, 0.8)])
    return played + body


def engine(draw: Draw, samples: int) -> Samples:
    """A combustion engine: uneven firing pulses through the exhaust, idling or revved."""
    firing = draw("firing")
    wobble = 1 + 0.4 * pass_filter(noise(draw.rng, samples), "low", 8.0)
    if draw.chance(0.5):
        points = 1 + draw.rng.uniform(0, draw.between(0.3, 1.4), size=draw.rng.integers(3, 6))
    else:
        points = np.ones(2)
    cycles = phase(firing * contour(list(points), samples) * np.clip(wobble, 0.8, 1.2), samples)
    top = firing * float(points.max()) * 1.2
    fired = pulses(cycles, draw("brightness"), top)
    # A cylinder fires every second or fourth pulse of the engine, none quite like the others.
    uneven = 1 + draw.between(0.1, 0.5) * sine(cycles / 2) + draw.between(0, 0.4) * sine(cycles / 4)
    hiss = noise(draw.rng, samples) * (0.3 + np.maximum(fired, 0)) * draw.between(0.02, 0.25)
    peaks = [
        (draw("exhaust"), draw.between(40, 120), 1.0),
        (draw.between(280, 750), draw.between(100, 250), draw.between(0.3, 0.8)),
        (draw.between(1000, 2200), draw.between(200, 500), draw.between(0.1, 0.5)),
    ]
    out = resonate(fired * uneven + hiss, peaks) + 0.1 * fired
    out = out / (np.abs(out).max() + 1e-9)
    return fade(np.tanh(draw.between(1.0, 4.0) * out), draw.between(0.01, 0.5), 0.01)


def rain(draw: Draw, samples: int) -> Samples:
    """Rain: a rustle of countless far drops, and near ones that are heard singly."""
    far = pass_filter(noise(draw.rng, samples), "high", draw("edge"))
    far = pass_filter(far, "low", draw.between(4500, 7500))
    gusts = 1 + draw.between(0, 24) * pass_filter(noise(draw.rng, samples), "low", 1.0)
    out = far * np.clip(gusts, 0.4, 1.8)
    level = draw("drops") * float(out.std())
    for _ in range(3):
        falls = draw.rng.random(samples, dtype=np.float32) < draw("density") / 3 / SAMPLE_RATE
        size = np.exp(0.9 * noise(draw.rng, samples))
        frequency = draw.between(900, 6000)
        near = resonate((falls * size).astype(np.float32), [(frequency, 250.0, 1.0)])
        out += level * near / (np.abs(near).max() + 1e-9) * draw.between(4.0, 14.0)
    return fade(out.astype(np.float32), draw.between(0.01, 0.8), 0.01)


def whistle(draw: Draw, samples: int) -> Samples:
    """A steam train's whistle: a breathy chord that slides into its pitch, in long blasts."""
    chords = ((1, 1.2, 1.5), (1, 1.26, 1.5, 1.68), (1, 1.34), (1, 1.19, 1.41, 1.68), (1, 1.5))
    chord = chords[draw.rng.integers(len(chords))]
    base, blast = draw("pitch"), draw("blast")
    brightness, breath = draw.between(0.2, 0.55), draw("breath")
    blown = np.zeros(samples, np.float32)
    start = 0
    while start < samples:
        length = count(blast * draw.between(0.5, 1.3))
        slide = contour(
            [draw.between(0.86, 0.95), 1, 1, 1, 1, 1, 1, draw.between(0.9, 0.99)], length
        )
        flutter = 1 + 0.004 * sine(phase(draw.between(4, 8), length))
        steam = noise(draw.rng, length)
        tone = np.zeros(length, np.float32)
        for ratio in chord:
            pitch = base * ratio
            tone += pulses(phase(pitch * slide * flutter, length), brightness, pitch)
            tone += resonate(steam, [(pitch, 60.0, breath), (2 * pitch, 150.0, breath / 2)])
        tone += 0.1 * breath * pass_filter(steam, "high", 1500.0)
        add(blown, fade(tone, draw.between(0.03, 0.12), draw.between(0.05, 0.15)), start)
        start += length + count(draw.between(0.12, 0.5))
    return blown


OBJECTS: dict[str, Event] = {
    "bell": Event(
        bell,
        {
            "pitch": Range(250, 1400, (600, 800)),
            "ring": Range(0.8, 5.0, (3.5, 5.0)),
            "interval": Range(0.4, 2.0, (0.9, 1.2)),
        },
    ),
    "phone": Event(
        phone,
        {
            "pitch": Range(600, 2200, (1100, 1400)),
            "rate": Range(8, 30, (22, 30)),
            "on": Range(0.4, 1.8, (1.0, 1.2)),
        },
    ),
    "siren": Event(
        siren,
        {
            "pitch": Range(350, 900, (500, 600)),
            "span": Range(1.25, 2.5, (2.1, 2.5)),
            "wail": Range(0.2, 0.8, (0.4, 0.5)),
            "yelp": Range(2.0, 6.0, (5.0, 6.0)),
            "step": Range(0.6, 2.0, (1.0, 1.3)),
        },
    ),
    "clock": Event(
        clock,
        {
            "interval": Range(0.2, 1.0, (0.4, 0.5)),
            "pitch": Range(1200, 4500, (2600, 3200)),
            "ring": Range(0.002, 0.012, (0.009, 0.012)),
        },
    ),
    "drum": Event(
        drum,
        {
            "pitch": Range(55, 260, (110, 150)),
            "ring": Range(0.12, 0.9, (0.65, 0.9)),
            "interval": Range(0.14, 0.55, (0.25, 0.32)),
        },
    ),
    "guitar": Event(
        guitar,
        {
            "pitch": Range(82, 400, (160, 210)),
            "interval": Range(0.13, 0.7, (0.3, 0.4)),
            "ring": Range(0.5, 4.0, (2.8, 4.0)),
        },
    ),
    "engine": Event(
        engine,
        {
            "firing": Range(22, 95, (42, 55)),
            "brightness": Range(0.75, 0.95, (0.9, 0.95)),
            "exhaust": Range(80, 260, (130, 165)),
        },
    ),
    "rain": Event(
        rain,
        {
            "density": Range(15, 300, (60, 100)),
            "drops": Range(0.3, 2.5, (0.8, 1.1)),
            "edge": Range(200, 1800, (1200, 1800)),
        },
    ),
    "whistle": Event(
        whistle,
        {
            "pitch": Range(230, 800, (400, 500)),
            "blast": Range(0.4, 2.0, (1.5, 2.0)),
            "breath": Range(0.15, 1.5, (0.4, 0.6)),
        },
    ),
}
