"""Documents that are drawn by rules: charts, pages, as they are or before a camera, and screens.

Pictures are (H, W, 3) uint8 RGB, up to 1,000 pixels a side.
"""

import io
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from nuthatch.training.world.changes import cropped
from nuthatch.training.world.random_shapes import Field, Pixels, fractal, pixels, sides
from nuthatch.training.world.typesetting import Colour, colour, face, words


def chart(
    rng: np.random.Generator,
    kinds: Sequence[str] = (
        *("line", "bar", "scatter", "hist", "area", "line", "bar", "scatter"),
        *("stem", "errors", "rose", "arrows", "flow", "hexagons"),
    ),
) -> Pixels:
    """A chart as matplotlib draws it, in one of six styles."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    styles = ("default", "ggplot", "bmh", "classic", "dark_background", "seaborn-v0_8")
    with pyplot.style.context(styles[int(rng.integers(len(styles)))]):
        figure, axes = pyplot.subplots(
            figsize=(rng.uniform(3, 8), rng.uniform(2.5, 6)), dpi=int(rng.integers(50, 110))
        )
        _plot(axes, kinds[int(rng.integers(len(kinds)))], rng)
        axes.set_title(words(rng, 3))
        axes.set_xlabel(words(rng, 1))
        file = io.BytesIO()
        figure.savefig(file)
        pyplot.close(figure)
    return np.asarray(Image.open(file).convert("RGB"))


def _plot(axes: Any, kind: str, rng: np.random.Generator) -> None:
    number = int(rng.integers(4, 40))
    x = np.arange(number)
    plots: dict[str, Callable[[], object]] = {
        "line": lambda: axes.plot(x, rng.normal(size=(number, int(rng.integers(1, 5)))).cumsum(0)),
        "bar": lambda: axes.bar(x[:12], rng.random(min(number, 12)), color=_shades(rng, 12)),
        "scatter": lambda: axes.scatter(
            *rng.normal(size=(2, 5 * number)), s=rng.uniform(5, 80), c=rng.random(5 * number)
        ),
        "hist": lambda: axes.hist(rng.normal(size=(300, 2)), bins=20),
        "area": lambda: axes.stackplot(x, rng.random((3, number))),
        "stem": lambda: axes.stem(x, rng.normal(size=number).cumsum()),
        "errors": lambda: axes.errorbar(x, rng.random(number), rng.random(number), fmt="o"),
        "rose": lambda: axes.fill(*_rose(rng), color=_shade(rng), alpha=0.7),
        "arrows": lambda: axes.quiver(*rng.normal(size=(2, 9, 12)), rng.random((9, 12))),
        "flow": lambda: axes.streamplot(
            np.arange(30), np.arange(30), *(fractal(rng, 30, 30, 2.5) for _ in range(2))
        ),
        "hexagons": lambda: axes.hexbin(
            *rng.normal(size=(2, 2000)), gridsize=int(rng.integers(8, 40)), cmap=ramp_name(rng)
        ),
        "pie": lambda: axes.pie(rng.random(5) + 0.2, labels=words(rng, 5).split()),
        "heat map": lambda: axes.imshow(rng.random((8, 10)), cmap="viridis"),
        "box": lambda: axes.boxplot([rng.normal(size=30) for _ in range(5)]),
        "contour": lambda: axes.contourf(fractal(rng, 60, 60, 2), cmap="coolwarm"),
    }
    plots[kind]()


def _rose(rng: np.random.Generator) -> Field:
    turns = np.linspace(0, 2 * math.pi, 300)
    far = 1 + rng.random() * np.cos(int(rng.integers(2, 9)) * turns)
    rose: Field = np.stack([far * np.cos(turns), far * np.sin(turns)])
    return rose


_RAMPS = ("magma", "cividis", "Greys", "YlOrRd", "terrain", "Spectral", "BrBG", "tab10", "Blues")


def ramp_name(rng: np.random.Generator) -> str:
    """A colour map of matplotlib."""
    return _RAMPS[int(rng.integers(len(_RAMPS)))]


def _shades(rng: np.random.Generator, number: int) -> list[str] | None:
    if rng.random() < 0.5:
        return None
    return [_shade(rng) for _ in range(number)]


def _shade(rng: np.random.Generator) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour(rng))


def page(rng: np.random.Generator) -> Pixels:
    """A page of text, dark on light or the reverse."""
    width, height = sides(rng, 350)
    dark = rng.random() < 0.15
    image = Image.new("RGB", (width, height), colour(rng, 0, 50) if dark else colour(rng, 235))
    draw, ink = ImageDraw.Draw(image), colour(rng, 200) if dark else colour(rng, 0, 70)
    size, margin = int(rng.integers(9, 26)), int(rng.uniform(0.03, 0.12) * width)
    font, y = face(rng, size), 2.0 * size
    draw.text((margin, y), words(rng, 3), fill=ink, font=face(rng, 1.8 * size))
    y += 3 * size
    letters = max(1, int((width - 2 * margin) / (0.6 * size)))
    while y < height - 2 * size:
        line = words(rng, 1 + letters // 5)[: letters if rng.random() > 0.1 else letters // 2]
        draw.text((margin, y), line, fill=ink, font=font)
        y += size * rng.uniform(1.2, 1.5) * (2 if rng.random() < 0.1 else 1)
    return np.asarray(image)


def lit_page(rng: np.random.Generator) -> Pixels:
    """A page as a camera shows it: part of it, under uneven light, a little turned and soft."""
    sheet = Image.fromarray(cropped(page(rng), rng, 0.35)).convert("L")
    sheet.thumbnail((420, 420))
    sheet = sheet.rotate(
        rng.normal(0, 2), Image.Resampling.BILINEAR, fillcolor=sheet.getpixel((0, 0))
    )
    soft = sheet.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.3)))
    values = np.asarray(soft, np.float64)
    height, width = values.shape
    across, down = (np.linspace(-1, 1, side) for side in (width, height))
    light = rng.uniform(0.5, 0.95) + np.add.outer(
        down * rng.normal(0, 0.15), across * rng.normal(0, 0.15)
    )
    light += 0.04 * rng.random() * fractal(rng, height, width, 2.0)
    values = values * np.clip(light, 0.1, 1) + rng.normal(0, rng.uniform(0, 5), values.shape)
    tint = rng.uniform(0.85, 1, 3) if rng.random() < 0.5 else np.ones(3)
    return pixels(values[..., None] * tint)


def screen(rng: np.random.Generator) -> Pixels:
    """A window of a program: a title bar, a list at its side, lines and buttons."""
    width, height = int(rng.integers(500, 1000)), int(rng.integers(350, 800))
    dark = rng.random() < 0.35
    paper = colour(rng, 20, 60) if dark else colour(rng, 225)
    ink: Colour = (220, 220, 225) if dark else (30, 30, 35)
    shade = tuple(each + 20 if dark else each - 25 for each in paper)
    image = Image.new("RGB", (width, height), paper)
    draw, font = ImageDraw.Draw(image), face(rng, int(rng.integers(10, 18)))
    draw.rectangle((0, 0, width, 36), fill=colour(rng, 60, 230))
    for button in range(3):
        draw.ellipse((12 + 22 * button, 12, 24 + 22 * button, 24), fill=colour(rng, 90))
    left = int(rng.uniform(0.15, 0.3) * width)
    draw.rectangle((0, 36, left, height), fill=shade)
    for y in range(50, height - 20, int(rng.integers(22, 46))):
        draw.text((14, y), words(rng, 2)[:18], fill=ink, font=font)
        right = left + 20 + rng.uniform(0.2, 0.65) * width
        if rng.random() < 0.6:
            fill = colour(rng, 90) if rng.random() < 0.3 else shade
            draw.rounded_rectangle((left + 20, y, right, y + 18), 4, fill=fill)
        if rng.random() < 0.6:
            draw.text((left + 28, y), words(rng, 5), fill=ink, font=font)
    for _ in range(int(rng.integers(0, 5))):
        x1, y1 = rng.uniform(left, width - 80), rng.uniform(50, height - 60)
        box = (x1, y1, x1 + rng.uniform(40, 160), y1 + rng.uniform(24, 80))
        draw.rounded_rectangle(box, 6, fill=colour(rng), outline=ink)
    return np.asarray(image)
