"""The sets of tools, and what each tool says that it lacks."""

import sys
from pathlib import Path

import pytest

from nuthatch.tools.catalogue import all_tools, default_tools
from nuthatch.tools.weights.store import Weights

WITHOUT_MODELS = {"measure", "crop", "calculate", "read_text"}


def lacks(weights: Weights) -> dict[str, str]:
    return {tool.name: lack for tool in all_tools() if (lack := tool.lack(weights))}


def test_the_default_tools_are_among_all_of_them_and_work_as_they_are_installed():
    assert set(default_tools().names) < set(all_tools().names)
    assert not set(default_tools().names) & lacks(Weights()).keys()


def test_without_weights_all_tools_that_need_a_model_say_so(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # messages shorten long paths
    found = lacks(Weights("nowhere"))
    assert set(all_tools().names) - found.keys() == WITHOUT_MODELS
    assert all("nowhere" in lack for lack in found.values())


def test_one_model_is_enough_where_a_tool_can_do_with_it(tmp_path: Path):
    weights = Weights(tmp_path)
    weights.put("tag", object())
    found = lacks(weights)
    assert not {"tag", "describe_attributes", "describe", "verify_answer"} & found.keys()
    weights.put("core", object())
    assert not {"caption", "caption_many", "ask_region"} & lacks(weights).keys()
    assert {"detect", "ground", "locate_sound_source"} <= found.keys()


@pytest.mark.parametrize(
    ("module", "tools"),
    [
        ("segment_anything", {"segment", "segment_everything", "ground"}),
        ("whisper", {"transcribe"}),
        ("transformers", {"ask_region", "caption", "caption_many"}),
    ],
)
def test_a_missing_package_is_named_with_what_to_install(monkeypatch, module, tools):
    monkeypatch.setitem(sys.modules, module, None)
    found = lacks(Weights())
    assert found.keys() - {"generate_image", "edit_image"} == tools
    assert all(f"({module}): pip install 'nuthatch[" in found[tool] for tool in tools)


def test_reading_text_needs_a_reader(monkeypatch):
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    monkeypatch.setitem(sys.modules, "pytesseract", None)
    assert "pip install 'nuthatch[vision]'" in lacks(Weights())["read_text"]
