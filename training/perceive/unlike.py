"""Sounds and speech unlike the miniature's: what domain checks are fitted to refuse.

Everyday sentences and made-up words for the transcriber; for the sound tagger speech, music, tones,
noise, and the miniature's own clips made unnatural. All of it is synthesised, always the same for
the same seed. What the checks are measured on is of other makes.
"""

from random import Random

import numpy as np
from scipy.linalg import solve_toeplitz
from scipy.signal import lfilter, resample_poly

from nuthatch.training.perceive.spoken import sentence
from nuthatch.training.world.sounds import make_sound
from nuthatch.training.world.speech import FASTEST, SLOWEST, VOICES, speak
from nuthatch.training.world.synthesis import (
    SAMPLE_RATE,
    Samples,
    add,
    coloured_noise,
    contour,
    count,
    decay,
    noise,
    pass_filter,
    phase,
    pulses,
    resonate,
    reverberate,
    sine,
)

FOREIGN = ("de", "fr-fr", "es", "it", "pl", "nl", "sv", "tr", "fi", "ru", "pt", "cs", "el", "hu")
"""espeak-ng languages that made-up words are also spoken in."""
_ONSETS = (*"bdfghjklmnprstvwz", "bl", "br", "ch", "dr", "fl", "gr", "pl", "sh", "sk", "st", "th")
_VOWELS = (*"aeiou", "ee", "oo", "ai", "ou", "ar", "er", "ow")
_CODAS = ("", "", "", *"nrstlmkdp", "nt", "st", "ng", "sh", "ck", "nd")
_SUBJECTS = (
    *("my uncle", "the manager", "our teacher", "everybody", "the captain", "a stranger", "he"),
    *("the committee", "her husband", "one of the students", "the government", "she", "nobody"),
    *("the farmer", "your daughter", "the lawyer", "his team", "the baker", "we", "people"),
)
_VERBS = (
    *("forgot", "repaired", "sold", "explained", "borrowed", "described", "cancelled", "enjoyed"),
    *("finished", "ordered", "promised", "refused", "visited", "wanted", "discussed", "lost"),
    *("needs", "loves", "prefers", "hates", "ignored", "invented", "followed", "remembers"),
)
_OBJECTS = (
    *("the contract", "a sandwich", "the newspaper", "some advice", "a terrible mistake", "it"),
    *("the museum", "an old friend", "the whole story", "a new job", "the mountain", "dinner"),
    *("the election", "his bicycle", "a glass of water", "the concert", "that question", "me"),
    *("the kitchen window", "their wedding", "a cheap ticket", "the tax", "our lovely garden"),
)
_TAILS = (
    *("last summer", "in the middle of the night", "because of the storm", "without any reason"),
    *("before breakfast", "at the airport", "in London", "after the war", "this morning", "twice"),
    *("with great pleasure", "for the first time", "on the telephone", "near the coast", ""),
    *("until the end of the month", "as soon as possible", "although it was late", "", "", ""),
)
_OPENINGS = (
    *("I believe that", "it is true that", "they say", "yesterday", "of course", "maybe", "", ""),
    *("to be honest", "nevertheless", "suddenly", "in my opinion", "as you know", "", "", ""),
)
_SHORT = (
    *("excuse me", "well done", "see you later", "I don't think so", "never mind", "hurry up"),
    *("what happened?", "that's wonderful", "let's go", "are you serious?", "come here", "sorry"),
    *("how old are you?", "what a pity", "keep going", "who is there?", "take it easy", "maybe"),
    *("be quiet", "leave me alone", "ten minutes ago", "thirty seven", "good night", "of course"),
)


def unlike_sentence(seed: int) -> str:
    """An English sentence, or made-up words, that nobody says in the miniature world."""
    draw = Random(f"unlike {seed}")
    kind = draw.random()
    if kind < 0.45:
        parts = (draw.choice(p) for p in (_OPENINGS, _SUBJECTS, _VERBS, _OBJECTS, _TAILS))
        return " ".join(filter(None, parts)) + draw.choice(".?.")
    if kind < 0.55:
        return draw.choice(_SHORT)
    if kind < 0.8:
        return " ".join(_word(draw) for _ in range(draw.randint(2, 9))) + "."
    # The miniature's frames with words of no vocabulary: every other word, or every third.
    said = sentence(draw.randrange(10**9))[:-1].split()
    every = draw.choice((2, 3))
    return " ".join(_word(draw) if i % every == 1 else w for i, w in enumerate(said)) + "."


def _word(draw: Random) -> str:
    return "".join(
        draw.choice(_ONSETS) + draw.choice(_VOWELS) + draw.choice(_CODAS)
        for _ in range(draw.choice((1, 1, 2, 2, 3)))
    )


def unlike_speech(seed: int) -> Samples:
    """(n,) at 16 kHz: `unlike_sentence` in a voice of the miniature, or of another language."""
    draw = Random(f"voice {seed}")
    foreign = draw.random() < 0.2
    voice = draw.choice(FOREIGN if foreign else VOICES["seen"])
    return speak(
        unlike_sentence(seed),
        voice,
        words_per_minute=draw.randint(SLOWEST, FASTEST),
        pitch=draw.randint(25, 75),
    )


