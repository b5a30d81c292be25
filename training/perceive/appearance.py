"""Changes of appearance that leave boxes and names as they are.

The miniature world knows two drawing styles; a model that has seen only those learns their colours
and outlines instead of shapes. Every picture of a batch gets its own mix of: other colours (hue,
saturation, contrast, brightness), dark contours, flat colours, blur or sharpening, and grain.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

_LUMA = torch.tensor([0.299, 0.587, 0.114])
_RGB_TO_YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_YIQ_TO_RGB = torch.linalg.inv(_RGB_TO_YIQ)

Draw = Callable[[float, float], Tensor]
"""A random number between two for every picture, (B, 1, 1, 1)."""
Chosen = Callable[[float], Tensor]
"""1 for about this share of the pictures, else 0, (B, 1, 1, 1)."""


def vary_appearance(images: Tensor, generator: torch.Generator) -> Tensor:
    """Another look for every picture; (B, 3, H, W) floats of 0 to 1, in and out."""
    count = len(images)

    def draw(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, 1, 1, 1, generator=generator)

    def chosen(probability: float) -> Tensor:
        return (torch.rand(count, 1, 1, 1, generator=generator) < probability).float()

    images = _recolour(images, draw, chosen)
    images = images * (1 - _contours(images) * draw(0.3, 1.0) * chosen(0.35))
    steps = draw(3, 8).round()
    flat = (images * steps).round() / steps
    images = images + (flat - images) * chosen(0.15)
    soft = functional.avg_pool2d(functional.pad(images, (1, 1, 1, 1), mode="replicate"), 3, 1)
    # Towards the mean of the neighbours is blur, away from it sharpening.
    images = images + (soft - images) * draw(-1.0, 1.0) * chosen(0.4)
    grain = torch.randn(images.shape, generator=generator)
    images = images + grain * draw(0.0, 0.06) * chosen(0.3)
    return images.clamp(0, 1)


def _recolour(images: Tensor, draw: Draw, chosen: Chosen) -> Tensor:
    """Turn the hue, scale saturation and contrast, shift brightness: one 3x3 matrix a picture."""
    strong = chosen(0.3)
    angle = (draw(-0.15, 0.15) + strong * draw(-math.pi, math.pi)).view(-1)
    saturation = (draw(0.6, 1.4) * (1 - chosen(0.12))).view(-1)
    cosine, sine = angle.cos() * saturation, angle.sin() * saturation
    turn = torch.zeros(len(images), 3, 3)
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = cosine
    turn[:, 1, 2], turn[:, 2, 1] = -sine, sine
    matrix = _YIQ_TO_RGB @ turn @ _RGB_TO_YIQ
    recoloured = torch.einsum("brc,bchw->brhw", matrix, images)
    mean = recoloured.mean((1, 2, 3), keepdim=True)
    return (mean + (recoloured - mean) * draw(0.6, 1.3) + draw(-0.15, 0.15)).clamp(0, 1)


def _contours(images: Tensor) -> Tensor:
    """How much every pixel is an edge, 0 to 1 (B, 1, H, W): the range of its neighbourhood."""
    luma = torch.einsum("c,bchw->bhw", _LUMA, images)[:, None]
    high = functional.max_pool2d(luma, 3, 1, 1)
    low = -functional.max_pool2d(-luma, 3, 1, 1)
    contours: Tensor = ((high - low - 0.15) * 4).clamp(0, 1)
    return contours
