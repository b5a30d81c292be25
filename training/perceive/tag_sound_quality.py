"""What the sound tagger is worth: its thresholds, and its figures on clips it never heard."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm

from nuthatch.tools.audio.sound_tagger import EventCalibration, Judgement, SoundTagger
from nuthatch.tools.vocabulary import SOUNDS
from nuthatch.training.evaluate.statistics import Interval, proportion, wilson
from nuthatch.training.world.sounds import Clip, make_sound
from nuthatch.training.world.splits import Split
from nuthatch.training.world.synthesis import Parameters

NAMES = tuple(SOUNDS)
WANTED_PRECISION = 0.95


def pad_to_window(clips: Sequence[Clip], window_samples: int) -> Tensor:
    """(len(clips), window_samples): each clip followed by silence."""
    padded = np.zeros((len(clips), window_samples), np.float32)
    for row, clip in zip(padded, clips, strict=True):
        row[: len(clip.samples)] = clip.samples
    return torch.from_numpy(padded)


def truth(clips: Sequence[Clip]) -> npt.NDArray[np.bool_]:
    """(len(clips), events): which events each clip holds."""
    return np.array([[name in clip.events for name in NAMES] for clip in clips])


def clips_of(
    seeds: range,
    name: str,
    split: Split,
    events: int | None = None,
    parameters: Parameters = "seen",
) -> Iterator[Clip]:
    """The clips of these seeds, with a progress bar of this name."""
    for seed in tqdm(seeds, desc=name):
        yield make_sound(seed, split, events=events, parameters=parameters)


def hear(
    tagger: SoundTagger, clips: Iterable[Clip]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Probabilities and truth of every clip, both (clips, events)."""
    probabilities, present = [], []
    remaining = iter(clips)
    while batch := list(islice(remaining, 16)):
        windows = pad_to_window(batch, tagger.config.window_samples)
        probabilities.append(tagger.probabilities(windows).numpy())
        present.append(truth(batch))
    return np.concatenate(probabilities), np.concatenate(present)


