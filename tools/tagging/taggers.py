"""The tagger: what one crop shows, in what tint, and which categories a whole picture shows.

It is the *second judge* beside the detector and shares nothing with it: a small residual network
(He et al. 2016) that only ever sees crops, trained on its own from another seed. A whole picture is
judged by tiles at three sizes, never by boxes that somebody else found.

Scores are softmax probabilities of the network. What they are worth was measured on held-out
pictures and lies beside the weights in `calibration.json` (see `Calibration`).
"""

import json
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from safetensors.torch import load_file
from torch import Tensor, nn

from nuthatch.tools.media.types import Pixels
from nuthatch.tools.media.views import views
from nuthatch.tools.vocabulary import CATEGORIES, TINTS

Box4 = tuple[float, float, float, float]

NOTHING = "nothing"
PLAIN = "plain"
LABELS = (*CATEGORIES, NOTHING)
"""Columns of `CropTags.categories`."""
TINT_LABELS = (*TINTS, PLAIN)
"""Columns of `CropTags.tints`; plain: the object has its own colours."""

CROP_SIDE = 40
"""Pixels; every crop is scaled to this square."""
BOX_MARGIN = 0.1
"""A box is widened by this part of its longer side, on each side, before it is looked at."""
AT_ONCE = 2**22
"""Pixels of a picture, with what continues it, from which all crops are cut together."""
AVERAGED = 4
"""Pixels of a large picture for each of a crop that are left by averaging before it is scaled."""
TILE_SIDES = (1 / 4, 3 / 8, 1 / 2)
TILE_STRIDE = 1 / 8
"""Both as parts of the longer side of the picture."""


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al. 2016, figure 2)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, features: Tensor) -> Tensor:
        summed: Tensor = self.body(features) + self.shortcut(features)
        return summed.relu()


class CropNet(nn.Module):
    """Crops (n, 3, CROP_SIDE, CROP_SIDE), RGB 0 to 255 -> logits of categories and tints."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        first, *rest = widths
        layers: list[nn.Module] = [
            nn.Conv2d(3, first, 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(inplace=True),
            ResidualBlock(first, first, 1),
        ]
        for before, width in zip(widths, rest, strict=False):
            layers += [ResidualBlock(before, width, 2), ResidualBlock(width, width, 1)]
        self.trunk = nn.Sequential(*layers)
        self.category = nn.Linear(widths[-1], len(LABELS))
        self.tint = nn.Linear(widths[-1], len(TINT_LABELS))

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (n, 69) and (n, 9)."""
        scaled = ((crops - 127.5) / 64).contiguous(memory_format=torch.channels_last)
        pooled = self.trunk(scaled).mean(dim=(2, 3))
        return self.category(pooled), self.tint(pooled)


class CropTags(NamedTuple):
    """Probabilities for n crops; rows sum to 1."""

    categories: NDArray[np.float32]
    """(n, 69) over `LABELS`: the 68 categories, then nothing"""
    tints: NDArray[np.float32]
    """(n, 9) over `TINT_LABELS`; means something only where the crop shows an object"""

    def best(self) -> list[tuple[str, float]]:
        """The likeliest label of each crop, `NOTHING` among them, with its probability."""
        return _best(LABELS, self.categories)

    def best_tint(self) -> list[tuple[str, float]]:
        """The likeliest tint of each crop, `PLAIN` among them, with its probability."""
        return _best(TINT_LABELS, self.tints)


class Tagger:
    """Tags of crops, of boxes in a picture, and of whole pictures."""

    def __init__(self, net: CropNet, *, batch: int = 128) -> None:
        self.net = net.eval().to(memory_format=torch.channels_last)
        self.batch = batch

    def tag_crops(self, crops: Sequence[Pixels]) -> CropTags:
        """Tags of pictures that each show one thing; (H, W, 3) uint8 RGB of any size."""
        whole = [
            cut(crop, np.array([[0.0, 0.0, crop.shape[1], crop.shape[0]]]))[0] for crop in crops
        ]
        return self._predict(np.stack(whole) if whole else _NO_CROPS)

    def tag_boxes(self, image: Pixels, boxes: Sequence[Box4]) -> CropTags:
        """Tags of what is in each box (x1 y1 x2 y2 pixels, right and bottom exclusive)."""
        if not len(boxes):
            return self._predict(_NO_CROPS)
        return self._predict(cut(image, widen(np.asarray(boxes, np.float64))))

    def tag_image(self, image: Pixels) -> dict[str, float]:
        """For every category the best score of all tiles: is it anywhere in the picture?

        Wide, tall and stretched pictures, and those with plain margins, are also looked at more
        closely, see `views`.
        """
        _check(image)
        crops = [_tiled(view.of(image)) for view in views(image)]
        scores = self._predict(np.concatenate(crops)).categories
        return dict(zip(CATEGORIES, scores.max(axis=0).tolist(), strict=False))

    def _predict(self, crops: NDArray[np.uint8]) -> CropTags:
        parts = [torch.zeros(0, len(LABELS)), torch.zeros(0, len(TINT_LABELS))]
        device = self.net.category.weight.device
        with torch.inference_mode():
            for start in range(0, len(crops), self.batch):
                chunk = torch.from_numpy(crops[start : start + self.batch]).to(device)
                logits = self.net(chunk.permute(0, 3, 1, 2).float())
                for i, part in enumerate(logits):
                    parts[i] = torch.cat([parts[i], part.softmax(dim=1).float().cpu()])
        return CropTags(parts[0].numpy(), parts[1].numpy())


