"""Pictures that are not of the miniature world, drawn by rules: what a domain check learns from.

Pictures are (H, W, 3) uint8 RGB, up to 1,000 pixels a side. Other kinds, for measuring, are in
`training.evaluate.outside`; photographs in `photographs`.
"""

from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from nuthatch.tools.vocabulary import CATEGORIES
from nuthatch.training.world import atlas
from nuthatch.training.world.documents import chart, lit_page, page, ramp_name, screen
from nuthatch.training.world.layout import _background
from nuthatch.training.world.photographs import photograph, wallpaper
from nuthatch.training.world.random_shapes import Pixels, around, fractal, pixels, sides
from nuthatch.training.world.scenes import _paint_background
from nuthatch.training.world.typesetting import colour, face, words

Kind = Callable[[np.random.Generator], Pixels]


def noise(rng: np.random.Generator) -> Pixels:
    """White, grey, or fractal noise, in colour or not."""
    width, height = sides(rng, 64, 400)
    kind = int(rng.integers(4))
    if kind == 0:
        return rng.integers(0, 256, (height, width, 3), np.uint8)
    if kind == 1:
        grey = rng.normal(rng.uniform(60, 190), rng.uniform(10, 70), (height, width, 1))
        return pixels(grey.repeat(3, 2))
    falloff = rng.uniform(0.6, 2.4)
    channels = [fractal(rng, height, width, falloff) for _ in range(3 if kind == 2 else 1)]
    field = np.stack(channels if kind == 2 else channels * 3, axis=2)
    return pixels(field * rng.uniform(20, 60) + rng.uniform(60, 190, 3))


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
            draw.polygon(around(rng, x, y, radius), fill=255)
        soft = stencil.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 2)))
        cover = np.asarray(soft, np.float64)[..., None] / 255
        shade = np.add.outer(axis * rng.normal() * 30, axis * rng.normal() * 30)
        texture = rng.uniform(0, 25) * textures[int(rng.integers(3))]
        leaf = np.array(colour(rng)) * rng.uniform(0.3, 1) + (texture + shade)[..., None]
        picture = picture * (1 - cover) + leaf * cover
    return pixels(picture + rng.normal(0, rng.uniform(0, 8), picture.shape))


def areas(rng: np.random.Generator) -> Pixels:
    """Areas in flat colours, as on a map: heights of a landscape, or what is nearest; with
    borders or not, on a sheet with a legend or not."""
    from matplotlib import colormaps

    width, height = sides(rng, 100, 320)
    number = int(rng.integers(3, 14))
    if rng.random() < 0.7:
        field = fractal(rng, height, width, rng.uniform(1.6, 3.2))
        low, high = np.quantile(field, [0.01, 0.99])
        levels = np.clip((field - low) / (high - low) * number, 0, number - 1).astype(np.int64)
    else:
        spots = rng.uniform(0, 1, (2 * number, 2)) * (height, width)
        rows, columns = np.mgrid[:height, :width]
        away = np.hypot(rows[..., None] - spots[:, 0], columns[..., None] - spots[:, 1])
        levels = away.argmin(axis=2) % number
    ramp = colormaps[ramp_name(rng)](np.linspace(0, 1, number))[:, :3] * 255
    ends = rng.uniform(0, 255, (2, 3))
    share = np.linspace(0, 1, number)[:, None]
    dark, light = rng.uniform(0, 255, 2)
    grey = np.linspace(dark, light, number)[:, None].repeat(3, 1)
    palettes = (
        ramp,
        ends[0] * share + ends[1] * (1 - share),
        grey,
        rng.uniform(0, 255, ramp.shape),
    )
    picture = pixels(palettes[int(rng.choice(4, p=(0.3, 0.3, 0.2, 0.2)))][levels])
    if rng.random() < 0.3:
        border = (levels != np.roll(levels, 1, 0)) | (levels != np.roll(levels, 1, 1))
        picture = np.where(border[..., None], 30, picture).astype(np.uint8)
    return _on_a_sheet(rng, picture) if rng.random() < 0.5 else picture


def _on_a_sheet(rng: np.random.Generator, picture: Pixels) -> Pixels:
    """In a frame on white paper, with words and numbers around it."""
    height, width = picture.shape[:2]
    left, top = int(rng.uniform(0.08, 0.25) * width) + 16, int(rng.uniform(0.08, 0.2) * height) + 16
    image = Image.new("RGB", (width + left + 20, height + 2 * top), "white")
    image.paste(Image.fromarray(picture), (left, top))
    draw, font = ImageDraw.Draw(image), face(rng, 11)
    if rng.random() < 0.8:
        draw.rectangle((left, top, left + width, top + height), outline="black")
    draw.text((left + 0.3 * width, 4), words(rng, 3), fill="black", font=font)
    for mark in range(int(rng.integers(0, 7))):
        x, y = left + mark * width // 7, top + height - mark * height // 7
        draw.text((x, top + height + 4), str(10 * mark), fill="black", font=font)
        draw.text((4, y - 10), str(10 * mark), fill="black", font=font)
    return np.asarray(image)


