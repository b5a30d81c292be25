import json
import runpy
import sys

import pytest
from PIL import Image

from tests.paths import ROOT


@pytest.mark.parametrize("name", ["kitchen", "street"])
def test_the_example_pictures_are_what_their_script_makes(name, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["build_examples.py", "--out", str(tmp_path)])
    runpy.run_path(str(ROOT / "scripts" / "build_examples.py"), run_name="__main__")
    shipped, made = (
        json.loads((folder / f"{name}.json").read_text("utf-8"))
        for folder in (ROOT / "examples", tmp_path)
    )
    assert shipped == made
    with Image.open(ROOT / "examples" / f"{name}.png") as picture:
        assert picture.size == (512, 512)
        assert picture.mode == "RGB"


def test_the_kitchen_has_three_cups_and_the_one_clock_that_ticks():
    truth = json.loads((ROOT / "examples" / "kitchen.json").read_text("utf-8"))
    assert truth["counts"]["cup"] == 3
    assert truth["counts"]["clock"] == 1
    assert truth["audio"]["events"] == ["clock"]