def load(folder: Path, device: str = "cpu") -> Any:
    """The tagger whose `config.json` and `model.safetensors` lie in `folder`.

    A `Tagger` where `config.json` holds widths, categories and tints; where it names the model type
    "clip", the `Contrastive` encoder of `clip`, which knows no words of its own.

    Raises:
        FileNotFoundError: a file is not in the folder.
        ValueError: no back end knows the model type, or the weights were trained on another
            vocabulary.
        RuntimeError: the weights do not fit the configuration.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    model_type = config.get("model_type")
    if model_type == "clip":
        from nuthatch.tools.tagging.clip import ClipEncoder

        return ClipEncoder.load(folder, device)
    if model_type is not None:
        raise ValueError(
            f"{folder / 'config.json'} names model_type {model_type!r}; known: 'clip', or none for "
            "the tagger of crops"
        )
    if tuple(config["categories"]) != CATEGORIES or tuple(config["tints"]) != tuple(TINTS):
        raise ValueError(
            f"the tagger in {folder} was trained on another vocabulary; train it again with "
            "`nuthatch train embedded --stage perceive --only tag`"
        )
    net = CropNet(config["widths"])
    weights = load_file(folder / "model.safetensors")
    net.load_state_dict(
        {name: v.float() if v.is_floating_point() else v for name, v in weights.items()}
    )
    return Tagger(net.to(device))


_NO_CROPS = np.zeros((0, CROP_SIDE, CROP_SIDE, 3), np.uint8)


def widen(boxes: NDArray[np.float64], margin: float = BOX_MARGIN) -> NDArray[np.float64]:
    """(n, 4) boxes -> the squares around them, so that nothing changes its proportions."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) * (0.5 + margin)
    return np.concatenate([centres - half, centres + half], axis=1)


def cut(image: Pixels, boxes: NDArray[np.float64]) -> NDArray[np.uint8]:
    """(n, CROP_SIDE, CROP_SIDE, 3) crops; beyond its border a picture is continued by its edge."""
    _check(image)
    height, width = image.shape[:2]
    beyond = max(-boxes[:, :2].min(), (boxes[:, 2:] - [width, height]).max(), 0.0)
    border = min(int(np.ceil(beyond)), max(height, width))
    crops = np.empty((len(boxes), CROP_SIDE, CROP_SIDE, 3), np.uint8)
    if (height + 2 * border) * (width + 2 * border) > AT_ONCE:
        for row, box in enumerate(boxes):
            crops[row] = _cut_out(image, box)
        return crops
    padded = np.pad(image, ((border, border), (border, border), (0, 0)), mode="edge")
    picture = PIL.Image.fromarray(padded)
    limits = np.array([padded.shape[1], padded.shape[0]] * 2, np.float64)
    for row, box in enumerate(np.clip(boxes + border, 0, limits).tolist()):
        crops[row] = _scaled(picture, box)
    return crops


def _scaled(picture: PIL.Image.Image, box: Sequence[float]) -> NDArray[np.uint8]:
    size = (CROP_SIDE, CROP_SIDE)
    x1, y1, x2, y2 = box
    crop = picture.resize(size, PIL.Image.Resampling.BILINEAR, box=(x1, y1, x2, y2))
    return np.asarray(crop)


def _check(image: Pixels) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise ValueError(
            f"image is {image.dtype} of shape {image.shape}; expected uint8 (height, width, 3) RGB"
        )


def _tiled(image: Pixels) -> NDArray[np.uint8]:
    """Crops of all tiles, of a large picture after averaging: tiles overlap."""
    height, width = image.shape[:2]
    step = 1
    if height * width > AT_ONCE:
        step = max(1, int(max(height, width) * TILE_SIDES[0] / (AVERAGED * CROP_SIDE)))
    if step > 1:
        image = np.asarray(PIL.Image.fromarray(image).reduce(step))
    return cut(image, tiles(width, height) / step)