def unlike_sound(seed: int) -> Samples:
    """(n,) at 16 kHz within [-1, 1]: speech, music, tones, noise, or an unnatural clip."""
    rng = np.random.default_rng([seed, 77])
    kinds = (_speech, _speech, _resung_speech, _altered, _altered, _music, _signal, _texture)
    sound = kinds[int(rng.integers(len(kinds)))](rng)
    if rng.random() < 0.4:
        sound = reverberate(sound, rng, float(rng.uniform(0.1, 0.8)), float(rng.uniform(0.05, 0.6)))
    sound = sound / (np.abs(sound).max() + 1e-9)
    if rng.random() < 0.6:
        level = 10 ** (-rng.uniform(15, 45) / 20)
        sound = sound + level * coloured_noise(rng, len(sound), float(rng.uniform(0, 2)))
    peak = float(np.exp(rng.uniform(np.log(0.02), np.log(0.99))))
    samples: Samples = (peak * sound / np.abs(sound).max()).astype(np.float32)
    return samples


def unlike_talk(seed: int) -> Samples:
    """(n,) at 16 kHz within [-1, 1]: four seconds out of a talk, as a microphone in a room hears
    it, over noise of the room or of the recording."""
    rng = np.random.default_rng([seed, 78])
    said = np.zeros(0, np.float32)
    while len(said) < count(5.0):
        up, down = ((1, 1), (9, 8), (8, 9), (6, 5), (5, 4), (4, 3))[int(rng.integers(6))]
        part = resample_poly(unlike_speech(int(rng.integers(10**9))), up, down).astype(np.float32)
        loud = np.flatnonzero(np.abs(part) > 0.02 * np.abs(part).max())
        pause = np.zeros(count(float(rng.uniform(0.02, 0.6))), np.float32)
        said = np.concatenate([said, part[loud[0] : loud[-1]], pause])
    if rng.random() < 0.3:
        said = _resung(said, rng)
    start = int(rng.integers(0, len(said) - count(4.0)))
    said = _through_a_microphone(said[start : start + count(4.0)], rng)
    if rng.random() < 0.7:
        said = reverberate(said, rng, float(rng.uniform(0.1, 1.2)), float(rng.uniform(0.05, 0.9)))
    said = said / np.abs(said).max()
    hiss = coloured_noise(rng, len(said), float(rng.uniform(0, 2)))
    said = said + 10 ** (-rng.uniform(18, 50) / 20) * hiss
    peak = float(np.exp(rng.uniform(np.log(0.05), np.log(0.99))))
    samples: Samples = (peak * said / np.abs(said).max()).astype(np.float32)
    return samples


def _length(rng: np.random.Generator) -> int:
    return count(float(rng.uniform(1.0, 4.0)))


def _speech(rng: np.random.Generator) -> Samples:
    said = unlike_speech(int(rng.integers(10**9)))
    up, down = ((1, 1), (1, 1), (9, 8), (8, 9), (5, 4), (4, 5))[int(rng.integers(6))]
    whole = resample_poly(said, up, down).astype(np.float32)
    start = int(rng.integers(0, max(1, len(whole) - count(2.0))))
    part = whole[start : start + count(float(rng.uniform(1.0, 4.0)))]
    return _through_a_microphone(part, rng)


def _resung_speech(rng: np.random.Generator) -> Samples:
    return _resung(_speech(rng), rng)


def _resung(said: Samples, rng: np.random.Generator) -> Samples:
    """Speech with the throat of another speaker: linear prediction (Atal and Hanauer 1971) of
    frames of 25 ms, excited anew by pulses and noise."""
    size, hop = count(0.025), count(0.0125)
    pitch = float(np.exp(rng.uniform(np.log(75), np.log(300))))
    glide = contour(list(rng.uniform(0.8, 1.25, 6)), len(said))
    cycles = phase(pitch * glide, len(said))
    voiced = np.diff(np.floor(cycles), prepend=0.0).astype(np.float32) * np.sqrt(
        SAMPLE_RATE / pitch
    )
    breath = float(rng.uniform(0.05, 1.0))
    source = voiced + breath * noise(rng, len(said))
    window = np.hanning(size).astype(np.float32)
    spoken = np.zeros(len(said), np.float32)
    for start in range(0, len(said) - size, hop):
        frame = said[start : start + size] * window
        lags = np.correlate(frame, frame, "full")[size - 1 : size + 16]
        if lags[0] < 1e-6:
            continue
        lags[0] *= 1.0001
        taps = solve_toeplitz(lags[:-1], lags[1:])
        gain = np.sqrt(max(1e-9, (lags[0] - taps @ lags[1:]) / size))
        piece = lfilter([gain], [1.0, *-taps], source[start : start + size])
        spoken[start : start + size] += (piece * window).astype(np.float32)
    return spoken


