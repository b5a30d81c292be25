"""Each script of examples/ runs as it is, without arguments, and prints something.

A script that needs more than some seconds holds the comment `# slow` on a line of its own; `make
test-all` runs it.
"""

import runpy
from pathlib import Path

import pytest

from tests.paths import EXAMPLES

SCRIPTS = sorted(EXAMPLES.glob("[!_]*.py"))
MAX_LINES = 60


def as_case(path: Path):
    slow = "# slow" in path.read_text(encoding="utf-8").splitlines()
    return pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if slow else [])


def test_there_are_examples():
    assert SCRIPTS


@pytest.mark.parametrize("path", [as_case(path) for path in SCRIPTS])
def test_the_example_runs_and_prints(path, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NUTHATCH_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)  # it finds its media from anywhere
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_the_example_is_short_and_says_what_it_shows(path):
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= MAX_LINES
    assert source.startswith('"""')
