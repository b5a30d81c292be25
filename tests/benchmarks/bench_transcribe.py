"""Ten minutes of speech and pauses beside the package's own `transcribe`: `make bench`.

Both hear the same sound with the same weights, in turns; the least time of all repetitions counts.
The package takes windows of a fixed length one after the other. The sound is made so that this
costs it no word: no sentence crosses the end of one of its windows. Conditioning on the text before
is off in both, since the miniature was not trained for it. Reports, never asserts.

    python tests/benchmarks/bench_transcribe.py [--weights FOLDER] [--most 9] [--json]
"""

import argparse
import importlib
import json
import time
from pathlib import Path

import numpy as np
import torch
from whisper.audio import HOP_LENGTH, SAMPLE_RATE

from nuthatch.tools.audio.transcriber import Transcriber, load
from nuthatch.tools.audio.whisper_miniature import STRIDE
from nuthatch.tools.weights.store import EMBEDDED
from nuthatch.training.perceive.transcribe_quality import clips, word_errors, words_of

PAUSE = 0.7
"""Shortest pause between two sentences, in seconds."""


def recording(minutes: float, window: int, most: int) -> tuple[np.ndarray, list[str]]:
    """Sentences of seen voices with pauses, none across a multiple of `window` samples, and at most
    `most` between two of these."""
    blocks, said, number = [], [], 0
    rng = np.random.default_rng(0)
    while len(blocks) * window < minutes * 60 * SAMPLE_RATE:
        block, place, held = np.zeros(window, np.float32), 0, 0
        while held < most:
            (text,), (sound,) = clips(range(number, number + 1), "seen")
            start = place + int(rng.uniform(PAUSE, 2 * PAUSE) * SAMPLE_RATE)
            if start + len(sound) > window - PAUSE / 2 * SAMPLE_RATE:
                break
            block[start : start + len(sound)] = sound
            place, number, held = start + len(sound), number + 1, held + 1
            said += words_of(text)
        if not place:  # longer than a window
            number += 1
            continue
        blocks.append(block)
    noise = rng.normal(0, 1e-3, len(blocks) * window).astype(np.float32)
    return np.concatenate(blocks) + noise, said


def theirs(one: Transcriber, sound: np.ndarray) -> list[str]:
    """The package's way, its windows as long as the model's."""
    package = importlib.import_module("whisper.transcribe")
    package.N_FRAMES = STRIDE * one.model.dims.n_audio_ctx
    package.N_SAMPLES = HOP_LENGTH * package.N_FRAMES
    heard = one.model.transcribe(
        sound,
        language="en",
        condition_on_previous_text=False,
        without_timestamps=True,
        suppress_blank=False,
        length_penalty=0.0,
        fp16=False,
    )
    return words_of(heard["text"])


def ours(one: Transcriber, sound: np.ndarray) -> list[str]:
    """All segments, as the package keeps them."""
    heard = [each.text for part in one.hear(sound) for each in part.segments]
    return words_of(" ".join(heard))


def main() -> None:
    """Time both and print what each took and what it heard."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, default=EMBEDDED / "transcribe")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--most", type=int, default=9, help="sentences in a window of the package")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    one = load(args.weights)
    window = HOP_LENGTH * STRIDE * one.model.dims.n_audio_ctx
    sound, said = recording(args.minutes, window, args.most)
    seconds: dict[str, list[float]] = {"theirs": [], "ours": []}
    heard: dict[str, list[str]] = {}
    for _ in range(args.repeats):
        for name, way in (("theirs", theirs), ("ours", ours)):
            start = time.perf_counter()
            heard[name] = way(one, sound)
            seconds[name].append(time.perf_counter() - start)
    package, own = min(seconds["theirs"]), min(seconds["ours"])
    figures = {
        "transcribe_seconds": own,
        "transcribe_package_seconds": package,
        "transcribe_ratio": package / own,
        "transcribe_wer": word_errors(said, heard["ours"]) / len(said),
        "transcribe_package_wer": word_errors(said, heard["theirs"]) / len(said),
        "transcribe_wer_between": word_errors(heard["theirs"], heard["ours"]) / len(said),
    }
    if args.json:
        print(json.dumps({"figures": figures}))
        return
    print(
        f"{len(sound) / SAMPLE_RATE / 60:.1f} min, {len(said)} words, {args.threads} threads: "
        f"package {package:.2f} s, ours {own:.2f} s, ratio {package / own:.2f}; words wrong "
        f"{figures['transcribe_package_wer']:.3f} and {figures['transcribe_wer']:.3f}, "
        f"between the two {figures['transcribe_wer_between']:.3f}"
    )


if __name__ == "__main__":
    main()