def _through_a_microphone(sound: Samples, rng: np.random.Generator) -> Samples:
    """The sound within a band, as of a telephone or a small loudspeaker; one in two times."""
    if rng.random() < 0.5:
        return sound
    low = pass_filter(sound, "high", float(np.exp(rng.uniform(np.log(40), np.log(400)))))
    return pass_filter(low, "low", float(np.exp(rng.uniform(np.log(2500), np.log(7500)))))


def _altered(rng: np.random.Generator) -> Samples:
    """A clip of the miniature backwards, at another rate, cut up, or ring-modulated."""
    clip = make_sound(int(rng.integers(10**9)), "train").samples
    kind = rng.integers(5)
    if kind == 0:
        return clip[::-1].copy()
    if kind == 1:
        up, down = ((1, 2), (2, 1), (3, 5), (5, 3))[int(rng.integers(4))]
        return np.resize(resample_poly(clip, up, down), len(clip)).astype(np.float32)
    if kind == 2:
        size = count(float(rng.uniform(0.03, 0.15)))
        grains = clip[: len(clip) // size * size].reshape(-1, size)
        return rng.permutation(grains * np.hanning(size).astype(np.float32)).ravel()
    if kind == 3:
        return clip * sine(phase(float(rng.uniform(30, 2000)), len(clip)))
    spectrum = np.fft.rfft(clip)
    turned = spectrum * np.exp(2j * np.pi * rng.random(len(spectrum)))
    return np.fft.irfft(turned, len(clip)).astype(np.float32)


def _music(rng: np.random.Generator) -> Samples:
    """Notes of a scale with an envelope, in one to three voices, over a beat or none."""
    samples = _length(rng)
    played = np.zeros(samples, np.float32)
    beat = float(rng.uniform(0.12, 0.6))
    for _ in range(int(rng.integers(1, 4))):
        root, bright = float(rng.uniform(60, 700)), float(rng.uniform(0.05, 0.9))
        wide = count(beat * float(rng.choice([1, 2, 4])))
        rise = count(float(rng.uniform(0.002, 0.15)))
        for start in range(0, samples, wide):
            pitch = root * 2 ** (int(rng.choice([0, 2, 4, 5, 7, 9, 11, 12])) / 12)
            vibrato = 1 + 0.005 * sine(phase(5.0, wide))
            note = pulses(phase(pitch * vibrato, wide), bright, pitch)
            note = note * decay(float(rng.uniform(0.2, 3)), wide)
            note[:rise] *= np.linspace(0, 1, len(note[:rise]), dtype=np.float32)
            add(played, note, start, float(rng.uniform(0.4, 1)))
    if rng.random() < 0.5:
        for start in range(0, samples, count(beat)):
            hat = pass_filter(noise(rng, count(0.05)), "high", float(rng.uniform(2000, 6000)))
            add(played, hat * decay(0.06, len(hat)), start, float(rng.uniform(0.05, 0.5)))
    return played


def _signal(rng: np.random.Generator) -> Samples:
    """Noise of one colour or band, and steady, keyed or swept tones."""
    samples = _length(rng)
    kind = rng.integers(5)
    if kind == 0:
        return coloured_noise(rng, samples, float(rng.uniform(-1, 3)))
    if kind == 1:
        centre = float(np.exp(rng.uniform(np.log(100), np.log(7000))))
        return resonate(
            noise(rng, samples), [(centre, centre * float(rng.uniform(0.02, 0.5)), 1.0)]
        )
    first, last = np.exp(rng.uniform(np.log(60), np.log(7000), 2))
    pitch = np.full(samples, first) if kind == 2 else np.geomspace(first, last, samples)
    if rng.random() < 0.5:
        tone = sum(
            (sine(phase(pitch * r, samples)) for r in rng.uniform(0.5, 1.0, 2)),
            sine(phase(pitch, samples)),
        )
    else:
        tone = pulses(phase(pitch, samples), float(rng.uniform(0, 0.9)), float(pitch.max()))
    if kind == 4:
        gate = phase(float(rng.uniform(0.5, 12)), samples)
        tone = tone * (gate - np.floor(gate) < rng.uniform(0.2, 0.8))
    return np.asarray(tone, np.float32)


def _texture(rng: np.random.Generator) -> Samples:
    """Knocks, rustles, whooshes: bursts of noise through resonances, at any moments."""
    samples = _length(rng)
    made = np.zeros(samples, np.float32)
    for _ in range(int(rng.integers(1, 25))):
        length = count(float(np.exp(rng.uniform(np.log(0.01), np.log(1.0)))))
        centres = np.exp(rng.uniform(np.log(80), np.log(6000), int(rng.integers(1, 4))))
        peaks = [(float(c), float(c * rng.uniform(0.03, 1.0)), 1.0) for c in centres]
        burst = resonate(noise(rng, length), peaks)
        shape = decay(length / SAMPLE_RATE, length)
        if rng.random() < 0.4:
            shape = np.hanning(length).astype(np.float32)
        burst = burst * shape / (np.abs(burst).max() + 1e-9)
        add(made, burst, int(rng.integers(samples)), float(rng.uniform(0.1, 1)))
    return made
