"""How a picture becomes a detector's input, and boxes come back from it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pictures
from torch import Tensor

from nuthatch.tools.media.types import Pixels


@dataclass(frozen=True)
class Framing:
    """The fields that transformers' own image processors write to `preprocessor_config.json`.

    With `height` and `width` a picture is scaled to fit and padded with the mean colour to that
    very size; with `shortest_edge` and `longest_edge` it is scaled, and padded at the right and
    bottom to the largest of its batch, under a mask.
    """

    size: dict[str, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file."""
        given = json.loads(path.read_text(encoding="utf-8"))
        return cls(given["size"], tuple(given["image_mean"]), tuple(given["image_std"]))

    def save(self, path: Path) -> None:
        """Write the file."""
        fields = {"size": self.size, "image_mean": self.mean, "image_std": self.std}
        path.write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")

    @property
    def fixed(self) -> bool:
        """Whether every input has the same size."""
        return "height" in self.size

    def tensor(self, images: Sequence[Pixels]) -> tuple[Tensor, Tensor, list[tuple[int, int]]]:
        """Input (B, 3, H, W), its mask (B, H, W), and each picture's (height, width) in it."""
        sizes = [self._scaled(*image.shape[:2]) for image in images]
        if self.fixed:
            high, wide = self.size["height"], self.size["width"]
        else:
            high, wide = max(each[0] for each in sizes), max(each[1] for each in sizes)
        values = torch.zeros(len(images), 3, high, wide)
        mask = torch.zeros(len(images), high, wide, dtype=torch.long)
        for index, (image, (height, width)) in enumerate(zip(images, sizes, strict=True)):
            resized = _resize(image, (height, width))
            values[index, :, :height, :width] = self.normalise(
                torch.tensor(resized[None]).permute(0, 3, 1, 2).float() / 255
            )[0]
            mask[index, :height, :width] = 1
        # Padding of a fixed size counts as picture, as it did in training.
        return values, torch.ones_like(mask) if self.fixed else mask, sizes

    def normalise(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) of 0 to 1: the mean taken off, divided by the deviation."""
        mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in (self.mean, self.std))
        return (images - mean) / std

    def pixels(self, boxes: Tensor, image: Pixels, inside: tuple[int, int]) -> NDArray[np.float32]:
        """Boxes (N, 4) as the network gives them to x1 y1 x2 y2 in pixels of the picture, clipped.

        Args:
            boxes: centre x, y, width, height as shares of what counts as picture for the network.
            image: the picture.
            inside: its (height, width) in the network's input.
        """
        height, width = image.shape[:2]
        high, wide = (self.size["height"], self.size["width"]) if self.fixed else inside
        across, down = wide * width / inside[1], high * height / inside[0]
        x, y, half_width, half_height = (boxes * torch.tensor([1, 1, 0.5, 0.5])).unbind(-1)
        corners = torch.stack(
            [
                ((x - half_width) * across).clamp(0, width),
                ((y - half_height) * down).clamp(0, height),
                ((x + half_width) * across).clamp(0, width),
                ((y + half_height) * down).clamp(0, height),
            ],
            -1,
        )
        found: NDArray[np.float32] = corners.numpy()
        return found

    def _scaled(self, height: int, width: int) -> tuple[int, int]:
        if self.fixed:
            scale = min(self.size["height"] / height, self.size["width"] / width)
        else:
            scale = min(
                self.size["shortest_edge"] / min(height, width),
                self.size["longest_edge"] / max(height, width),
            )
        return max(1, round(height * scale)), max(1, round(width * scale))


def _resize(image: Pixels, size: tuple[int, int]) -> Pixels:
    if image.shape[:2] == size:
        return image
    resized = Pictures.fromarray(image).resize(size[::-1], Pictures.Resampling.BILINEAR)
    return np.asarray(resized, np.uint8)
