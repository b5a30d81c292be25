"""Pictures that are not of the miniature world, drawn by rules: what a domain check learns from.

Pictures are (H, W, 3) uint8 RGB, up to 1,000 pixels a side. Other kinds, for measuring, are in
`training.evaluate.outside`; photographs come from scikit-image, a development dependency.
"""

import io
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from nuthatch.tools.vocabulary import CATEGORIES
from nuthatch.training.world import atlas
from nuthatch.training.world.changes import cropped, resized
from nuthatch.training.world.layout import _background
from nuthatch.training.world.scenes import _paint_background
from nuthatch.training.world.typesetting import Colour, colour, face, words

Pixels = NDArray[np.uint8]
Kind = Callable[[np.random.Generator], Pixels]
Field = NDArray[np.float64]


def sides(rng: np.random.Generator, low: int = 200, high: int = 900) -> tuple[int, int]:
    """Width and height in pixels, seldom further apart than 2 to 1."""
    width = int(rng.integers(low, high))
    return width, int(np.clip(width * math.exp(rng.normal(0, 0.35)), low, high))


def fractal(rng: np.random.Generator, height: int, width: int, falloff: float) -> Field:
    """Noise whose spectrum falls with this power of the frequency; mean 0, deviation 1."""
    across, down = np.meshgrid(np.fft.fftfreq(width), np.fft.fftfreq(height))
    frequency = np.hypot(across, down)
    frequency[0, 0] = 1
    spectrum = np.fft.fft2(rng.normal(size=(height, width))) / frequency**falloff
    raw = np.fft.ifft2(spectrum).real
    field: Field = (raw - raw.mean()) / raw.std()
    return field


def noise(rng: np.random.Generator) -> Pixels:
    """White, grey, or fractal noise, in colour or not."""
    width, height = sides(rng, 64, 400)
    kind = int(rng.integers(4))
    if kind == 0:
        return rng.integers(0, 256, (height, width, 3), np.uint8)
    if kind == 1:
        grey = rng.normal(rng.uniform(60, 190), rng.uniform(10, 70), (height, width, 1))
        return _pixels(grey.repeat(3, 2))
    falloff = rng.uniform(0.6, 2.4)
    channels = [fractal(rng, height, width, falloff) for _ in range(3 if kind == 2 else 1)]
    field = np.stack(channels if kind == 2 else channels * 3, axis=2)
    return _pixels(field * rng.uniform(20, 60) + rng.uniform(60, 190, 3))


def leaves(rng: np.random.Generator) -> Pixels:
    """Shapes of all sizes in front of each other, textured and shaded (the "dead leaves" model of
    natural images, Lee et al. 2001)."""
    side = 128
    textures = [fractal(rng, side, side, falloff) for falloff in (0.9, 1.4, 2.0)]
    picture = np.zeros((side, side, 3))
    axis = np.linspace(-1, 1, side)
    for _ in range(int(rng.integers(15, 80))):
        radius = min(side, 4 / max(1e-3, rng.random()) ** 0.7) * rng.uniform(0.7, 2)
        stencil = Image.new("L", (side, side))
        draw, (x, y) = ImageDraw.Draw(stencil), rng.uniform(-20, side + 20, 2)
        if rng.random() < 0.33:
            draw.ellipse((x - radius, y - 0.7 * radius, x + radius, y + 0.7 * radius), fill=255)
        else:
            draw.polygon(_around(rng, x, y, radius), fill=255)
        soft = stencil.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 2)))
        cover = np.asarray(soft, np.float64)[..., None] / 255
        shade = np.add.outer(axis * rng.normal() * 30, axis * rng.normal() * 30)
        texture = rng.uniform(0, 25) * textures[int(rng.integers(3))]
        leaf = np.array(colour(rng)) * rng.uniform(0.3, 1) + (texture + shade)[..., None]
        picture = picture * (1 - cover) + leaf * cover
    return _pixels(picture + rng.normal(0, rng.uniform(0, 8), picture.shape))


def chart(
    rng: np.random.Generator, kinds: Sequence[str] = ("line", "bar", "scatter", "hist", "area")
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
        "pie": lambda: axes.pie(rng.random(5) + 0.2, labels=words(rng, 5).split()),
        "heat map": lambda: axes.imshow(rng.random((8, 10)), cmap="viridis"),
        "box": lambda: axes.boxplot([rng.normal(size=30) for _ in range(5)]),
        "contour": lambda: axes.contourf(fractal(rng, 60, 60, 2), cmap="coolwarm"),
    }
    plots[kind]()


