"""What the tagger is trained on: crops of scenes with the label of what they show, and their looks.

It sees objects loosely cut out, tiles laid at random (most show parts of things, or nothing), and,
so that it does not rest on two styles of drawing, strongly altered appearances. Besides scenes,
where one category comes up to six times, it sees crowds, where every object is of another category:
their crops teach more, because no two are alike.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from nuthatch.tools.media.types import Pixels
from nuthatch.tools.tagging.taggers import (
    CROP_SIDE,
    LABELS,
    NOTHING,
    PLAIN,
    TILE_SIDES,
    TINT_LABELS,
    Box4,
    cut,
)
from nuthatch.training.world.crowds import crowd
from nuthatch.training.world.scenes import Scene, make_scene

IGNORED = -100
"""The class index that cross entropy leaves out."""
SEEN_FROM, HIDDEN_BELOW = 0.6, 0.35
"""Shares of an object's visible pixels inside a window: from the first the window shows it, below
the second it does not; windows in between are not used."""
NOTHING_SHOWN, AMBIGUOUS = -1, -2


def batch(
    seeds: range, crowds: int, tiles: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Crops (n, CROP_SIDE, CROP_SIDE, 3), label indices (n,) and tint indices (n,).

    Of scenes with these seeds and of `crowds` crowds: all objects, and `tiles` tiles each.
    """
    crops, labels = [], []
    scenes = [make_scene(seed, "train", size=256 if rng.random() < 0.2 else 128) for seed in seeds]
    for scene in [*scenes, *(crowd(rng) for _ in range(crowds))]:
        image = outlined(scene, rng) if rng.random() < 0.25 else scene.image
        windows, shown = zip(*_windows(scene, tiles, rng), strict=True)
        crops.append(cut(image, np.array(windows)))
        labels += [label_of(scene, index) for index in shown]
        if rng.random() < 0.4:
            index = int(rng.integers(len(scene.objects)))
            crops.append(_cut_out(image, scene.objects[index].box))
            labels.append(label_of(scene, index))
    categories, tints = np.array(labels).T
    return np.concatenate(crops), categories, tints


def label_of(scene: Scene, index: int) -> tuple[int, int]:
    """Label and tint index of a window that shows `objects[index]`, or `NOTHING_SHOWN`."""
    if index == NOTHING_SHOWN:
        return LABELS.index(NOTHING), IGNORED
    shown = scene.objects[index]
    return LABELS.index(shown.category), TINT_LABELS.index(shown.tint or PLAIN)


def _cut_out(image: Pixels, box: Box4) -> NDArray[np.uint8]:
    """(1, S, S, 3) the object without its surroundings, as a user's own crop would come."""
    x1, y1, x2, y2 = (round(side) for side in box)
    tight = image[y1:y2, x1:x2]
    half = max(x2 - x1, y2 - y1) / 2
    x, y = (x2 - x1) / 2, (y2 - y1) / 2
    return cut(tight, np.array([[x - half, y - half, x + half, y + half]]))


def _windows(scene: Scene, tiles: int, rng: np.random.Generator) -> Iterator[tuple[Box4, int]]:
    """Windows, and the index of the object that each shows: loose cuts of objects, then tiles."""
    order = rng.permutation(len(scene.objects))[:8]
    for index in order.tolist():
        x1, y1, x2, y2 = scene.objects[index].box
        longer = max(x2 - x1, y2 - y1)
        x, y = (x1 + x2) / 2, (y1 + y2) / 2
        x, y = np.array([x, y]) + rng.uniform(-0.12, 0.12, 2) * longer
        width, height = longer * rng.uniform(0.95, 1.55) * rng.uniform(0.85, 1.18, 2) / 2
        yield (x - width, y - height, x + width, y + height), index
    for _ in range(tiles):
        side = scene.size * rng.choice(TILE_SIDES) * rng.uniform(0.85, 1.15)
        x, y = rng.uniform(0, scene.size - side, 2)
        window = (x, y, x + side, y + side)
        shown = shown_in(scene, window)
        if shown != AMBIGUOUS:
            yield window, shown


def shown_in(scene: Scene, window: Box4) -> int:
    """Index of the object that a window shows, `NOTHING_SHOWN`, or `AMBIGUOUS`.

    The object with most pixels in the window is shown if its centre and enough of it are inside;
    nothing is shown where no object has more than a small part of itself inside.
    """
    inside = pixels_inside(scene, window)
    if not inside.any():
        return NOTHING_SHOWN
    share = inside / np.bincount(scene.instances.ravel(), minlength=len(inside) + 1)[1:]
    if share.max() < HIDDEN_BELOW:
        return NOTHING_SHOWN
    most = int(inside.argmax())
    x, y = scene.objects[most].centre
    centred = window[0] <= x < window[2] and window[1] <= y < window[3]
    return most if centred and share[most] >= SEEN_FROM else AMBIGUOUS


