"""A small open-vocabulary detector: one heat map for every phrase, and a box at every cell.

A residual network turns the picture into a grid of cells, 8 pixels apart; a phrase encoder turns
each label into a vector. A cell's score for a label is the sigmoid of their dot product (after Zhou
et al. 2019, Objects as Points, with phrases for classes); every cell predicts one box, whatever the
label. Pictures and labels meet nowhere else: a score does not depend on the other labels asked for.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from nuthatch.tools.detection.detectors import (
    DUPLICATE_IOU,
    Calibration,
    Found,
    above,
    check,
    keep_distinct,
)
from nuthatch.tools.detection.heatmap_shape import Shape
from nuthatch.tools.domain.pictures import PictureDomain
from nuthatch.tools.faults import ToolUnavailable
from nuthatch.tools.media.framing import Framing
from nuthatch.tools.media.types import Pixels
from nuthatch.tools.media.views import View, views
from nuthatch.tools.vocabulary import CATEGORIES
from nuthatch.tools.weights.folder import DOMAIN_FILE

STRIDE = 8
"""Pixels of the network's input from one cell to the next."""
PICTURES_AT_ONCE = 16
MODEL_TYPE = "heatmap"


class HeatmapNetwork(nn.Module):
    """Scores of every phrase and a box at every cell, row by row."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        half = shape.stem // 2
        self.backbone = nn.Sequential(
            ConvNorm(3, half, stride=2),
            ConvNorm(half, half),
            ConvNorm(half, shape.stem),
            nn.MaxPool2d(3, stride=2, padding=1),
            Residual(shape.stem, shape.stem),
            Residual(shape.stem, shape.width, stride=2),
            *(Residual(shape.width, shape.width) for _ in range(shape.blocks - 1)),
        )
        self.norm = nn.LayerNorm(shape.width)
        self.name = nn.Linear(shape.width, shape.width)
        self.box = nn.Sequential(
            nn.Linear(shape.width, shape.width), nn.ReLU(), nn.Linear(shape.width, 4)
        )
        self.phrases = PhraseEncoder(shape)
        # Scores start at about 0.02, where a focal loss wants them.
        self.bias = nn.Parameter(torch.tensor(-4.0))
        self.width = shape.width

    def forward(self, pixels: Tensor, phrases: Tensor) -> tuple[Tensor, Tensor]:
        """Read pictures.

        Args:
            pixels: (B, 3, H, W), normalised; sides are multiples of 8.
            phrases: (L, D), from `phrases`.

        Returns:
            Logits (B, C, L), and boxes (B, C, 4): centre x, y, width, height as shares of the
            input's sides.
        """
        features = self.backbone(pixels)
        rows, columns = features.shape[-2:]
        cells = self.norm(features.flatten(2).transpose(1, 2))
        logits = self.name(cells) @ phrases.T / self.width**0.5 + self.bias
        return logits, self._boxes(self.box(cells), rows, columns)

    @staticmethod
    def _boxes(raw: Tensor, rows: int, columns: int) -> Tensor:
        """Distances from the cell to the four sides, in cells: 2 each at first."""
        left, top, right, bottom = (2 * functional.softplus(raw + 0.54)).unbind(-1)
        y = (torch.arange(rows * columns, device=raw.device) // columns).to(raw.dtype) + 0.5
        x = (torch.arange(rows * columns, device=raw.device) % columns).to(raw.dtype) + 0.5
        return torch.stack(
            [
                (x + (right - left) / 2) / columns,
                (y + (bottom - top) / 2) / rows,
                (left + right) / columns,
                (top + bottom) / rows,
            ],
            -1,
        )


class PhraseEncoder(nn.Module):
    """Token ids of phrases to one vector each."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.words = nn.Embedding(shape.words, shape.width)
        self.places = nn.Parameter(0.02 * torch.randn(shape.phrase_tokens, shape.width))
        layer = nn.TransformerEncoderLayer(
            shape.width,
            shape.heads,
            2 * shape.width,
            dropout=0.0,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.layers = nn.TransformerEncoder(layer, shape.phrase_layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(shape.width)
        nn.init.normal_(self.words.weight, std=0.1)

    def forward(self, ids: Tensor) -> Tensor:
        """Vectors (L, D) of phrases (L, T), padded with 0."""
        read = ids > 0
        words = self.words(ids) + self.places[: ids.shape[1]]
        words = self.layers(words, src_key_padding_mask=~read)
        mean = (words * read[..., None]).sum(1) / read.sum(1, keepdim=True)
        vectors: Tensor = self.norm(mean)
        return vectors


class ConvNorm(nn.Sequential):
    """3x3 convolution, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut (ResNet-D: it averages before it thins out)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = ConvNorm(inputs, outputs, stride)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride), nn.Conv2d(inputs, outputs, 1, bias=False)
            )

    def forward(self, features: Tensor) -> Tensor:
        change = self.norm(self.second(self.first(features)))
        return functional.relu(self.shortcut(features) + change)


class HeatmapDetector:
    """`Detector` by heat maps.

    Args:
        duplicate_iou: two boxes of one label that overlap more are one object.
        domain: tells which pictures the network was trained on; None: nobody has measured.
    """

    def __init__(
        self,
        network: HeatmapNetwork,
        tokenizer: Tokenizer,
        framing: Framing,
        shape: Shape,
        model_id: str,
        threshold: float = 0.35,
        duplicate_iou: float = DUPLICATE_IOU,
        domain: PictureDomain | None = None,
    ) -> None:
        self._network = network
        self._tokenizer = tokenizer
        self._framing = framing
        self._shape = shape
        self._vectors: dict[str, Tensor] = {}
        self.model_id = model_id
        self.threshold = threshold
        self.duplicate_iou = duplicate_iou
        self.domain = domain

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> Self:
        """From config.json, model.safetensors, tokenizer.json, preprocessor_config.json, and
        calibration.json and domain.safetensors, which may be missing.

        Raises:
            FileNotFoundError: one of the other files is missing.
            RuntimeError: the weights do not fit the configuration.
            ToolUnavailable: the domain is damaged, or of other weights.
        """
        names = ("config.json", "model.safetensors", "tokenizer.json", "preprocessor_config.json")
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise FileNotFoundError(f"detector at {folder} lacks {', '.join(missing)}")
        settings = json.loads((folder / names[0]).read_text(encoding="utf-8"))
        settings.pop("model_type")
        shape = Shape(**settings)
        network = HeatmapNetwork(shape)
        weights = load_file(folder / names[1])
        network.load_state_dict({name: value.float() for name, value in weights.items()})
        digest = hashlib.sha256((folder / names[1]).read_bytes()).hexdigest()[:12]
        domain = PictureDomain.beside(folder)
        if domain is not None and domain.weights != digest:
            raise ToolUnavailable(
                f"{folder / DOMAIN_FILE} belongs to weights {domain.weights}, but {folder} holds "
                f"{digest}; fit it anew, or remove it: then no picture is refused"
            )
        measured = folder / "calibration.json"
        threshold = Calibration.load(measured).threshold if measured.is_file() else 0.35
        return cls(
            network.eval().to(device).to(memory_format=torch.channels_last),
            Tokenizer.from_file(str(folder / names[2])),
            Framing.load(folder / names[3]),
            shape,
            f"{MODEL_TYPE}-d{shape.width}-{digest}",
            threshold,
            domain=None if domain is None else domain.to(device),
        )

    @property
    def backbone(self) -> nn.Sequential:
        """Pictures (B, 3, H, W) to features (B, D, H / 8, W / 8)."""
        return self._network.backbone

    @property
    def framing(self) -> Framing:
        """How a picture becomes the backbone's input."""
        return self._framing

    def knows(self, images: Sequence[Pixels]) -> list[bool]:
        """Whether each picture (H, W, 3) uint8 RGB is of the kind that the network was trained
        on; all are where that was never measured."""
        domain = self.domain
        return [
            domain is None or domain.score(self.backbone, self.framing, image) <= domain.threshold
            for image in images
        ]

    @torch.inference_mode()
    def find(
        self, images: Sequence[Pixels], labels: Sequence[Sequence[str]], *, threshold: float
    ) -> list[list[Found]]:
        """See `Detector.find`; wide, tall and stretched pictures, and those with plain margins, are
        also looked at more closely, see `views`."""
        wanted = check(images, labels, threshold)
        looks = [(number, view) for number, image in enumerate(images) for view in views(image)]
        unclear = {number for number, view in looks if view.squeezed}
        found: dict[tuple[int, bool], list[Found]] = defaultdict(list)
        known: dict[tuple[int, bool], list[Found]] = defaultdict(list)
        for start in range(0, len(looks), PICTURES_AT_ONCE):
            batch = looks[start : start + PICTURES_AT_ONCE]
            numbers = [number for number, _ in batch]
            every = dict.fromkeys(label for number in numbers for label in wanted[number])
            if unclear.intersection(numbers):
                every |= dict.fromkeys(CATEGORIES)
            parts = [view.of(images[number]) for number, view in batch]
            scores, boxes, inside = self._read(parts, list(every))
            for row, (number, view) in enumerate(batch):
                pixels = self._framing.pixels(boxes[row], parts[row], inside[row])
                by_label = dict(zip(every, scores[row].T, strict=True))
                seen = number, view.squeezed
                found[seen] += _seen(view, pixels, by_label, wanted[number], threshold)
                if number in unclear:
                    known[seen] += _seen(view, pixels, by_label, CATEGORIES, self.threshold)
        return [
            keep_distinct(
                found[number, _weight(known[number, True]) > _weight(known[number, False])],
                self.duplicate_iou,
            )
            for number in range(len(images))
        ]

    def _read(
        self, images: Sequence[Pixels], labels: Sequence[str]
    ) -> tuple[NDArray[np.float32], Tensor, list[tuple[int, int]]]:
        values, _, inside = self._framing.tensor(images)
        device = next(self._network.parameters()).device
        logits, boxes = self._network(values.to(device), self._encode(labels))
        return logits.sigmoid().cpu().numpy(), boxes.cpu(), inside

    def _encode(self, labels: Sequence[str]) -> Tensor:
        """Vectors of the labels; each label is read once."""
        new = [label for label in labels if label not in self._vectors]
        if new:
            device = next(self._network.parameters()).device
            ids = phrase_ids(self._tokenizer, new, self._shape.phrase_tokens).to(device)
            vectors = self._network.phrases(ids)
            self._vectors |= dict(zip(new, vectors, strict=True))
        return torch.stack([self._vectors[label] for label in labels])


def _seen(
    view: View,
    boxes: NDArray[np.float32],
    scores: Mapping[str, NDArray[np.float32]],
    labels: Sequence[str],
    threshold: float,
) -> list[Found]:
    """What a view shows of these labels, in pixels of the picture, if it is the view to tell it."""
    chosen = np.stack([scores[label] for label in labels], axis=1)
    hits = [replace(h, box=view.place(h.box)) for h in above(boxes, chosen, labels, threshold)]
    return [hit for hit in hits if view.suits(hit.box)]


def _weight(found: Sequence[Found]) -> float:
    """How much a detector makes of a picture: what the scores of all it finds, one at a place, are
    above one half. Of 124 stretched pictures of the split "calibrate" 97 % have more of it when
    they are squeezed; of 155 that are not stretched, none."""
    places = keep_distinct([replace(each, label="") for each in found])
    return sum(max(0.0, each.score - 0.5) for each in places)


def phrase_ids(tokenizer: Tokenizer, labels: Sequence[str], longest: int) -> Tensor:
    """Token ids (L, T) of labels, padded with 0.

    Raises:
        ValueError: a label has no token or more than `longest`.
    """
    ids = [tokenizer.encode(label.lower(), add_special_tokens=False).ids for label in labels]
    for label, each in zip(labels, ids, strict=True):
        if not 0 < len(each) <= longest:
            raise ValueError(
                f"label {label[:80]!r} has {len(each)} tokens; the detector reads 1 to {longest}: "
                "use a short noun phrase"
            )
    padded = torch.zeros(len(ids), max(map(len, ids)), dtype=torch.long)
    for row, each in enumerate(ids):
        padded[row, : len(each)] = torch.tensor(each)
    return padded


def save(
    network: HeatmapNetwork, tokenizer: Tokenizer, framing: Framing, shape: Shape, folder: Path
) -> None:
    """Write what `HeatmapDetector.load` reads; weights as bfloat16."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: value.detach().to(torch.bfloat16).contiguous()
        for name, value in network.state_dict().items()
        if value.is_floating_point()
    }
    counters = {k: v for k, v in network.state_dict().items() if not v.is_floating_point()}
    save_file(weights | counters, folder / "model.safetensors")
    settings = {"model_type": MODEL_TYPE} | asdict(shape)
    (folder / "config.json").write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    tokenizer.save(str(folder / "tokenizer.json"))
    framing.save(folder / "preprocessor_config.json")
