"""Results in a terminal: pictures of characters where there are colours, else text and a file."""

import io
import re

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from nuthatch.tools.media.geometry import Box, Mask
from nuthatch.tools.output import terminal
from nuthatch.tools.output.overlay import PALETTE

RED, GREEN = (255, 0, 0), (0, 200, 0)


def stripes(width: int, height: int) -> np.ndarray:
    """The upper half red, the lower one green."""
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[: height // 2], pixels[height // 2 :] = RED, GREEN
    return pixels


def colours(text, line: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Of the first character of a line: upper and lower colour."""
    (span,) = [each for each in text.split()[line].spans if each.start == 0]
    return tuple(span.style.color.triplet), tuple(span.style.bgcolor.triplet)


def sizes(text) -> tuple[int, int]:
    lines = text.plain.split("\n")
    return max(map(len, lines)), len(lines)


def test_a_character_is_two_pixels_one_above_the_other():
    text = terminal.half_blocks(stripes(8, 8), [], [], columns=8, rows=4)
    assert sizes(text) == (8, 4)
    assert set(text.plain) == {"▀", "\n"}
    assert colours(text, 0) == (RED, RED)
    assert colours(text, 3) == (GREEN, GREEN)


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [(800, 400, (40, 10)), (400, 800, (20, 20)), (8, 4000, (1, 20)), (4000, 8, (40, 1))],
)
def test_it_keeps_its_shape_within_the_columns_and_rows_that_there_are(width, height, size):
    text = terminal.half_blocks(stripes(width, height), [], [], columns=40, rows=20)
    assert sizes(text) == size


def test_boxes_and_masks_are_drawn_in_the_colours_of_the_legend():
    box = (Box.of((0, 0, 8, 8)), "cup 0.90", None)
    text = terminal.half_blocks(stripes(8, 8), [box], [], columns=8, rows=4)
    assert colours(text, 0)[0] == PALETTE[0]
    mask = Mask.of(np.ones((8, 8), bool))
    tinted = terminal.half_blocks(stripes(8, 8), [], [mask], columns=8, rows=4)
    assert colours(tinted, 0)[0] not in (RED, PALETTE[0])


def shown(capsys, monkeypatch, **settings) -> str:
    monkeypatch.setattr(terminal, "Console", lambda: Console(**settings))
    pixels = stripes(16, 16)
    boxes = [(Box.of((1, 1, 9, 9)), "cup 0.90", None)]
    path = terminal.show("detect: 1", Image.fromarray(pixels), pixels, boxes, name="detect")
    assert Image.open(path).size == (16, 16)
    path.unlink()
    out = capsys.readouterr().out
    assert f"saved as {path}" in out
    return out


def test_a_terminal_shows_text_picture_legend_and_path(capsys, monkeypatch):
    out = shown(capsys, monkeypatch, force_terminal=True, color_system="truecolor", width=20)
    assert "▀" in out
    assert "\x1b[" in out
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out)
    assert "■ cup\n" in plain


@pytest.mark.parametrize(
    "settings",
    [
        {"force_terminal": False},
        {"force_terminal": True, "color_system": None},
        {"force_terminal": True, "no_color": True, "color_system": "truecolor"},
        {"file": io.TextIOWrapper(io.BytesIO(), "ascii"), "force_terminal": True},
    ],
    ids=["no terminal", "no colours", "NO_COLOR", "ascii"],
)
def test_elsewhere_nothing_but_text_is_printed(capsys, monkeypatch, settings):
    out = shown(capsys, monkeypatch, **settings)
    assert "\x1b" not in out
    assert "▀" not in out


def test_without_a_screen_or_a_viewer_no_window_is_opened(monkeypatch):
    monkeypatch.setattr(terminal.sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(terminal.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert not terminal.opens_windows()
    monkeypatch.setenv("DISPLAY", ":0")
    assert terminal.opens_windows()
    monkeypatch.setattr(terminal.shutil, "which", lambda name: None)
    assert not terminal.opens_windows()
