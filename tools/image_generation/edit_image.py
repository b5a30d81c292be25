"""Paint a part of a picture anew: `edit_image`."""

import math
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field, model_validator

from nuthatch.tools.base.tool import (
    Arguments,
    Context,
    DetectionRef,
    ImageRef,
    MaskRef,
    Tool,
    exactly_one_of,
)
from nuthatch.tools.faults import RetryCall
from nuthatch.tools.image_generation.generate_image import (
    STEP,
    Painted,
    Policy,
    Prompt,
    Seed,
    ask,
    painter_of,
    painting_faults,
    report,
    signed,
)
from nuthatch.tools.image_generation.recipe import STANDARD, Recipe
from nuthatch.tools.media.ingest import Pixels
from nuthatch.tools.output.provenance import provenance

CONTEXT = 0.25
"""Of a part's sides, added on each side: what stands around it tells how it should look."""


class EditImageArgs(Arguments):
    model_config = exactly_one_of("mask", "detection")

    image: ImageRef
    mask: MaskRef | None = Field(None, description="what to paint anew")
    detection: DetectionRef | None = Field(None, description="its box is painted anew")
    prompt: Prompt = Field(description="what the part shows afterwards")
    seed: Seed = Field(0, description="another seed, another picture")

    @model_validator(mode="after")
    def _one_region(self) -> Self:
        if (self.mask is None) == (self.detection is None):
            raise ValueError("give exactly one of mask and detection")
        return self


class EditImage(Tool[EditImageArgs, Painted]):
    """Repaint a part of a picture after a description.

    The part is the one that a mask or a detection shows.

    Inpainting with Stable Diffusion XL (arXiv:2307.01952), by the base model alone. The result is
    a new picture of the same size; outside the part every byte is as it was. The same arguments
    give the same picture. `policy` is asked twice, see `generate_image.Policy`.

    Raises:
        RetryCall: the part lies on another picture, or is empty.
        ToolUnavailable: weights or packages are missing, or there is not enough memory.
        ToolFailed: the policy refused, or the call was given up (looked for between steps).
    """

    name = "edit_image"
    effects = "writes_media"
    weights = ("generate_image",)
    timeout = 600.0
    Args = EditImageArgs
    Result = Painted

    def __init__(self, recipe: Recipe = STANDARD, *, policy: Policy | None = None) -> None:
        if int(recipe.steps * recipe.strength) < 1:
            raise ValueError(
                f"{recipe.steps} steps of strength {recipe.strength} make no whole step; take more"
            )
        self.recipe = recipe
        self.policy = policy

    def run(self, args: EditImageArgs, context: Context) -> Painted:
        pixels = context.media.image(args.image)
        part = _part(args, context)
        ask(self.policy, args.prompt)
        painter = painter_of(context)
        x1, y1, x2, y2 = window(part, painter.side)
        seen, inside = pixels[y1:y2, x1:x2], part[y1:y2, x1:x2]
        width, height = fit(x2 - x1, y2 - y1, painter.side)
        with painting_faults():
            repainted = painter.repaint(
                resize(seen, width, height),
                enlarge(inside, width, height, painter.cell),
                args.prompt,
                args.seed,
                recipe=self.recipe,
                check=context.check,
            )
        picture = pixels.copy()
        picture[y1:y2, x1:x2][inside] = resize(repainted, x2 - x1, y2 - y1)[inside]
        ask(self.policy, args.prompt, picture)
        painted = report(
            painter,
            args.prompt,
            self.recipe,
            self.policy,
            seeds=[args.seed],
            size=(pixels.shape[1], pixels.shape[0]),
            refined=False,
        )
        parents = (args.image, args.mask or args.detection or "")
        made = signed(self.name, args.prompt, args.seed, painted)
        made["edited"] = context.media[args.image].sha256
        texts = provenance("compositeWithTrainedAlgorithmicMedia", made)
        painted.images.append(context.add_image(picture, parents=parents, texts=texts).handle)
        return painted


def _part(args: EditImageArgs, context: Context) -> NDArray[np.bool_]:
    """The pixels to paint anew, (height, width).

    Raises:
        RetryCall: they lie on another picture, or there are none.
    """
    height, width = context.media.image(args.image).shape[:2]
    if args.mask is not None:
        item = context.media[args.mask]
        mask = context.media.mask(args.mask)
        if mask.size != (height, width) or (item.parents and args.image not in item.parents):
            lies_on = ", ".join(item.parents) or f"a picture of {mask.size[1]}x{mask.size[0]}"
            raise RetryCall(
                f"{args.mask} lies on {lies_on}, not on {args.image} ({width}x{height})"
            )
        part = mask.numpy()
    else:
        part = np.zeros((height, width), bool)
        for found in context.media.detections(args.detection or ""):
            if found.image != args.image:
                raise RetryCall(f"{found.handle} lies on {found.image}, not on {args.image}")
            x1, y1, x2, y2 = found.box.xyxy
            part[math.floor(y1) : math.ceil(y2), math.floor(x1) : math.ceil(x2)] = True
    if not part.any():
        raise RetryCall(f"{args.mask or args.detection} is empty; there is nothing to paint anew")
    return part


def window(part: NDArray[np.bool_], side: int) -> tuple[int, int, int, int]:
    """x1 y1 x2 y2 of what the model sees: the part, a margin, and at least `side` pixels each way
    where the picture has them."""
    sides: list[tuple[int, int]] = []
    for axis in (0, 1):  # columns, then rows
        length = part.shape[1 - axis]
        used = np.flatnonzero(part.any(axis=axis))
        low, high = int(used[0]), int(used[-1]) + 1
        wanted = min(length, max(side, math.ceil((high - low) * (1 + 2 * CONTEXT))))
        start = min(max(0, (low + high - wanted) // 2), length - wanted)
        sides.append((start, start + wanted))
    (x1, x2), (y1, y2) = sides
    return x1, y1, x2, y2


def fit(width: int, height: int, side: int) -> tuple[int, int]:
    """The size at which the model paints a window of this size: its own area, about the same
    shape, multiples of 8, no side longer than twice its own or shorter than a quarter of it."""
    scale = side / math.sqrt(width * height)

    def near(length: int) -> int:
        wanted = min(max(length * scale, side / 4), side * 2)
        return max(STEP, round(wanted / STEP) * STEP)

    return near(width), near(height)


def enlarge(part: NDArray[np.bool_], width: int, height: int, cell: int) -> NDArray[np.bool_]:
    """The part at the model's size, in whole latents: each one that the part touches, so that no
    part is too small to be painted."""
    for axis, pixels in enumerate((height, width)):
        length, cells = part.shape[axis], pixels // cell
        spans = [(n * length // cells, -(-(n + 1) * length // cells)) for n in range(cells)]
        touched = [part.take(range(*span), axis).any(axis) for span in spans]
        part = np.stack(touched, axis).repeat(cell, axis)
    return part


def resize(pixels: Pixels, width: int, height: int) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))
