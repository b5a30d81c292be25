"""Pictures in a terminal: half blocks, two pixels a character, in the width that is there."""

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageShow
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.text import Text

from nuthatch.tools.media.geometry import Mask
from nuthatch.tools.media.ingest import Pixels
from nuthatch.tools.output.overlay import PALETTE, LabelledBox, coloured, name_of

COLUMNS = 100
"""Characters of a line at most."""
BESIDE = 6
"""Lines of the terminal that are left to text."""
_TINT = 140  # of 255: how much of a mask's colour covers the picture
_VIEWERS = ("xdg-open", "display", "gm", "eog", "xv")  # what PIL opens pictures with on Unix


def show(
    summary: str,
    picture: Image.Image,
    pixels: Pixels,
    boxes: Sequence[LabelledBox] = (),
    masks: Sequence[Mask] = (),
    *,
    name: str = "picture",
) -> Path:
    """Print a summary and, where standard output is a terminal with colours, the picture; then
    where it was saved as PNG, in the system's temporary folder.

    Args:
        picture: what is saved.
        pixels, boxes, masks: what is printed; as for `overlay.overlay`.
        name: part of the file's name.
    """
    print(summary)
    console = Console()
    has_colours = bool(console.color_system) and not console.no_color
    if console.is_terminal and has_colours and not console.options.ascii_only:
        rows = max(8, console.height - BESIDE)
        console.print(half_blocks(pixels, boxes, masks, min(console.width, COLUMNS), rows))
        if boxes:
            console.print(_legend(boxes))
    with tempfile.NamedTemporaryFile(
        prefix=f"nuthatch-{name}-", suffix=".png", delete=False
    ) as file:
        picture.save(file, "PNG")
    print(f"saved as {file.name}")
    return Path(file.name)


def half_blocks(
    pixels: Pixels,
    boxes: Sequence[LabelledBox],
    masks: Sequence[Mask],
    columns: int,
    rows: int,
) -> Text:
    """A picture as text of at most this size; each character shows a pixel above another one.

    Args:
        pixels, boxes, masks: as for `overlay.overlay`; labels are not written.
    """
    height, width = pixels.shape[:2]
    scale = min(columns / width, 2 * rows / height)
    size = (max(1, round(width * scale)), max(2, round(height * scale / 2) * 2))
    canvas = Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)
    for number, mask in enumerate(masks):
        covered = Image.fromarray(mask.numpy().astype(np.uint8) * np.uint8(_TINT))
        tint = Image.new("RGB", size, PALETTE[number % len(PALETTE)])
        canvas.paste(tint, (0, 0), covered.resize(size, Image.Resampling.BOX))
    draw = ImageDraw.Draw(canvas)
    for box, _, colour in coloured(boxes):
        x1, y1, x2, y2 = (round(side * scale) for side in box.xyxy)
        draw.rectangle((x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), outline=colour)
    text = Text(no_wrap=True)
    drawn = np.asarray(canvas)
    for upper, lower in zip(drawn[::2], drawn[1::2], strict=True):
        text.append("\n" if text else "")
        for above, below in zip(upper.tolist(), lower.tolist(), strict=True):
            style = Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below))
            text.append("▀", style)
    return text


def opens_windows() -> bool:
    """Whether a window with a picture can be opened here, as far as can be told."""
    if sys.platform in ("win32", "darwin"):
        return True
    screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(screen) and any(shutil.which(viewer) for viewer in _VIEWERS)


def open_window(picture: Image.Image) -> bool:
    """Show a picture with the system's viewer; whether there is one."""
    return opens_windows() and bool(ImageShow.show(picture))


def _legend(boxes: Sequence[LabelledBox]) -> Text:
    """Each name once, behind a square of its colour."""
    colours = {name_of(label): colour for _, label, colour in coloured(boxes)}
    text = Text()
    for name, colour in colours.items():
        text.append("  " if text else "")
        text.append("■", Style(color=Color.from_rgb(*colour)))
        text.append(f" {name}")
    return text
