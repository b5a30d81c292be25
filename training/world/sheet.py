"""A contact sheet of the miniature world: scenes with boxes, names and captions on one page."""

from colorsys import hsv_to_rgb
from math import ceil, sqrt
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from nuthatch.tools.vocabulary import CATEGORIES, counted
from nuthatch.training.world.layout import Appearance
from nuthatch.training.world.scenes import Scene, make_scene
from nuthatch.training.world.splits import Split

_PICTURE, _GAP, _CAPTION = 288, 24, 44  # pixels
_PAGE, _INK, _FAINT = (247, 245, 240), (38, 40, 46), (120, 120, 126)
_SMOOTH = 4  # corners are drawn this much larger and shrunk


def sheet(
    n: int,
    seed: int,
    out: str | Path,
    *,
    split: Split = "train",
    appearance: Appearance = "seen",
    columns: int | None = None,
) -> Path:
    """Draw scenes ``seed`` to ``seed + n - 1`` on one page and save it as a PNG.

    Args:
        n: number of scenes, 1 to 400.
        columns: scenes in a row; by default the page is a little wider than high.

    Returns:
        The path of the file, ``out``.

    Raises:
        ValueError: ``n`` or ``columns`` outside their range.
        AtlasMissing: the appearance ``openmoji`` before its atlas was built.
    """
    if not 1 <= n <= 400:
        raise ValueError(f"a sheet shows 1 to 400 scenes, asked for {n}")
    columns = min(n, ceil(sqrt(n * 1.5))) if columns is None else columns
    if columns < 1:
        raise ValueError(f"a sheet needs at least one column, asked for {columns}")
    rows = ceil(n / columns)
    across, down = _PICTURE + _GAP, _PICTURE + _CAPTION + _GAP
    page = Image.new("RGB", (columns * across + _GAP, rows * down + _GAP), _PAGE)
    for number in range(n):
        scene = make_scene(seed + number, split, appearance=appearance, size=_PICTURE)
        corner = (_GAP + number % columns * across, _GAP + number // columns * down)
        _add(page, scene, corner)
    path = Path(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    page.save(path, "PNG", optimize=True)
    return path


def caption(scene: Scene) -> str:
    """What a scene shows, most frequent first: ``3 cups, 1 bottle``; its words follow in quotes."""
    ranked = sorted(scene.counts().items(), key=lambda item: -item[1])
    return ", ".join(
        [counted(number, name) for name, number in ranked]
        + [f"“{word.text}”" for word in scene.words]
    )


def _add(page: Image.Image, scene: Scene, corner: tuple[int, int]) -> None:
    x, y = corner
    picture = Image.fromarray(scene.image)
    _annotate(picture, scene)
    rounded = Image.new("L", (_PICTURE * _SMOOTH, _PICTURE * _SMOOTH))
    edge = _PICTURE * _SMOOTH - 1
    ImageDraw.Draw(rounded).rounded_rectangle((0, 0, edge, edge), 12 * _SMOOTH, fill=255)
    page.paste(picture, corner, rounded.reduce(_SMOOTH))
    pen = ImageDraw.Draw(page)
    pen.text((x + 2, y + _PICTURE + 8), scene.theme, fill=_INK, font=ImageFont.load_default(15))
    font = ImageFont.load_default(12)
    text = caption(scene)
    while pen.textlength(text, font) > _PICTURE - 4:
        text = text[:-2].rstrip(" ,…") + "…"
    pen.text((x + 2, y + _PICTURE + 27), text, fill=_FAINT, font=font)


def _annotate(picture: Image.Image, scene: Scene) -> None:
    """Boxes first and names last, so that no box runs through a name."""
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(11)
    for each in scene.objects:
        x1, y1, x2, y2 = each.box
        colour = _colour(each.category)
        pen.rounded_rectangle((x1 - 1, y1 - 1, x2, y2), 3, outline=colour, width=2)
    for word in scene.words:
        x1, y1, x2, y2 = word.box
        pen.rectangle((x1 - 2, y1 - 2, x2 + 1, y2 + 1), outline=_FAINT)
    for each in scene.objects:
        x1, y1, x2, y2 = each.box
        name = f"{each.tint} {each.category}" if each.tint else each.category
        width = pen.textlength(name, font) + 6
        left = min(max(x1 - 1, 0), _PICTURE - width)
        top = y1 - 14 if y1 >= 14 else y2 - 1
        pen.rounded_rectangle((left, top, left + width, top + 14), 3, fill=_colour(each.category))
        pen.text((left + 3, top + 1), name, fill="white", font=font)


def _colour(category: str) -> tuple[int, int, int]:
    """One dark, saturated colour a category, neighbours in the vocabulary far apart."""
    hue = CATEGORIES.index(category) * 0.618034 % 1
    red, green, blue = hsv_to_rgb(hue, 0.8, 0.62)
    return round(red * 255), round(green * 255), round(blue * 255)
