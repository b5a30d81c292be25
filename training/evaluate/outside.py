"""Pictures of kinds that no domain was fitted on: what a domain check is measured with.

Pictures are (H, W, 3) uint8 RGB. Photographs are those of scikit-image and scikit-learn that
`world.photographs` leaves out, whole and in windows.
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from nuthatch.tools.vocabulary import CATEGORIES
from nuthatch.training.world import atlas
from nuthatch.training.world.changes import cropped
from nuthatch.training.world.documents import chart
from nuthatch.training.world.photographs import PHOTOGRAPHS, photographs, read
from nuthatch.training.world.random_shapes import sides
from nuthatch.training.world.typesetting import colour, face, words

Pixels = NDArray[np.uint8]


def photograph(rng: np.random.Generator) -> Pixels:
    """One that was not learnt from, whole or a window of a quarter of each side or more."""
    names = [path.name for path in photographs() if path.name not in PHOTOGRAPHS]
    picture = read(names[int(rng.integers(len(names)))])
    return picture if rng.random() < 0.3 else cropped(picture, rng, 0.25)


def painting(rng: np.random.Generator) -> Pixels:
    """A photograph as if painted: few colours, no detail."""
    image = Image.fromarray(photograph(rng))
    image.thumbnail((400, 400))
    for _ in range(int(rng.integers(1, 4))):
        image = image.filter(ImageFilter.ModeFilter(int(rng.integers(3, 6)) * 2 - 1))
    return np.asarray(ImageOps.posterize(image, int(rng.integers(2, 5))))


def other_chart(rng: np.random.Generator) -> Pixels:
    """A pie, a heat map, boxes or contours."""
    return chart(rng, ("pie", "heat map", "box", "contour"))


def table(rng: np.random.Generator) -> Pixels:
    """Rows and columns of words and numbers, ruled or striped."""
    width, height = sides(rng, 300, 800)
    image = Image.new("RGB", (width, height), colour(rng, 240))
    draw, row = ImageDraw.Draw(image), int(rng.integers(18, 40))
    columns, font = int(rng.integers(2, 8)), face(rng, 0.55 * row)
    head, stripe, ruled = colour(rng, 60), colour(rng, 215), rng.random() < 0.6
    for number, y in enumerate(range(0, height, row)):
        if number == 0 or number % 2:
            fill = head if number == 0 else stripe
            draw.rectangle((0, y, width, y + row), fill=fill)
        for column in range(columns):
            x = column * width // columns
            text = words(rng, 1) if column == 0 or number == 0 else f"{rng.normal(0, 400):.1f}"
            draw.text((x + 6, y + 0.2 * row), text, fill=(20, 20, 20), font=font)
            if ruled:
                draw.rectangle((x, y, x + width // columns, y + row), outline=(120, 120, 120))
    return np.asarray(image)


def code(rng: np.random.Generator) -> Pixels:
    """A listing in an editor, coloured by word."""
    width, height = sides(rng, 350, 800)
    dark = rng.random() < 0.6
    image = Image.new("RGB", (width, height), (28, 30, 38) if dark else (252, 252, 250))
    draw, font = ImageDraw.Draw(image), face(rng, int(rng.integers(10, 18)))
    inks = [colour(rng, 120) if dark else colour(rng, 0, 150) for _ in range(4)]
    indent = 0
    for y in range(8, height - 16, int(1.3 * font.size)):
        indent = int(np.clip(indent + rng.integers(-1, 2), 0, 4))
        x = 40.0 + 24 * indent
        draw.text((8, y), str(y), fill=inks[0], font=font)
        for word in words(rng, int(rng.integers(1, 7))).split():
            draw.text((x, y), word, fill=inks[int(rng.integers(4))], font=font)
            x += draw.textlength(f"{word} ", font=font)
    return np.asarray(image)


def chat(rng: np.random.Generator) -> Pixels:
    """A screen of messages with small emoji among the words."""
    width, height = int(rng.integers(300, 500)), int(rng.integers(450, 800))
    image = Image.new("RGB", (width, height), colour(rng, 225))
    draw, font = ImageDraw.Draw(image), face(rng, 14)
    draw.rectangle((0, 0, width, 44), fill=colour(rng, 60, 220))
    bubbles = colour(rng, 200), (255, 255, 255)
    y = 60
    while y < height - 60:
        mine = rng.random() < 0.5
        text = words(rng, int(rng.integers(1, 6)))
        wide = int(draw.textlength(text, font=font)) + 56
        x = width - wide - 12 if mine else 12
        draw.rounded_rectangle((x, y, x + wide, y + 36), 14, fill=bubbles[mine])
        draw.text((x + 12, y + 9), text, fill=(25, 25, 25), font=font)
        if rng.random() < 0.5:
            glyph = _glyph(rng, 22)
            image.paste(glyph, (x + wide - 36, y + 7), glyph)
        y += 48
    return np.asarray(image)


def icon(rng: np.random.Generator) -> Pixels:
    """A sign of a program: a simple white shape on a rounded square, alone on a plain ground."""
    side = int(rng.integers(64, 400))
    image = Image.new("RGB", (side, side), colour(rng, 200))
    draw, edge = ImageDraw.Draw(image), side // 8
    draw.rounded_rectangle((edge, edge, side - edge, side - edge), side // 6, fill=colour(rng))
    letter, font = "ABEGKMQRSWXZ&@#%?"[int(rng.integers(17))], face(rng, 0.5 * side)
    if rng.random() < 0.5:
        draw.text((side / 2, side / 2), letter, fill="white", font=font, anchor="mm")
    else:
        middle, arm = side / 2, side / 5
        draw.line((middle - arm, middle, middle + arm, middle), fill="white", width=edge)
        draw.line((middle, middle - arm, middle, middle + arm), fill="white", width=edge)
    return np.asarray(image)


def cartoon(rng: np.random.Generator) -> Pixels:
    """A face in flat colours with dark outlines, before a hill and a sun."""
    width, height = sides(rng, 200, 500)
    image = Image.new("RGB", (width, height), colour(rng, 140))
    draw, line = ImageDraw.Draw(image), max(2, width // 120)
    draw.ellipse((-width / 3, 0.6 * height, 1.3 * width, 1.8 * height), fill=colour(rng))
    draw.ellipse((0.75 * width, 0, width, 0.25 * width), fill=(250, 210, 60))
    x, y, r = (
        rng.uniform(0.3, 0.6) * width,
        rng.uniform(0.4, 0.6) * height,
        0.25 * min(width, height),
    )
    skin, ink = colour(rng, 110), (20, 20, 20)
    draw.rectangle(
        (x - 0.6 * r, y + r, x + 0.6 * r, height), fill=colour(rng), outline=ink, width=line
    )
    draw.ellipse((x - r, y - 1.1 * r, x + r, y + 1.1 * r), fill=skin, outline=ink, width=line)
    for eye in (x - 0.4 * r, x + 0.4 * r):
        box = (eye - 0.18 * r, y - 0.4 * r, eye + 0.18 * r, y)
        draw.ellipse(box, fill="white", outline=ink, width=line)
        draw.ellipse((eye - 0.06 * r, y - 0.25 * r, eye + 0.06 * r, y - 0.1 * r), fill=ink)
    draw.arc((x - 0.5 * r, y, x + 0.5 * r, y + 0.7 * r), 20, 160, fill=ink, width=line)
    return np.asarray(image)


def bars(rng: np.random.Generator) -> Pixels:
    """A bar code, or a square code of black and white cells."""
    cells = rng.random((1 if rng.random() < 0.4 else 25, 40 if rng.random() < 0.4 else 25)) < 0.5
    code_ = np.where(cells, 0, 255).astype(np.uint8)
    framed = ImageOps.expand(Image.fromarray(code_).resize((250, 250), 0), 30, 255)
    return np.asarray(framed.convert("RGB"))


def plain(rng: np.random.Generator) -> Pixels:
    """White, black, grey, or a gradient between two colours at an angle."""
    kind = int(rng.integers(4))
    if kind < 3:
        return np.full((int(rng.integers(50, 400)), 300, 3), (255, 0, 128)[kind], np.uint8)
    turned = Image.linear_gradient("L").rotate(float(rng.uniform(0, 360)), expand=False)
    share = np.asarray(turned, np.float64)[60:196, 60:196, None] / 255
    ramp = np.array(colour(rng)) * share + np.array(colour(rng)) * (1 - share)
    return ramp.astype(np.uint8)


def _glyph(rng: np.random.Generator, side: int) -> Image.Image:
    style = atlas.SHIPPED_STYLES[int(rng.integers(len(atlas.SHIPPED_STYLES)))]
    name = CATEGORIES[int(rng.integers(len(CATEGORIES)))]
    glyph = atlas.load(style).straight(f"{name}/0")
    glyph.thumbnail((side, side))
    return glyph


KINDS: Mapping[str, Callable[[np.random.Generator], Pixels]] = {
    "photographs": photograph,
    "paintings": painting,
    "charts": other_chart,
    "tables": table,
    "code": code,
    "chats with emoji": chat,
    "icons": icon,
    "cartoons": cartoon,
    "bar codes": bars,
    "plain": plain,
}


def pictures(kind: str, number: int, seed: int = 0) -> Iterator[Pixels]:
    """The first pictures of a kind; the same for the same seed."""
    for index in range(number):
        yield KINDS[kind](np.random.default_rng((0x0D7, seed, index)))
