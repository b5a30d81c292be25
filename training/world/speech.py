"""Spoken sentences, by the speech synthesiser espeak-ng, which must be installed on the system.

Two voices are held out: no sentence of the training split is spoken by them.
"""

import shutil
import subprocess
from dataclasses import dataclass

import numpy as np
from scipy.signal import resample_poly

from nuthatch.training.world.splits import SPLITS, Split
from nuthatch.training.world.synthesis import SAMPLE_RATE, Parameters, Samples

VOICES: dict[Parameters, tuple[str, ...]] = {
    "seen": (
        "en-us",
        "en-us+f2",
        "en-us+m3",
        "en-gb",
        "en-gb+f4",
        "en-gb-scotland+m5",
        "en-gb-x-rp+f3",
        "en-029",
    ),
    "held_out": ("en-us+f5", "en-gb-x-gbcwmd+m7"),
}
"""espeak-ng voices: an accent, and after the plus a speaker."""
SLOWEST, FASTEST = 130, 190
LONGEST_TEXT = 1000
TIMEOUT = 30.0


class SynthesiserMissing(RuntimeError):
    """espeak-ng is not installed; the message says how to install it."""


@dataclass(frozen=True)
class Speech:
    """A spoken sentence.

    Attributes:
        samples: (n,) float32, 16 kHz mono, within [-1, 1].
        text: what is said.
        voice: the espeak-ng voice that says it.
        words_per_minute: how fast.
    """

    samples: Samples
    text: str
    voice: str
    words_per_minute: int


def make_speech(
    text: str, seed: int, split: Split = "train", *, voices: Parameters = "seen"
) -> Speech:
    """Speak `text` in the voice, speed and pitch that these arguments always give.

    Raises:
        SynthesiserMissing: espeak-ng is not installed.
        ValueError: nothing to say, more than 1000 characters, or held-out voices for training.
    """
    if voices == "held_out" and split == "train":
        raise ValueError("held-out voices are never trained on; use split='test'")
    rng = np.random.default_rng([seed, SPLITS.index(split), voices == "held_out"])
    voice = str(rng.choice(VOICES[voices]))
    speed, pitch = int(rng.integers(SLOWEST, FASTEST + 1)), int(rng.integers(30, 71))
    return Speech(speak(text, voice, words_per_minute=speed, pitch=pitch), text, voice, speed)


def speak(
    text: str, voice: str = "en-us", *, words_per_minute: int = 160, pitch: int = 50
) -> Samples:
    """(n,) float32 at 16 kHz: `text` in an espeak-ng `voice`, `pitch` from 0 (low) to 99.

    Raises:
        SynthesiserMissing: espeak-ng is not installed.
        ValueError: nothing to say, more than 1000 characters, or a voice espeak-ng does not have.
    """
    if not text.strip() or len(text) > LONGEST_TEXT:
        raise ValueError(f"given {len(text)} characters to say, expected 1 to {LONGEST_TEXT}")
    program = shutil.which("espeak-ng")
    if program is None:
        raise SynthesiserMissing(
            "speech needs the program espeak-ng, which is not installed; install it with "
            "`apt-get install espeak-ng` (Debian, Ubuntu) or `brew install espeak-ng` (macOS)"
        )
    # The text goes through standard input, so that none of it can be read as an option.
    options = ["-v", voice, "-s", str(words_per_minute), "-p", str(pitch), "--stdin", "--stdout"]
    done = subprocess.run(
        [program, *options], input=text.encode(), capture_output=True, timeout=TIMEOUT, check=False
    )
    if done.returncode or not done.stdout:
        reason = done.stderr.decode(errors="replace").strip()
        raise ValueError(f"espeak-ng did not speak with voice {voice!r}: {reason}")
    # A WAV that goes down a pipe names no true length, so its 44-byte header is read by hand.
    rate = int.from_bytes(done.stdout[24:28], "little")
    spoken = np.frombuffer(done.stdout[44:], "<i2").astype(np.float32) / 2**15
    resampled = resample_poly(spoken, SAMPLE_RATE, rate)
    samples: Samples = np.clip(resampled, -1.0, 1.0).astype(np.float32)
    return samples