def _cut_out(image: Pixels, box: NDArray[np.float64]) -> NDArray[np.uint8]:
    """One crop, from its own part of a large picture; large boxes are averaged before scaling."""
    size = np.array(image.shape[1::-1])  # width, height
    low, high = (np.clip(end, -size.max(), size + size.max()) for end in (box[:2], box[2:]))
    side = (high - low).max()
    step = max(1, int(side / (AVERAGED * CROP_SIDE)))
    reach = side / CROP_SIDE + step  # scaling looks as far around
    first = np.floor((low - reach) / step).astype(int)
    last = np.ceil((high + reach) / step).astype(int)
    there = np.ceil(size / step).astype(int)
    x1, y1 = np.clip(first, 0, there - 1)
    x2, y2 = np.clip(last, 1, there)
    part = image[y1 * step : y2 * step, x1 * step : x2 * step]
    if step > 1:
        part = np.asarray(PIL.Image.fromarray(part).reduce(step))
    rims = ((y1 - first[1], last[1] - y2), (x1 - first[0], last[0] - x2))
    if np.any(rims):
        part = np.pad(part, (*np.maximum(rims, 0), (0, 0)), mode="edge")
    ends = np.concatenate((low / step - first, high / step - first))
    return _scaled(PIL.Image.fromarray(part), ends.tolist())


def tiles(width: int, height: int) -> NDArray[np.float64]:
    """(n, 4) overlapping squares of three sizes that cover the picture."""
    longer = max(width, height)
    boxes = []
    for side in (part * longer for part in TILE_SIDES):
        for y in _starts(height, side, TILE_STRIDE * longer):
            for x in _starts(width, side, TILE_STRIDE * longer):
                boxes.append((x, y, x + side, y + side))
    return np.array(boxes)


def _starts(length: float, side: float, stride: float) -> list[float]:
    """Even places for windows; one, in the middle, where the picture is narrower than a window."""
    if length <= side:
        return [(length - side) / 2]
    count = int(np.ceil((length - side) / stride - 1e-9)) + 1
    return [float(start) for start in np.linspace(0, length - side, count)]


def _best(labels: Sequence[str], rows: NDArray[np.float32]) -> list[tuple[str, float]]:
    return [(labels[int(row.argmax())], float(row.max())) for row in rows]


class Rate(BaseModel):
    """How often a score from a threshold on was right, on held-out pictures."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: float | None
    """Null: no threshold reached the precision wanted."""
    precision: float
    """Measured beyond the threshold, (right + 1/2) / (n + 1); without one, over all."""
    n: int
    """Cases beyond the threshold (without one, all)."""


class Presence(BaseModel):
    """When a picture's score for one category settles that it is there, or that it is not."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    present: Rate
    """Score at or above the threshold: it is there."""
    absent: Rate
    """Score below the threshold: it is not there."""
    pictures_with: int
    pictures_without: int


class Reliability(BaseModel):
    """Score -> probability of being right, a rising step function fitted over all classes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scores: tuple[float, ...]
    """Lower edges of the steps, rising, the first 0."""
    probabilities: tuple[float, ...]
    n: tuple[int, ...]
    """Cases in each step."""

    def at(self, score: float) -> float:
        return self.probabilities[max(0, bisect_right(self.scores, score) - 1)]


class Calibration(BaseModel):
    """What the scores are worth, measured on the split "calibrate" (`calibration.json`).

    `crops` and `tints` hold, for every label, the score from which the likeliest label was right in
    at least `precision` of the cases. The crops were boxes of objects, moved a little, and as many
    windows laid at random, where the right label may be `nothing`; tints were judged on objects.

    `presence` is about whole pictures, at *even odds*: a category is taken to be as often present
    as absent, however rare it is among the pictures, because that is how questions are asked. So
    `present.precision` = t / (t + f) from the rates t, f of pictures with and without the category
    that reach the threshold; `absent.precision` likewise from those that stay below.

    The three `*_reliability` give the probability for any score; presence again at even odds.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights: str
    """First digits of the SHA-256 of the weights it was measured with."""
    split: Literal["calibrate"]
    pictures: int
    precision: float
    crops: dict[str, Rate]
    crops_reliability: Reliability
    tints: dict[str, Rate]
    tints_reliability: Reliability
    presence: dict[str, Presence]
    presence_reliability: Reliability

    @classmethod
    def load(cls, folder: Path) -> Self:
        return cls.model_validate_json((folder / "calibration.json").read_text(encoding="utf-8"))

    def sees(self, category: str, score: float) -> bool | None:
        """Does a picture's score settle that the category is there? None: it settles nothing."""
        presence = self.presence[category]
        if presence.present.threshold is not None and score >= presence.present.threshold:
            return True
        if presence.absent.threshold is not None and score < presence.absent.threshold:
            return False
        return None
