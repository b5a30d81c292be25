"""Sound taggers: what all of them do, and the small one for the sounds of the vocabulary.

The published one is in `audioset_tagger`. Sounds are mono float32 at 16 kHz; times are seconds.
A tagger that has a domain (`sound_domain`) tells by `knows` which sounds it must not judge.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nuthatch.mllm.encoders.beats import Beats, BeatsConfig
from nuthatch.mllm.encoders.fbank import (
    FRAME_LENGTH,
    FRAME_SHIFT,
    SAMPLE_RATE,
    beats_filter_bank,
)
from nuthatch.tools.domain.sounds import SoundDomain

WINDOWS_AT_ONCE = 16
INAUDIBLE = 1e-4
"""Peak amplitude below which there is nothing to hear in a window."""


@dataclass(frozen=True)
class SoundTaggerConfig:
    """Sizes of the tagger; `events` names its outputs in order."""

    events: tuple[str, ...]
    beats: BeatsConfig
    num_mel_bins: int = 64
    window_frames: int = 400

    @property
    def window_samples(self) -> int:
        """Samples of one window, 4.015 s: as many as give a whole number of patches."""
        return (self.window_frames - 1) * FRAME_SHIFT + FRAME_LENGTH


class HeardEvent(NamedTuple):
    """An event, the largest probability that any window gives it, and when that window is."""

    event: str
    probability: float
    start: float
    end: float


class Judgement(NamedTuple):
    """From which probability on one answer about an event was right at least 95 times in 100.

    Measured on clips of which half hold the event, none of them used for training. `precision` is
    the lower end of the 95 % Wilson interval over the `n` clips beyond the threshold; the threshold
    is None where no probability reached 0.95.
    """

    threshold: float | None
    precision: float
    n: int


class EventCalibration(NamedTuple):
    """When the tagger alone may decide: heard from `present` on, not heard up to `absent`."""

    present: Judgement
    absent: Judgement


class Listener(nn.Module, ABC):
    """Names the events in a sound of any length."""

    events: tuple[str, ...]
    """Names of the outputs, in order."""
    window_samples: int
    """As much as is heard at once."""
    least_samples: int
    """A shorter sound is padded with silence."""
    calibration: dict[str, EventCalibration]

    @abstractmethod
    def probabilities(self, windows: Tensor) -> Tensor:
        """(B, samples) sound, `least_samples` to `window_samples`, to each event's, (B, events)."""

    def listen(self, samples: npt.NDArray[np.floating]) -> list[HeardEvent]:
        """Every event with its probability, the likeliest first.

        A sound longer than a window is heard in windows that overlap by half; an event is as likely
        as in the window that is surest of it, whose time comes with it.

        Args:
            samples: (n,) mono at 16 kHz within [-1, 1], n > 0.

        Raises:
            ValueError: no samples, more than one channel, or samples that are not finite.
        """
        windows, starts = self._windows(samples)
        best = self.probabilities(windows).max(dim=0)
        heard = [
            HeardEvent(
                event,
                float(probability),
                starts[index] / SAMPLE_RATE,
                min(len(samples), starts[index] + windows.shape[1]) / SAMPLE_RATE,
            )
            for event, probability, index in zip(
                self.events, best.values, best.indices.tolist(), strict=True
            )
        ]
        return sorted(heard, key=lambda event: -event.probability)

    def _windows(self, samples: npt.NDArray[np.floating]) -> tuple[Tensor, list[int]]:
        """The sound in overlapping windows (N, samples), and the sample where each begins."""
        sound = np.asarray(samples, dtype=np.float32)
        if sound.ndim != 1 or sound.size == 0:
            raise ValueError(
                f"given a sound of shape {sound.shape}, expected (n,) mono samples at 16 kHz, n > 0"
            )
        if not np.isfinite(sound).all():
            raise ValueError("the sound holds NaN or infinity; expected finite samples")
        padded = torch.from_numpy(np.pad(sound, (0, max(0, self.least_samples - len(sound)))))
        window = min(self.window_samples, len(padded))
        starts = list(range(0, max(1, len(padded) - window), window // 2))
        if len(padded) > window:
            starts.append(len(padded) - window)
        return torch.stack([padded[s : s + window] for s in starts]), starts

    def tag(self, samples: npt.NDArray[np.floating]) -> list[tuple[str, float]]:
        """`listen` without the times: (event, probability), the likeliest first."""
        return [(heard.event, heard.probability) for heard in self.listen(samples)]


class SoundTagger(Listener):
    """A small BEATs with a multi-label head over the sounds of the vocabulary."""

    def __init__(
        self, config: SoundTaggerConfig, calibration: Mapping[str, EventCalibration] | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.events = config.events
        self.window_samples = self.least_samples = config.window_samples
        self.calibration = dict(calibration or {})
        self.domain: SoundDomain | None = None  # the sounds that it was trained and measured on
        self.beats = Beats(config.beats)
        self.bands = config.num_mel_bins // config.beats.input_patch_size
        # BEATs has relative positions only; the head tells high bands from low by their place.
        self.head = nn.Linear(self.bands * config.beats.encoder_embed_dim, len(config.events))

    def forward(self, fbank: Tensor) -> Tensor:
        """(B, window_frames, num_mel_bins) from `beats_filter_bank` to logits (B, moments, events).

        A moment is one patch of time, 160 ms.
        """
        tokens: Tensor = self.beats(fbank)  # (B, moments * bands, D), time-major
        logits: Tensor = self.head(tokens.unflatten(1, (-1, self.bands)).flatten(2))
        return logits

    @staticmethod
    def of_window(moments: Tensor) -> Tensor:
        """Logits (B, moments, events) of moments to those of whole windows, (B, events).

        Between the mean and the largest (log of the mean exponential), so that a short event counts
        although it fills few moments.
        """
        return moments.logsumexp(dim=1) - float(np.log(moments.shape[1]))

    @torch.inference_mode()
    def probabilities(self, windows: Tensor) -> Tensor:
        """(B, window_samples) sound to the probability of each event, (B, events)."""
        parts = [
            self.of_window(self(beats_filter_bank(part, self.config.num_mel_bins))).sigmoid()
            for part in windows.to(self.head.weight.device).split(WINDOWS_AT_ONCE)
        ]
        return torch.cat(parts).cpu()

    @torch.inference_mode()
    def knows(self, sounds: Sequence[npt.NDArray[np.floating]]) -> list[bool]:
        """Whether each sound is of the kind that it was trained on: every window in which something
        sounds. Raises as `listen`.

        Silence is known, and so is all where there is no domain.
        """
        return [self.domain is None or self.odds(each) >= self.domain.threshold for each in sounds]

    @torch.inference_mode()
    def odds(self, samples: npt.NDArray[np.floating]) -> float:
        """Lowest log-odds of a window to be of the domain's kind; infinite for silence and where
        there is no domain. Raises as `listen`."""
        windows, _ = self._windows(samples)
        windows = windows[windows.abs().amax(dim=1) >= INAUDIBLE].to(self.head.weight.device)
        if self.domain is None or not len(windows):
            return float("inf")
        found = [
            self.domain(self.domain.features(self.beats, self._fbank(part)))
            for part in windows.split(WINDOWS_AT_ONCE)
        ]
        crowding = self.domain.crowding(self.probabilities(windows))
        return float((torch.cat(found).cpu() - crowding).min())

    def _fbank(self, windows: Tensor) -> Tensor:
        return beats_filter_bank(windows, self.config.num_mel_bins)

    def save(self, folder: Path) -> None:
        """Write `config.json`, `model.safetensors` (bf16) and, if measured, `calibration.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        _write_json(folder / "config.json", asdict(self.config))
        state = {
            name: tensor.bfloat16()
            for name, tensor in self.state_dict().items()
            if not name.startswith("domain.")  # has a file of its own, made after the weights
        }
        save_file(state, folder / "model.safetensors")
        if self.calibration:
            weights = (folder / "model.safetensors").read_bytes()
            table = {
                event: {"present": judged.present._asdict(), "absent": judged.absent._asdict()}
                for event, judged in self.calibration.items()
            }
            measured_with = hashlib.sha256(weights).hexdigest()[:12]
            _write_json(folder / "calibration.json", {"weights": measured_with, "events": table})


def load_saved(folder: Path, device: str = "cpu") -> SoundTagger:
    """The tagger that `SoundTagger.save` wrote; raises as `load_sound_tagger.load`."""
    config: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
    if "events" not in config:
        raise ValueError(
            f"{folder} holds an encoder without a classifier; give a folder with the released file "
            "of BEATs fine-tuned on AudioSet, or one that the training of tag_sound wrote"
        )
    beats, events = BeatsConfig(**config.pop("beats")), tuple(config.pop("events"))
    tables = folder / "calibration.json"
    calibration = {
        event: EventCalibration(Judgement(**table["present"]), Judgement(**table["absent"]))
        for event, table in (
            json.loads(tables.read_text("utf-8"))["events"] if tables.is_file() else {}
        ).items()
    }
    tagger = SoundTagger(SoundTaggerConfig(events=events, beats=beats, **config), calibration)
    tagger.load_state_dict(load_file(folder / "model.safetensors"))
    tagger.domain = SoundDomain.beside(folder)
    return tagger.to(device).eval()


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