def few_colours(rng: np.random.Generator) -> Pixels:
    """A photograph, a page or scenery without detail, in a few colours chosen for it."""
    kinds = (photograph, photograph, wallpaper, lit_page, scenery)
    image = Image.fromarray(kinds[int(rng.integers(len(kinds)))](rng))
    image.thumbnail((320, 320))
    for _ in range(int(rng.integers(0, 4))):
        image = image.filter(ImageFilter.MedianFilter(int(rng.integers(1, 4)) * 2 + 1))
    if rng.random() < 0.3:
        image = ImageOps.grayscale(image).convert("RGB")
    dither = Image.Dither.FLOYDSTEINBERG if rng.random() < 0.15 else Image.Dither.NONE
    few = image.quantize(int(rng.integers(3, 25)), Image.Quantize.MEDIANCUT, dither=dither)
    return np.asarray(few.convert("RGB"))


def sprite(rng: np.random.Generator) -> Pixels:
    """A figure of a game: a few shapes in flat or shaded colours, the left as the right, outlined
    or not, of coarse pixels or smooth, mostly on white."""
    side = int(rng.choice((16, 24, 32, 96, 200)))
    large = 4 * side
    image = Image.new("RGBA", (large, large))
    draw, palette = ImageDraw.Draw(image), [colour(rng) for _ in range(int(rng.integers(2, 6)))]
    ink = colour(rng, 0, 70) if rng.random() < 0.5 else None
    for _ in range(int(rng.integers(3, 12))):
        (x, y), (a, b) = rng.uniform(0.2, 0.8, 2) * large, rng.uniform(0.04, 0.3, 2) * large
        fill = palette[int(rng.integers(len(palette)))]
        kind = int(rng.integers(3))
        if kind == 0:
            draw.ellipse((x - a, y - b, x + a, y + b), fill=fill, outline=ink, width=large // 48)
        elif kind == 1:
            draw.rounded_rectangle(
                (x - a, y - b, x + a, y + b),
                min(a, b) / 2,
                fill=fill,
                outline=ink,
                width=large // 48,
            )
        else:
            draw.polygon(around(rng, x, y, a), fill=fill, outline=ink)
    if rng.random() < 0.6:
        image.alpha_composite(ImageOps.mirror(image))
    if rng.random() < 0.5:  # light from above
        values = np.asarray(image, np.float64)
        shade = np.linspace(rng.uniform(1, 1.4), rng.uniform(0.5, 1), large)[:, None, None]
        rest = np.concatenate([np.clip(values[..., :3] * shade, 0, 255), values[..., 3:]], axis=2)
        image = Image.fromarray(rest.astype(np.uint8))
    figure = image.resize(
        (side, side), Image.Resampling.BOX if side > 32 else Image.Resampling.NEAREST
    )
    if side <= 32:
        figure = figure.resize((side * int(rng.integers(2, 8)),) * 2, Image.Resampling.NEAREST)
    papers = ((255, 255, 255), (255, 255, 255), (0, 0, 0), colour(rng))
    number = int(rng.choice((1, 1, 1, 2, 4)))
    canvas = Image.new("RGB", (figure.width * number, figure.height), papers[int(rng.integers(4))])
    for at in range(number):
        canvas.paste(figure, (at * figure.width, 0), figure)
    return np.asarray(canvas)


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
            draw.polygon(around(rng, x, y, a), fill=fill, outline=outline)
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
        corners = around(rng, x, horizon + rng.uniform(-0.6, 1) * radius, radius)
        ImageDraw.Draw(stencil).polygon(corners, fill=255)
        soft = stencil.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.5)))
        cover = np.asarray(soft, np.float64)[..., None] / 255
        thing = np.array(colour(rng, 20, 220)) * rng.uniform(0.4, 1)
        texture = rng.uniform(5, 30) * textures[int(rng.integers(3))]
        light = rng.normal(0, 25) * fall + rng.normal(0, 25) * fall.transpose(1, 0, 2)
        picture = picture * (1 - cover) + (thing + texture[..., None] + light) * cover
    return pixels(picture + rng.normal(0, rng.uniform(0, 6), picture.shape))


def empty(rng: np.random.Generator) -> Pixels:
    """One colour, a gradient, or a background of the world without any object."""
    kind = int(rng.integers(3))
    if kind == 0:
        return np.full((200, 200, 3), colour(rng), np.uint8)
    if kind == 1:
        share = np.linspace(0, 1, 200)[:, None, None]
        ramp = np.array(colour(rng)) * (1 - share) + np.array(colour(rng)) * share
        turned = ramp if rng.random() < 0.5 else ramp.transpose(1, 0, 2)
        return pixels(np.broadcast_to(turned, (200, 200, 3)))
    return _paint_background(_background(rng), 128)


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
    "areas": areas,
    "lit page": lit_page,
    "few colours": few_colours,
    "sprite": sprite,
    "photograph": photograph,
    "wallpaper": wallpaper,
}
