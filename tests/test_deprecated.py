"""Paths and names of the previous release work for one more, and say what to write instead."""

import importlib
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest

from nuthatch.agent.core_planner import CorePlanner
from nuthatch.agent.planner import ScriptedPlanner
from nuthatch.deprecated import MODULES, NAMES
from nuthatch.tools.base import Context
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.media.store import MediaStore
from nuthatch.tools.toolset import ToolSet
from nuthatch.tools.weights.store import Weights
from tests.mllm.generation.speakers import random_llama, tokenizer


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


def test_renamed_attributes_and_methods_warn_and_work(tmp_path: Path) -> None:
    planner = ScriptedPlanner([])
    with pytest.warns(DeprecationWarning, match="use received"):
        assert planner.heard is planner.received
    executor = ToolExecutor(ToolSet([]), MediaStore(tmp_path), Weights())
    context = Context("call_1", executor.media, executor.weights, executor)
    with pytest.warns(DeprecationWarning, match="use executor"):
        assert context.bench is executor
    core = CorePlanner(random_llama(), SimpleNamespace(tokenizer=tokenizer()), weights_name="core")
    with pytest.warns(DeprecationWarning, match="use weights_name"):
        old = CorePlanner(random_llama(), SimpleNamespace(tokenizer=tokenizer()), eyes="core")
    assert old.weights_name == core.weights_name
    with pytest.warns(DeprecationWarning, match="use generate"):
        assert core.decoder.speak([]) == []
