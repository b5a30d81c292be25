"""Paths and names of the previous release work for one more, and say what to write instead."""

import importlib
import subprocess
import sys
import warnings

import pytest

from nuthatch.deprecated import MODULES, NAMES


@pytest.mark.parametrize(("old", "new"), MODULES.items())
def test_an_old_module_is_the_new_one(old: str, new: str) -> None:
    sys.modules.pop(f"nuthatch.{old}", None)
    with pytest.warns(DeprecationWarning, match=rf"nuthatch\.{old} is deprecated: use nuthatch"):
        module = importlib.import_module(f"nuthatch.{old}")
    assert module is importlib.import_module(f"nuthatch.{new}")
    assert module.__name__ == module.__spec__.name == f"nuthatch.{new}"


@pytest.mark.parametrize("old", [f"{module}:{name}" for module in NAMES for name in NAMES[module]])
def test_an_old_name_is_the_new_one(old: str) -> None:
    module, _, name = old.partition(":")
    path, _, attribute = NAMES[module][name].partition(":")
    with pytest.warns(DeprecationWarning, match=f"{name} is deprecated: use nuthatch"):
        value = getattr(importlib.import_module(f"nuthatch.{module}"), name)
    assert value is getattr(importlib.import_module(f"nuthatch.{path}"), attribute)


def test_the_warning_names_the_line_that_imports() -> None:
    code = "import nuthatch\nfrom nuthatch.tools.detect import Detect\n"
    run = [sys.executable, "-W", "always", "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert "nuthatch.tools.detect is deprecated: use nuthatch.tools.detection.detect" in done.stderr


def test_the_package_itself_uses_no_old_name() -> None:
    code = (
        "import warnings; warnings.simplefilter('error')\n"
        "import nuthatch\n"
        "[getattr(nuthatch, name) for name in nuthatch.__all__]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_module_that_never_was_is_not_found() -> None:
    with warnings.catch_warnings(), pytest.raises(ModuleNotFoundError):
        importlib.import_module("nuthatch.tools.nowhere")
