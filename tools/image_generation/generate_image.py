"""Paint pictures from words: `generate_image`; and what every tool that paints has in common."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, Field

from nuthatch.tools.base.tool import FOR_PEOPLE, Arguments, Context, Tool
from nuthatch.tools.faults import RetryCall, ToolFailed, ToolUnavailable
from nuthatch.tools.image_generation.recipe import STANDARD, Recipe
from nuthatch.tools.media.ingest import Pixels
from nuthatch.tools.output.provenance import provenance

if TYPE_CHECKING:
    from nuthatch.tools.image_generation.sdxl import Painter

STEP = 8
"""Sides are multiples of this: the autoencoder halves them three times."""
LARGEST_SIDE = 1536

Policy = Callable[[str, Pixels | None], str | None]
"""Asked with the prompt alone before anything is painted, and with prompt and picture, (H, W, 3)
uint8 RGB, before a picture is kept; it answers why not, or None to allow."""


def _is_not_blank(prompt: str) -> str:
    if not prompt.strip():
        raise ValueError("the prompt is blank; say what to paint")
    return prompt


def _is_a_multiple(side: int) -> int:
    if side % STEP:
        below = side - side % STEP
        raise ValueError(f"{side} is no multiple of {STEP}; take {below} or {below + STEP}")
    return side


Prompt = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_is_not_blank)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Side = Annotated[
    int,
    Field(ge=32, le=LARGEST_SIDE, json_schema_extra={"multipleOf": STEP}),
    AfterValidator(_is_a_multiple),
]


class GenerateImageArgs(Arguments):
    prompt: Prompt = Field(description="what the picture shows")
    width: Side | None = Field(None, description="pixels; default: the model's own size")
    height: Side | None = Field(None, description="pixels; default: the model's own size")
    seed: Seed = Field(0, description="another seed, another picture")
    n: int = Field(1, ge=1, le=4, description="how many pictures")


class Painted(BaseModel):
    """New pictures, and all that is needed to paint them again."""

    images: list[str]  # handles
    seeds: list[int]  # one a picture; given as `seed`, it paints that picture alone
    width: Annotated[int, FOR_PEOPLE]
    height: Annotated[int, FOR_PEOPLE]
    prompt_tokens: Annotated[int, FOR_PEOPLE]  # with those that mark its start and end
    prompt_truncated: Annotated[bool, FOR_PEOPLE]  # the model reads the first 77 tokens and no more
    model: Annotated[str, FOR_PEOPLE]  # with the first digits of the weights' SHA-256
    steps: Annotated[int, FOR_PEOPLE]
    guidance: Annotated[float, FOR_PEOPLE]
    negative_prompt: Annotated[str | None, FOR_PEOPLE]
    refined: Annotated[bool, FOR_PEOPLE]  # the last fifth of the noise was removed by a refiner
    policy: Annotated[Literal["none", "allowed"], FOR_PEOPLE]

    def in_short(self) -> str:
        """For people: `image_2, image_3, 1024x1024`."""
        return f"{', '.join(self.images)}, {self.width}x{self.height}"


class GenerateImage(Tool[GenerateImageArgs, Painted]):
    """Make new pictures from a description.

    Stable Diffusion XL (arXiv:2307.01952). The same arguments give the same pictures. `policy` is
    asked twice, see `Policy`; if it refuses one picture, none is kept.

    Raises:
        RetryCall: the model does not paint that size.
        ToolUnavailable: weights or packages are missing, or there is not enough memory.
        ToolFailed: the policy refused, or the call was given up (looked for between steps).
    """

    name = "generate_image"
    effects = "writes_media"
    weights = ("generate_image",)
    timeout = 600.0
    Args = GenerateImageArgs
    Result = Painted

    def __init__(self, recipe: Recipe = STANDARD, *, policy: Policy | None = None) -> None:
        self.recipe = recipe
        self.policy = policy

    def run(self, args: GenerateImageArgs, context: Context) -> Painted:
        ask(self.policy, args.prompt)
        painter = painter_of(context)
        width, height = args.width or painter.side, args.height or painter.side
        _check_size(width, height, painter.side)
        seeds = [seed_of(args.seed, index) for index in range(args.n)]
        with painting_faults():
            pictures = painter.paint(
                args.prompt,
                seeds,
                width=width,
                height=height,
                recipe=self.recipe,
                check=context.check,
            )
        for picture in pictures:
            ask(self.policy, args.prompt, picture)
        painted = report(
            painter,
            args.prompt,
            self.recipe,
            self.policy,
            seeds=seeds,
            size=(width, height),
            refined=painter.refines(self.recipe),
        )
        for seed, picture in zip(seeds, pictures, strict=True):
            made = signed(self.name, args.prompt, seed, painted)
            texts = provenance("trainedAlgorithmicMedia", made)
            painted.images.append(context.add_image(picture, parents=(), texts=texts).handle)
        return painted


def signed(tool: str, prompt: str, seed: int, painted: Painted) -> dict[str, Any]:
    """What one picture's file says of its making."""
    settings = {"model", "steps", "guidance", "negative_prompt", "refined", "width", "height"}
    return {"tool": tool, "prompt": prompt, "seed": seed, **painted.model_dump(include=settings)}


