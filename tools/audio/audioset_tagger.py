"""The published sound tagger: BEATs fine-tuned on AudioSet, 527 classes (arXiv:2212.09058).

Forward as in the released code, `BEATs.extract_features` in beats/BEATs.py of
https://github.com/microsoft/unilm (commit c68101b): the classifier scores each token, the scores
are averaged over all tokens, and the sigmoid comes after the mean.

The classes are those of AudioSet (Gemmeke et al. 2017); its list `class_labels_indices.csv`, laid
beside the weights, gives them their names.
"""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nuthatch.mllm.encoders.beats import Beats, BeatsConfig
from nuthatch.mllm.encoders.fbank import (
    FRAME_LENGTH,
    FRAME_SHIFT,
    SAMPLE_RATE,
    beats_filter_bank,
)
from nuthatch.tools.audio.sound_tagger import Listener

MEL_BINS = 128
NAMES = "class_labels_indices.csv"
WINDOW = 10 * SAMPLE_RATE
"""AudioSet's clips last 10 s."""
WINDOWS_AT_ONCE = 8


class AudioSetTagger(Listener):
    """BEATs with its classifier; parameters have their released names.

    Args:
        config: sizes of the encoder.
        events: names of the classes, in order.
    """

    def __init__(self, config: BeatsConfig, events: tuple[str, ...]) -> None:
        super().__init__()
        self.events = events
        self.calibration = {}
        self.window_samples = WINDOW
        # One patch of time. Nothing longer is padded: silence would lower the mean over time.
        self.least_samples = (config.input_patch_size - 1) * FRAME_SHIFT + FRAME_LENGTH
        self.beats = Beats(config)
        self.predictor = nn.Linear(config.encoder_embed_dim, len(events))

    def forward(self, fbank: Tensor) -> Tensor:
        """(B, frames, 128) from `beats_filter_bank` to logits (B, events)."""
        logits: Tensor = self.predictor(self.beats(fbank)).mean(dim=1)
        return logits

    @torch.inference_mode()
    def probabilities(self, windows: Tensor) -> Tensor:
        """See `Listener.probabilities`."""
        device = self.predictor.weight.device
        parts = [
            self(beats_filter_bank(part.to(device), MEL_BINS)).sigmoid()
            for part in windows.split(WINDOWS_AT_ONCE)
        ]
        return torch.cat(parts).cpu()


def load(folder: Path, device: str = "cpu") -> AudioSetTagger:
    """From the one `.pt` file in a folder, as released, e.g.
    BEATs_iter3_plus_AS2M_finetuned_on_AS2M_cpt2.pt, and the list of names if it lies beside.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there are several, the file is another one, or the list of names is broken.
        RuntimeError: weights and settings do not fit.
    """
    files = sorted(folder.glob("*.pt"))
    if not files:
        raise FileNotFoundError(f"{folder} holds no .pt file")
    if len(files) > 1:
        raise ValueError(
            f"{folder} holds {', '.join(file.name for file in files)}; leave one of them there"
        )
    (path,) = files
    released = torch.load(path, map_location="cpu", weights_only=True)
    known = isinstance(released, dict) and all(
        isinstance(released.get(part), dict) for part in ("cfg", "model")
    )
    if not known or "predictor.weight" not in released["model"]:
        raise ValueError(
            f"{path} is no BEATs with a classifier: expected 'cfg' and 'model' with "
            "'predictor.weight'; take one of those called finetuned_on_AS2M"
        )
    events = _events(released, path)
    config = BeatsConfig.from_released({**released["cfg"], "dropout": 0.0})
    with torch.device("meta"):
        tagger = AudioSetTagger(config, events)
    state = {
        name if name.startswith("predictor.") else f"beats.{name}": tensor.float()
        for name, tensor in released["model"].items()
    }
    tagger.load_state_dict(state, assign=True)
    return tagger.to(device).eval()


def _events(released: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    """Names of the classes in order: those of the list, else AudioSet's ids, e.g. `/m/0bt9lr`."""
    classes = len(released["model"]["predictor.weight"])
    by_index = released.get("label_dict")
    if not isinstance(by_index, dict) or set(by_index) != set(range(classes)):
        raise ValueError(
            f"{path} does not say what its {classes} classes are: expected 'label_dict' with the "
            f"keys 0 to {classes - 1}"
        )
    ids = [str(by_index[index]) for index in range(classes)]
    names = _names(path.parent / NAMES)
    events = tuple(names.get(each, each) for each in ids)
    if len(set(events)) < classes:
        raise ValueError(f"two classes of {path} have the same name; see {NAMES} beside it")
    return events


def _names(path: Path) -> dict[str, str]:
    """AudioSet's id -> name, from its list; empty where there is none."""
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        if not {"mid", "display_name"} <= set(rows.fieldnames or ()):
            raise ValueError(
                f"{path} has the columns {rows.fieldnames}; expected mid, display_name"
            )
        return {row["mid"]: row["display_name"] for row in rows if row["mid"]}