def shows_only(scene: Scene, window: Box4, index: int) -> bool:
    """Whether `objects[index]` is alone there: others have a tenth as many pixels, at most."""
    inside = pixels_inside(scene, window)
    return bool(inside.sum() - inside[index] <= inside[index] / 10)


def pixels_inside(scene: Scene, window: Box4) -> NDArray[np.int64]:
    """(objects,) visible pixels of each object in the window."""
    x1, y1, x2, y2 = (max(0, round(side)) for side in window)
    count = len(scene.objects) + 1
    return np.bincount(scene.instances[y1:y2, x1:x2].ravel(), minlength=count)[1:]


def outlined(scene: Scene, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The picture with a dark line around every object, as in line drawings."""
    ids = scene.instances
    edge = np.zeros(ids.shape, bool)
    for axis in (0, 1):
        for step in (-1, 1):
            edge |= ids != np.roll(ids, step, axis)
    if rng.random() < 0.5:
        edge &= ids > 0
    ink = rng.uniform(0, 60, 3)
    strength = rng.uniform(0.5, 1.0)
    image = scene.image.astype(np.float32)
    image[edge] += strength * (ink - image[edge])
    return image.astype(np.uint8)


def alter(crops: Tensor, recoloured: float) -> tuple[Tensor, Tensor]:
    """Random appearances of (n, 3, S, S) crops, 0 to 255; also says (n,) which were recoloured.

    Every change strikes each crop with its own chance: hue, saturation and gains (recolouring),
    brightness and contrast, blur, drawn edges, few levels of colour, noise, an erased rectangle.
    """
    n = len(crops)
    struck = torch.rand(n) < recoloured
    crops = torch.where(struck.view(n, 1, 1, 1), _recolour(crops), crops)

    def chance(part: float) -> Tensor:
        return (torch.rand(n, 1, 1, 1) < part).float()

    def between(low: float, high: float) -> Tensor:
        return torch.empty(n, 1, 1, 1).uniform_(low, high)

    middle = crops.mean(dim=(1, 2, 3), keepdim=True)
    crops = (middle + (crops - middle) * between(0.85, 1.15)) * between(0.88, 1.12)
    blurred = functional.avg_pool2d(crops, 3, stride=1, padding=1, count_include_pad=False)
    edges = (crops - blurred).abs().mean(dim=1, keepdim=True)
    crops = crops - chance(0.15) * between(1.0, 4.0) * edges
    crops = crops + chance(0.2) * between(0.3, 1.0) * (blurred - crops)
    level = between(40, 90)
    crops = crops + chance(0.1) * ((crops / level).round() * level - crops)
    crops = crops + chance(0.3) * between(0, 14) * torch.randn_like(crops)
    crops = crops + chance(0.15) * _rectangles(n) * (torch.rand(n, 3, 1, 1) * 255 - crops)
    return crops.clamp(0, 255), struck


def _recolour(crops: Tensor) -> Tensor:
    """Turn the hue by any angle, change the saturation and the gain of each channel."""
    n = len(crops)
    angle = torch.rand(n) * 2 * torch.pi
    # Rodrigues' rotation about the grey axis, then a pull towards or away from grey.
    cosine, sine = angle.cos().view(n, 1, 1), angle.sin().view(n, 1, 1) / 3**0.5
    grey = torch.full((3, 3), 1 / 3)
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    turn = cosine * torch.eye(3) + sine * cross + (1 - cosine) * grey
    saturation = torch.empty(n, 1, 1).uniform_(0, 1.6)
    matrix = grey + saturation * (turn - grey)
    gains = torch.empty(n, 3, 1).uniform_(0.75, 1.25)
    mixed: Tensor = ((gains * matrix) @ crops.flatten(2)).view_as(crops)
    return mixed


def _rectangles(n: int) -> Tensor:
    """(n, 1, S, S) masks of one random rectangle each."""
    start = torch.rand(n, 2, 1) * 0.8
    end = start + torch.empty(n, 2, 1).uniform_(0.15, 0.45)
    place = torch.linspace(0, 1, CROP_SIDE)
    inside = ((place >= start) & (place < end)).float()
    return (inside[:, 0, :, None] * inside[:, 1, None, :])[:, None]