def report(
    painter: "Painter",
    prompt: str,
    recipe: Recipe,
    policy: Policy | None,
    *,
    seeds: list[int],
    size: tuple[int, int],
    refined: bool,
) -> Painted:
    """What a tool says of the pictures it painted, which are to be kept yet; `size` is
    (width, height).
    """
    length = painter.length(prompt)
    return Painted(
        images=[],
        seeds=seeds,
        width=size[0],
        height=size[1],
        prompt_tokens=length.tokens,
        prompt_truncated=length.is_truncated,
        model=painter.model_id,
        steps=recipe.steps,
        guidance=recipe.guidance,
        negative_prompt=recipe.negative_prompt,
        refined=refined,
        policy="none" if policy is None else "allowed",
    )


def seed_of(seed: int, index: int) -> int:
    """The seed of one picture of several: that of the first is the call's own."""
    return int(np.random.SeedSequence((seed, index)).generate_state(1)[0]) if index else seed


def ask(policy: Policy | None, prompt: str, picture: Pixels | None = None) -> None:
    """Go on only if the policy allows it.

    Raises:
        ToolFailed: it refused; the message says why.
    """
    why_not = policy(prompt, picture) if policy is not None else None
    if why_not is not None:
        what = "prompt" if picture is None else "picture"
        raise ToolFailed(f"the policy refused this {what}: {why_not}", "refused")


def painter_of(context: Context) -> "Painter":
    """The painter of this installation.

    Raises:
        ToolUnavailable: there is none, or it cannot be loaded; the message says what to do.
    """
    try:
        painter: Painter = context.weights.get(GenerateImage.name)
        return painter
    except ToolUnavailable as fault:
        if fault.code != "weights_missing" or context.weights.status(GenerateImage.name).present:
            raise
        raise ToolUnavailable(
            "none ships with the package, since a painter small enough paints nothing that can be "
            f"recognised, and {fault.message}; or a folder as diffusers saves Stable Diffusion XL "
            "(model_index.json, safetensors), a refiner in its sub-folder refiner"
        ) from fault


@contextmanager
def painting_faults() -> Iterator[None]:
    """A painter's own errors as a tool's.

    Raises:
        ToolUnavailable: the picture does not fit into memory, or holds numbers that are not finite.
    """
    try:
        yield
    except MemoryError as error:
        raise ToolUnavailable(str(error), "out_of_memory") from error
    except FloatingPointError as error:
        raise ToolUnavailable(str(error)) from error


def _check_size(width: int, height: int, side: int) -> None:
    least, most = side // 2, min(side * 3 // 2, LARGEST_SIDE)
    if not (least <= width <= most and least <= height <= most):
        raise RetryCall(
            f"{width}x{height} is not a size that this model paints; take {least} to {most} pixels "
            f"a side, {side}x{side} is best",
            "limit_exceeded",
        )