def pairs_right(
    probabilities: npt.NDArray[np.float32], present: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """For clips of two events each: whether the two likeliest are the two that sound."""
    likeliest = np.argsort(-probabilities, axis=1)[:, :2]
    right: npt.NDArray[np.bool_] = np.take_along_axis(present, likeliest, axis=1).min(axis=1)
    return right


def calibrate(
    probabilities: npt.NDArray[np.float32], present: npt.NDArray[np.bool_]
) -> dict[str, EventCalibration]:
    """For each event, from where on the tagger alone is right at least 95 times in 100.

    As many clips without the event as with it are kept, so the figure does not lean on how rare an
    event is: the tagger is asked about claims, and a claimed event is no rarer than an absent one.
    """
    table = {}
    for index, name in enumerate(NAMES):
        scores, is_there = _balanced(probabilities[:, index], present[:, index])
        absent = _threshold(-scores, ~is_there)
        if absent.threshold is not None:
            absent = absent._replace(threshold=-absent.threshold)
        table[name] = EventCalibration(_threshold(scores, is_there), absent)
    return table


def _balanced(
    scores: npt.NDArray[np.float32], present: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Scores and truth of equally many clips with an event and without it."""
    rng = np.random.default_rng(0)
    sides = [np.flatnonzero(present), np.flatnonzero(~present)]
    size = min(map(len, sides))
    chosen = np.concatenate([rng.permutation(side)[:size] for side in sides])
    return scores[chosen], present[chosen]


def _threshold(scores: npt.NDArray[np.float32], right: npt.NDArray[np.bool_]) -> Judgement:
    """The lowest score from which on the share of `right` is surely at least WANTED_PRECISION."""
    order = np.argsort(-scores)
    hits = np.cumsum(right[order])
    for n in range(len(scores), 0, -1):
        if n < len(scores) and scores[order[n]] == scores[order[n - 1]]:
            continue  # a threshold cannot part equal scores
        low, _ = wilson(int(hits[n - 1]), n)
        if low >= WANTED_PRECISION:
            return Judgement(float(scores[order[n - 1]]), low, n)
    return Judgement(None, 0.0, 0)


def measure(tagger: SoundTagger, clips: int) -> dict[str, Interval]:
    """Shares with 95 % intervals on clips of the split "test".

    `*pair`: both events of a two-event clip are the two likeliest. `*single`: the event of a
    one-event clip is the likeliest. `*recall/EVENT`: an event of a pair is among the two likeliest.
    `*pair/A-B dB`: pairs by their difference in level. `*alarm`: background alone in which some
    event has a probability of one half or more. `*present`, `*absent`: decisions of the calibration
    table that were right, over all events of pairs and singles. `held_out_*`: held-out synthesis
    parameters.
    """
    figures: dict[str, Interval] = {}
    kinds: tuple[tuple[str, Parameters], ...] = (("", "seen"), ("held_out_", "held_out"))
    for prefix, parameters in kinds:
        differences: list[float] = []
        pairs = clips_of(range(clips), f"{prefix}pairs", "test", 2, parameters)
        probabilities, present = hear(tagger, _noting(differences, pairs))
        right = pairs_right(probabilities, present)
        figures[f"{prefix}pair"] = _share(right)
        for low, high in ((0, 3), (3, 7), (7, 10)):
            of_bin = np.array([low <= difference < high for difference in differences])
            figures[f"{prefix}pair/{low}-{high} dB"] = _share(right[of_bin])
        likeliest = probabilities >= np.sort(probabilities, axis=1)[:, -2:-1]
        for index, name in enumerate(NAMES):
            holds = present[:, index]
            figures[f"{prefix}recall/{name}"] = _share(likeliest[holds, index])

        single = hear(
            tagger, clips_of(range(clips, 2 * clips), f"{prefix}singles", "test", 1, parameters)
        )
        top = single[0].argmax(axis=1)
        figures[f"{prefix}single"] = _share(single[1][np.arange(len(top)), top])
        everything = np.concatenate([probabilities, single[0]])
        truths = np.concatenate([present, single[1]])
        figures |= _decisions(tagger, everything, truths, prefix)
        silent = range(2 * clips, 2 * clips + clips // 2)
        alone, _ = hear(tagger, clips_of(silent, f"{prefix}background", "test", 0, parameters))
        figures[f"{prefix}alarm"] = _share(alone.max(axis=1) >= 0.5)
    return figures


def _noting(differences: list[float], pairs: Iterable[Clip]) -> Iterator[Clip]:
    """The same clips; their differences in level, in dB, are appended on the way."""
    for clip in pairs:
        differences.append(-clip.levels_db[1])
        yield clip


def _decisions(
    tagger: SoundTagger,
    probabilities: npt.NDArray[np.float32],
    present: npt.NDArray[np.bool_],
    prefix: str,
) -> dict[str, Interval]:
    """How often the calibration table decides rightly, and for how many events it decides at all.

    Events that sound and events that do not are counted alike often, as in the calibration.
    """
    said, denied, decided = [], [], []
    for index, name in enumerate(NAMES):
        scores, is_there = _balanced(probabilities[:, index], present[:, index])
        judged = tagger.calibration[name]
        yes = np.full(len(scores), False)
        no = yes.copy()
        if judged.present.threshold is not None:
            yes = scores >= judged.present.threshold
        if judged.absent.threshold is not None:
            no = scores <= judged.absent.threshold
        said.append(is_there[yes])
        denied.append(~is_there[no])
        decided.append(yes | no)
    return {
        f"{prefix}present": _share(np.concatenate(said)),
        f"{prefix}absent": _share(np.concatenate(denied)),
        f"{prefix}decided": _share(np.concatenate(decided)),
    }


def _share(right: npt.NDArray[np.bool_]) -> Interval:
    return proportion(int(right.sum()), len(right))
