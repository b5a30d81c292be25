"""What a tool found: shown where its reader sits."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageShow

from nuthatch.tools.base.function_tool import tool
from nuthatch.tools.basic.measure import Measure
from nuthatch.tools.detection.detect import Detect
from nuthatch.tools.output import terminal, view
from nuthatch.tools.toolbox import Toolbox, View
from nuthatch.tools.weights.store import Weights
from tests.fakes import FakeDetector

PIXELS = np.full((60, 80, 3), 200, np.uint8)


@tool
def word() -> str:
    """Say a word."""
    return "cup"


@pytest.fixture
def box() -> Toolbox:
    weights = Weights()
    weights.put("detect", FakeDetector([("cup", (10, 10, 40, 50))]))
    return Toolbox([Detect(), Measure(), word], weights=weights)


@pytest.fixture
def found(box: Toolbox) -> View:
    return box.run("detect", image=PIXELS, labels="cup")


def test_at_a_prompt_it_is_its_summary(found):
    assert repr(found) == "<View detect: 1 detection: cup 0.90>"


def test_without_a_window_it_is_printed_with_the_path_of_its_picture(found, monkeypatch, capsys):
    monkeypatch.setattr(terminal, "opens_windows", lambda: False)
    found.show()
    first, last = capsys.readouterr().out.splitlines()
    assert first == "detect: 1 detection: cup 0.90"
    path = Path(last.removeprefix("saved as "))
    assert re.fullmatch(r"nuthatch-detect-\w+\.png", path.name)
    assert Image.open(path).size == found.picture().size
    path.unlink()


def test_with_a_window_nothing_is_printed(found, monkeypatch, capsys):
    shown: list[Image.Image] = []
    monkeypatch.setattr(terminal, "opens_windows", lambda: True)
    monkeypatch.setattr(ImageShow, "show", lambda picture: bool(shown.append(picture) or True))
    found.show()
    assert shown[0].size == found.picture().size
    assert not capsys.readouterr().out


def test_in_a_notebook_it_is_displayed(found, monkeypatch, capsys):
    display = pytest.importorskip("IPython.display")
    shown: list[object] = []
    monkeypatch.setattr(view, "_in_notebook", lambda: True)
    monkeypatch.setattr(display, "display", shown.append)
    found.show()
    assert shown == [found]
    assert not capsys.readouterr().out


def test_what_concerns_no_picture_is_printed(box, found, capsys):
    box.run("word").show()
    assert capsys.readouterr().out == "word: value cup\n"
    assert box.run("measure", op="count", a=found).picture() is None
