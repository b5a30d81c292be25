"""Cut a recording at its pauses, by energy alone: no model listens here.

Sounds are mono at 16 kHz; places are samples of the given sound, ends exclusive.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

SAMPLE_RATE = 16_000
FRAME = SAMPLE_RATE // 100
SMOOTHED = 5
"""Frames of 10 ms over which the level is taken."""
PAUSE = 30
"""Shortest pause, in frames: the closure of a plosive is shorter."""
BURST = 8
"""Shortest sound, in frames of the smoothed level: a click is shorter."""
MARGIN = 20
"""Frames kept on either side of a sound: speech begins and ends below the threshold."""
SILENCE = 1e-4
"""Level (root mean square) below which nothing can be heard."""
RANGE = 40.0
"""Decibels below the loudest moment that always count as a pause; 10 never do."""


class Stretch(NamedTuple):
    """A part of a recording in which something sounds."""

    start: int
    end: int


def stretches(samples: NDArray[np.float32]) -> list[Stretch]:
    """The parts between pauses, in order, with a margin; none in a silent recording.

    The threshold lies between the quietest and the loudest moments, so that it follows the noise
    of the recording. A recording without pauses is one stretch.

    Args:
        samples: (n,) mono at 16 kHz.
    """
    level = _level(samples)
    if not len(level) or level.max() < 20 * np.log10(SILENCE):
        return []
    loud, quiet = float(level.max()), float(np.percentile(level, 5))
    threshold = min(max(quiet + 0.3 * (loud - quiet), loud - RANGE), loud - 10)
    runs = [run for run in _runs(level > threshold) if run.end - run.start >= BURST]
    joined: list[Stretch] = []
    for run in runs:
        if joined and run.start - joined[-1].end < PAUSE:
            joined[-1] = Stretch(joined[-1].start, run.end)
        else:
            joined.append(run)
    ends = [0, *(end for _, end in joined)]
    starts = [*(start for start, _ in joined), len(level)]
    wide = []
    for number, (start, end) in enumerate(joined):  # a pause is shared by its neighbours
        before, after = start - ends[number], starts[number + 1] - end
        first = start - min(MARGIN, before if number == 0 else before // 2)
        last = end + min(MARGIN, after if number == len(joined) - 1 else after // 2)
        wide.append(Stretch(first * FRAME, min(last * FRAME, len(samples))))
    return wide


def windows(
    samples: NDArray[np.float32], longest: int, *, pause: int | None = None
) -> list[Stretch]:
    """Parts of at most `longest` samples that hold all that sounds.

    Neighbouring stretches share a window while they fit; a stretch that is too long is cut at its
    quietest moment.

    Args:
        samples: (n,) mono at 16 kHz.
        longest: samples of a window, at least a second's.
        pause: the longest pause inside a window, in samples; None: any that fits.

    Raises:
        ValueError: windows of less than a second.
    """
    if longest < SAMPLE_RATE:
        raise ValueError(f"given windows of {longest} samples, expected at least {SAMPLE_RATE}")
    level = _level(samples)
    found: list[Stretch] = []
    for stretch in stretches(samples):
        for start, end in _shortened(stretch, level, longest):
            together = found and end - found[-1].start <= longest
            if together and (pause is None or start - found[-1].end <= pause):
                found[-1] = Stretch(found[-1].start, end)
            else:
                found.append(Stretch(start, end))
    return found


def _shortened(stretch: Stretch, level: NDArray[np.float64], longest: int) -> list[Stretch]:
    """A stretch in parts of at most `longest`, cut where it is quietest in a window's last half."""
    parts = []
    start, end = stretch
    while end - start > longest:
        first, last = (start + longest // 2) // FRAME, (start + longest) // FRAME
        cut = (first + int(np.argmin(level[first:last]))) * FRAME
        parts.append(Stretch(start, cut))
        start = cut
    return [*parts, Stretch(start, end)]


def _level(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Decibels of full scale in every whole frame of 10 ms, smoothed."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME).astype(np.float64)
    power = uniform_filter1d((frames**2).mean(axis=1), SMOOTHED, mode="nearest")
    level: NDArray[np.float64] = 10 * np.log10(np.maximum(power, 1e-12))
    return level


def _runs(sounding: NDArray[np.bool_]) -> list[Stretch]:
    """Where it sounds, in frames."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], sounding, [False]]).astype(int)))
    return [
        Stretch(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)
    ]
