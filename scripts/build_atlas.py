"""Render the emoji sprites of the miniature world: one PNG sheet and one JSON index a style.

    python scripts/build_atlas.py --style noto      # needs Debian's fonts-noto-color-emoji
    python scripts/build_atlas.py --style twemoji   # needs npm and `pip install resvg-py`
    python scripts/build_atlas.py --style letters   # Pillow's built-in font
    python scripts/build_atlas.py --style openmoji  # the held-out style: goes to the user's cache

The first three are shipped in training/world/atlas/, so nothing of this is needed to use the world.
The same inputs give the same bytes. OpenMoji (CC BY-SA) is never shipped and never trained on.
"""

import argparse
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from nuthatch.tools.media.files import cache_folder
from nuthatch.tools.vocabulary import GLYPHS

CELL = 128  # pixels, long side of a sprite
COLUMNS = 10
SHIPPED = Path(__file__).resolve().parent.parent / "training" / "world" / "atlas"
NOTO = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
PACKAGES = {
    "twemoji": ("@twemoji/svg@15.0.0", "package/{codes}.svg"),
    "openmoji": ("openmoji@17.0.0", "package/color/svg/{CODES}.svg"),
}
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
LETTER_HEIGHT = 64  # font size in pixels


def from_noto(font_path: Path) -> Callable[[str], Image.Image]:
    """Glyphs of Noto Color Emoji: its bitmaps exist at the one size 109."""
    if not font_path.exists():
        raise SystemExit(
            f"{font_path} is not here: apt-get install fonts-noto-color-emoji, "
            "or say where the font lies with --font"
        )
    font = ImageFont.truetype(font_path, 109)

    def render(glyph: str) -> Image.Image:
        picture = Image.new("RGBA", (192, 192))
        # The variation selector asks for the coloured form of characters such as U+2702.
        ImageDraw.Draw(picture).text((16, 16), glyph + "\ufe0f", font=font, embedded_color=True)
        return picture

    return render


def from_npm(style: str) -> Callable[[str], Image.Image]:
    """Glyphs of an npm package of SVG files, rasterised large; fetched with `npm pack`."""
    import resvg_py

    package, pattern = PACKAGES[style]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["npm", "pack", "--silent", package], cwd=folder, check=True, stdout=subprocess.DEVNULL
        )
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
            drawings = {
                member.name: file.read().decode()
                for member in archive
                if member.name.endswith(".svg") and (file := archive.extractfile(member))
            }

    def render(glyph: str) -> Image.Image:
        codes = "-".join(f"{ord(character):x}" for character in glyph)
        svg = drawings[pattern.format(codes=codes, CODES=codes.upper())]
        png = resvg_py.svg_to_bytes(svg_string=svg, width=512, height=512)
        return Image.open(io.BytesIO(bytes(png))).convert("RGBA")

    return render


def tight(picture: Image.Image) -> Image.Image:
    """Cut to what is visible and bring the long side to CELL (premultiplied: no dark fringes)."""
    visible = picture.getchannel("A").point(lambda alpha: 255 if alpha >= 16 else 0).getbbox()
    assert visible is not None, "an empty glyph: does the font or package have it?"
    picture = picture.crop(visible)
    scale = CELL / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    return picture.convert("RGBa").resize((width, height), Image.Resampling.LANCZOS).convert("RGBA")


def sprites(render: Callable[[str], Image.Image]) -> Iterator[tuple[str, Image.Image]]:
    for category, glyphs in GLYPHS.items():
        for variant, glyph in enumerate(glyphs):
            yield f"{category}/{variant}", tight(render(glyph))


def letters() -> Iterator[tuple[str, Image.Image]]:
    """Letters white on transparent, all of the line's height: they stand on one base line."""
    font = ImageFont.load_default(LETTER_HEIGHT)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow without FreeType cannot draw letters"
    top, bottom = font.getbbox(LETTERS)[1], font.getbbox(LETTERS)[3]
    for letter in LETTERS:
        line = Image.new("L", (2 * LETTER_HEIGHT, round(bottom - top)))
        ImageDraw.Draw(line).text((LETTER_HEIGHT // 2, -top), letter, font=font, fill=255)
        ink = line.getbbox()
        assert ink is not None
        cover = line.crop((ink[0], 0, ink[2], line.height))
        picture = Image.new("RGBA", cover.size, (255, 255, 255, 0))
        picture.putalpha(cover)
        yield letter, picture


def write(style: str, pieces: list[tuple[str, Image.Image]], out: Path) -> None:
    rows = -(-len(pieces) // COLUMNS)
    sheet = Image.new("RGBA", (COLUMNS * CELL, rows * CELL))
    index: dict[str, list[int]] = {}
    for number, (name, picture) in enumerate(pieces):
        x, y = number % COLUMNS * CELL, number // COLUMNS * CELL
        sheet.paste(picture, (x, y))
        index[name] = [x, y, x + picture.width, y + picture.height]
    out.mkdir(parents=True, exist_ok=True)
    sheet.save(out / f"{style}.png", optimize=True)
    lines = ",\n".join(f"  {json.dumps(name)}: {box}" for name, box in index.items())
    (out / f"{style}.json").write_text(f"{{\n{lines}\n}}\n", "utf-8")
    print(
        f"{out / style}.png: {len(pieces)} pieces, {(out / f'{style}.png').stat().st_size:,} bytes"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--style", required=True, choices=["noto", "twemoji", "letters", "openmoji"]
    )
    parser.add_argument(
        "--out", type=Path, help="folder (default: shipped, for openmoji the cache)"
    )
    parser.add_argument("--font", type=Path, default=NOTO, help="where Noto Color Emoji lies")
    arguments = parser.parse_args()
    style = arguments.style
    out = arguments.out or (cache_folder("atlas") if style == "openmoji" else SHIPPED)
    if style == "openmoji" and out.resolve() == SHIPPED:
        sys.exit("openmoji is the held-out style and is not shipped: choose another folder")
    if style == "letters":
        pieces = list(letters())
    else:
        pieces = list(sprites(from_noto(arguments.font) if style == "noto" else from_npm(style)))
    write(style, pieces, out)


if __name__ == "__main__":
    main()