def _shades(rng: np.random.Generator, number: int) -> list[str] | None:
    if rng.random() < 0.5:
        return None
    return ["#{:02x}{:02x}{:02x}".format(*colour(rng)) for _ in range(number)]


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


def shapes(rng: np.random.Generator) -> Pixels:
    """A flat drawing: some shapes in plain colours, outlined or not."""
    side = 300
    image = Image.new("RGB", (side, side), colour(rng, 120))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(1, 14))):
        (x, y), a, b = rng.uniform(0, side, 2), *rng.uniform(8, 110, 2)
        fill, width = colour(rng), int(rng.integers(1, 6))
        outline = colour(rng, 0, 80) if rng.random() < 0.5 else None
        box = (x - a, y - b, x + a, y + b)
        kind = int(rng.integers(5))
        if kind == 0:
            draw.ellipse(box, fill=fill, outline=outline, width=width)
        elif kind == 1:
            draw.rectangle(box, fill=fill, outline=outline, width=width)
        elif kind == 2:
            draw.polygon(_around(rng, x, y, a), fill=fill, outline=outline)
        elif kind == 3:
            ends = [(float(u), float(v)) for u, v in rng.uniform(0, side, (4, 2))]
            draw.line(ends, fill=fill, width=2 * width)
        else:
            start, end = sorted(rng.uniform(0, 360, 2).tolist())
            draw.arc(box, start, end, fill=fill, width=2 * width)
    return np.asarray(image)


def strokes(rng: np.random.Generator) -> Pixels:
    """A drawing of lines on paper."""
    width, height = sides(rng, 200, 500)
    image = Image.new("RGB", (width, height), colour(rng, 225))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(3, 40))):
        steps = rng.normal(0, rng.uniform(4, 25), (int(rng.integers(3, 30)), 2)).cumsum(0)
        points = steps + rng.uniform(0, [width, height])
        ink = colour(rng, 0, 120) if rng.random() < 0.3 else (30, 30, 30)
        draw.line(
            [tuple(each) for each in points.tolist()], fill=ink, width=int(rng.integers(1, 5))
        )
    return np.asarray(image)


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


def glyphs(rng: np.random.Generator) -> Pixels:
    """One to three emoji on white, black or grey, as in documents; no scene has such a ground."""
    side = 256
    shade = (255, 255, 255, 0, int(rng.integers(256)))[int(rng.integers(5))]
    image = Image.new("RGB", (side, side), (shade,) * 3)
    for _ in range(int(rng.choice(3, p=(0.7, 0.2, 0.1))) + 1):
        large = int(rng.uniform(0.2, 0.95) * side)
        style = atlas.SHIPPED_STYLES[int(rng.integers(len(atlas.SHIPPED_STYLES)))]
        name = f"{CATEGORIES[int(rng.integers(len(CATEGORIES)))]}/0"
        glyph = atlas.load(style).straight(name).resize((large, large))
        if rng.random() < 0.5:  # not as the world's, lest these shapes alone be refused
            glyph = glyph.transpose(Image.Transpose(int(rng.integers(7))))
        x, y = (int(at) for at in rng.integers(0, side - large + 1, 2))
        image.paste(glyph, (x, y), glyph)
    return np.asarray(image)


def scenery(rng: np.random.Generator) -> Pixels:
    """Sky over textured ground in the colours of a landscape, with things in front, soft and
    grainy, as a camera sees it."""
    side = 160
    horizon = int(rng.uniform(0.15, 0.85) * side)
    sky = np.array((150, 190, 230)) * rng.uniform(0.5, 1.1) + rng.normal(0, 15, 3)
    soil = np.array(((110, 110, 60), (150, 125, 80), (90, 90, 95))[int(rng.integers(3))])
    clouds, grain = fractal(rng, side, side, 1.8), fractal(rng, side, side, rng.uniform(0.7, 1.5))
    fall = np.linspace(-1, 1, side)[:, None, None]
    picture = sky + rng.uniform(0, 20) * clouds[..., None] + rng.normal(0, 20) * fall
    ground = soil * rng.uniform(0.6, 1.3) + rng.uniform(8, 30) * grain[..., None]
    picture[horizon:] = ground[horizon:]
    textures = [fractal(rng, side, side, falloff) for falloff in rng.uniform(0.8, 1.8, 3)]
    for _ in range(int(rng.integers(1, 12))):
        x, radius = rng.uniform(0, side), rng.uniform(3, 45)
        stencil = Image.new("L", (side, side))
        corners = _around(rng, x, horizon + rng.uniform(-0.6, 1) * radius, radius)
        ImageDraw.Draw(stencil).polygon(corners, fill=255)
        soft = stencil.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.5)))
        cover = np.asarray(soft, np.float64)[..., None] / 255
        thing = np.array(colour(rng, 20, 220)) * rng.uniform(0.4, 1)
        texture = rng.uniform(5, 30) * textures[int(rng.integers(3))]
        light = rng.normal(0, 25) * fall + rng.normal(0, 25) * fall.transpose(1, 0, 2)
        picture = picture * (1 - cover) + (thing + texture[..., None] + light) * cover
    return _pixels(picture + rng.normal(0, rng.uniform(0, 6), picture.shape))


