"""What the transcriber is trained on: spoken sentences as spectra, changed on the way.

Sentences are synthesised once and kept in the run folder as log-mel power with the phonemes that
are said; every batch then stretches, warps, joins and disturbs them anew, by its step number.
"""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm
from whisper.audio import HOP_LENGTH, N_FFT, mel_filters

from nuthatch.training.perceive.spoken import sentence
from nuthatch.training.world.speech import FASTEST, SLOWEST, VOICES, speak

Floats = npt.NDArray[np.float32]

MELS = 80
ACCENTS = (
    *("en-us", "en-us-nyc", "en-gb", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-scotland", "en-029"),
)
SPEAKERS = (
    *("f1", "f2", "f3", "f4", "m1", "m2", "m3", "m4", "m5", "m6", "m8", "Alex", "Alicia", "Andrea"),
    *("Andy", "Annie", "anika", "antonio", "aunty", "belinda", "benjamin", "boris", "caleb"),
    *("david", "ed", "edward", "john", "linda", "max", "michel", "miguel", "Mike", "pablo"),
    *("paul", "pedro", "quincy", "rob", "robert", "sandro", "shelby", "steph", "travis"),
    *("victor", "zac", "grandma", "grandpa"),
)
MORE_VOICES = tuple(f"{accent}+{speaker}" for accent in ACCENTS for speaker in SPEAKERS)
"""Voices heard in training only, beside those of the world; of the held-out accent and speakers,
none."""
WORLDLY = 0.4
"""Share of the sentences that the world's own voices say."""
FLOOR = 8.0
"""Whisper keeps this many decades below the loudest point."""


class Spoken(NamedTuple):
    """A sentence of the corpus: (frames, MELS) log10 power, phoneme numbers from 1, its text."""

    power: npt.NDArray[np.float16]
    phonemes: npt.NDArray[np.int16]
    text: str


@dataclass(frozen=True)
class Corpus:
    """Sentences end to end, and where each one ends."""

    power: npt.NDArray[np.float16]
    ends: npt.NDArray[np.int64]
    phonemes: npt.NDArray[np.int16]
    phoneme_ends: npt.NDArray[np.int64]
    alphabet: tuple[str, ...]
    texts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> Spoken:
        starts = [0 if index == 0 else int(e[index - 1]) for e in (self.ends, self.phoneme_ends)]
        return Spoken(
            self.power[starts[0] : self.ends[index]],
            self.phonemes[starts[1] : self.phoneme_ends[index]],
            self.texts[index],
        )

    def save(self, path: Path) -> None:
        """Write one file, beside its place until it is whole."""
        partial = path.with_suffix(".partial.npz")
        np.savez(
            partial,
            power=self.power,
            ends=self.ends,
            phonemes=self.phonemes,
            phoneme_ends=self.phoneme_ends,
            alphabet=np.array(self.alphabet),
            texts=np.array(self.texts),
        )
        partial.replace(path)

    @classmethod
    def read(cls, path: Path) -> "Corpus":
        """What `save` wrote."""
        with np.load(path, allow_pickle=False) as held:
            return cls(
                power=held["power"],
                ends=held["ends"],
                phonemes=held["phonemes"],
                phoneme_ends=held["phoneme_ends"],
                alphabet=tuple(held["alphabet"].tolist()),
                texts=tuple(held["texts"].tolist()),
            )


def corpus_of(sentences: int, seed: int, path: Path) -> Corpus:
    """The corpus kept at `path`, or a new one that is kept there."""
    if path.is_file():
        return Corpus.read(path)
    texts = [sentence(seed * 10_000_000 + number) for number in range(sentences)]
    said = phonemes_of(texts)
    alphabet = tuple(sorted({sound for sounds in said for sound in sounds}))

    def spoken(number: int) -> npt.NDArray[np.float16]:
        rng = np.random.default_rng([seed, number])
        rate, pitch = int(rng.integers(SLOWEST, FASTEST + 1)), int(rng.integers(25, 76))
        voices = VOICES["seen"] if rng.random() < WORLDLY else MORE_VOICES
        voice = voices[rng.integers(len(voices))]
        return log_power(speak(texts[number], voice, words_per_minute=rate, pitch=pitch))

    with ThreadPoolExecutor(2) as pool:  # the synthesiser is a program of its own
        powers = list(tqdm(pool.map(spoken, range(sentences)), total=sentences, desc="speaking"))
    corpus = Corpus(
        np.concatenate(powers),
        np.cumsum([len(power) for power in powers]),
        np.array([1 + alphabet.index(s) for sounds in said for s in sounds], np.int16),
        np.cumsum([len(sounds) for sounds in said]),
        alphabet,
        tuple(texts),
    )
    corpus.save(path)
    return corpus


def phonemes_of(texts: list[str]) -> list[list[str]]:
    """What espeak-ng says of each text in its American voice, without stress."""
    options = ["-q", "-x", "--sep=_", "-v", "en-us", "--stdin"]
    done = subprocess.run(
        ["espeak-ng", *options], input="\n".join(texts), capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    if len(lines) != len(texts):
        raise ValueError(f"espeak-ng wrote {len(lines)} lines for {len(texts)} texts of one clause")
    marks = str.maketrans("", "", "',;")
    sounds = [[s.translate(marks) for s in line.replace(" ", "_").split("_")] for line in lines]
    return [[s for s in each if s] for each in sounds]


def log_power(samples: Floats) -> npt.NDArray[np.float16]:
    """(n,) sound at 16 kHz to (frames, MELS): Whisper's spectrum before it is cut and scaled."""
    spectrum = torch.stft(
        torch.from_numpy(samples),
        N_FFT,
        HOP_LENGTH,
        window=torch.hann_window(N_FFT),
        return_complex=True,
    )
    power: Tensor = mel_filters("cpu", MELS) @ spectrum[:, :-1].abs() ** 2
    decades: npt.NDArray[np.float16] = power.clamp(min=1e-10).log10().T.half().numpy()
    return decades


def heard(power: Floats, frames: int) -> Tensor:
    """(n, MELS) log power to Whisper's input (MELS, frames), followed by digital silence."""
    floor = power.max() - FLOOR
    window = np.full((frames, MELS), floor, np.float32)
    window[: len(power)] = np.maximum(power, floor)
    return torch.from_numpy((window.T + 4.0) / 4.0)


def warped(
    power: npt.NDArray[np.float16], rng: np.random.Generator, strength: float = 1.0
) -> Floats:
    """Another tempo (10 %) and another length of the throat (6 % along the mel axis)."""
    tempo = 1 + strength * rng.uniform(-0.1, 0.1)
    throat = 1 + strength * rng.uniform(-0.06, 0.06)
    shift = strength * rng.uniform(-1, 1)
    times = np.arange(0, len(power) - 1, tempo)
    bands = np.clip(np.arange(MELS) * throat + shift, 0, MELS - 1.001)
    return _between(_between(power.astype(np.float32), times).T, bands).T


def _between(rows: Floats, places: npt.NDArray[np.floating]) -> Floats:
    """Rows at fractional places, by linear interpolation."""
    below = places.astype(int)
    share = (places - below)[:, None].astype(np.float32)
    mixed: Floats = rows[below] * (1 - share) + rows[below + 1] * share
    return mixed


def disturbed(power: Floats, rng: np.random.Generator, strength: float = 1.0) -> Floats:
    """Another microphone, and noise of any colour 35 to 70 dB below the loudest point.

    The more `strength`, the more often.
    """
    if rng.random() < 0.5 * strength:
        knots = rng.normal(0, 0.25, 5)
        power = power + np.interp(np.linspace(0, 4, MELS), range(5), knots).astype(np.float32)
    if rng.random() < 0.5 * strength:
        both = np.logaddexp(power * _LN10, noise(power.shape, power.max(), rng) * _LN10)
        power = (both / _LN10).astype(np.float32)
    return power


_LN10 = np.float32(np.log(10))


def noise(shape: tuple[int, ...], loudest: float, rng: np.random.Generator) -> Floats:
    """(frames, MELS) log power of noise."""
    level = loudest - rng.uniform(3.5, 7)
    colour = np.interp(np.linspace(0, 3, MELS), range(4), rng.normal(0, 0.5, 4))
    grain = np.log10(rng.gamma(np.linspace(1.2, 6, MELS), 1, shape) + 1e-3)
    result: Floats = (level + colour + grain).astype(np.float32)
    return result


def masked(window: Tensor, frames: int, rng: np.random.Generator, strength: float = 1.0) -> Tensor:
    """SpecAugment (arXiv:1904.08779): bands and moments without content, in place."""
    for _ in range(2):
        width, place = int(strength * rng.integers(0, 9)), int(rng.integers(0, MELS - 9))
        window[place : place + width] = window.mean()
        width, place = int(strength * rng.integers(0, 6)), int(rng.integers(0, max(1, frames)))
        window[:, place : place + width] = window.mean()
    return window