def empty(rng: np.random.Generator) -> Pixels:
    """One colour, a gradient, or a background of the world without any object."""
    kind = int(rng.integers(3))
    if kind == 0:
        return np.full((200, 200, 3), colour(rng), np.uint8)
    if kind == 1:
        share = np.linspace(0, 1, 200)[:, None, None]
        ramp = np.array(colour(rng)) * (1 - share) + np.array(colour(rng)) * share
        turned = ramp if rng.random() < 0.5 else ramp.transpose(1, 0, 2)
        return _pixels(np.broadcast_to(turned, (200, 200, 3)))
    return _paint_background(_background(rng), 128)


def photograph(rng: np.random.Generator) -> Pixels:
    """A window of a photograph out of scikit-image or scikit-learn (`PHOTOGRAPHS`), or of two."""
    views = [_window(rng) for _ in range(2 if rng.random() < 0.15 else 1)]
    if len(views) == 2:
        views = [resized(view, 128, 160) for view in views]
    return np.concatenate(views, axis=1)


def _window(rng: np.random.Generator) -> Pixels:
    picture = read(PHOTOGRAPHS[int(rng.integers(len(PHOTOGRAPHS)))])
    return cropped(picture, rng, (0.1, 0.25, 0.6)[int(rng.integers(3))])


PHOTOGRAPHS = (
    *("camera.png", "cell.png", "chelsea.png", "clock_motion.png", "coffee.png", "coins.png"),
    *("flower.jpg", "grass.png", "gravel.png", "hubble_deep_field.jpg", "ihc.png"),
    *("microaneurysms.png", "moon.png", "motorcycle_left.png", "motorcycle_right.png"),
    *("retina.jpg", "rocket.jpg", "text.png"),
)
"""Those that are learnt from; the others are for measuring."""
KINDS: Mapping[str, Kind] = {
    "noise": noise,
    "leaves": leaves,
    "chart": chart,
    "page": page,
    "shapes": shapes,
    "strokes": strokes,
    "screen": screen,
    "empty": empty,
    "glyphs": glyphs,
    "scenery": scenery,
    "photograph": photograph,
}


def photographs() -> list[Path]:
    """The pictures inside scikit-image and scikit-learn that photographs are taken from.

    Raises:
        ImportError: one of them is not installed.
    """
    import skimage
    import sklearn

    shown = Path(skimage.__file__).parent / "data"
    more = Path(sklearn.__file__).parent / "datasets" / "images"
    found = [*shown.glob("*.png"), *shown.glob("*.jpg"), *more.glob("*.jpg")]
    return sorted(path for path in found if path.stem not in _NO_PHOTOGRAPHS)


_NO_PHOTOGRAPHS = ("chessboard_GRAY", "chessboard_RGB", "color", "logo", "phantom")


@cache
def read(name: str) -> Pixels:
    """A picture of `photographs` by its file's name."""
    path = next(path for path in photographs() if path.name == name)
    picture: Pixels = np.asarray(Image.open(path).convert("RGB"))
    return picture


def _around(
    rng: np.random.Generator, x: float, y: float, radius: float
) -> list[tuple[float, float]]:
    """Corners of a polygon around a point."""
    turns = np.sort(rng.uniform(0, 2 * math.pi, int(rng.integers(3, 9))))
    far = radius * rng.uniform(0.5, 1.2, len(turns))
    corners = np.stack([x + far * np.cos(turns), y + far * np.sin(turns)], axis=1)
    return [(float(a), float(b)) for a, b in corners]


def _pixels(values: NDArray[np.float64]) -> Pixels:
    clipped: Pixels = np.clip(values, 0, 255).astype(np.uint8)
    return clipped
