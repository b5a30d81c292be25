"""The documentation builds without a warning, and what it shows in Python runs.

Blocks of one page run in order and share their names, in the folder of the repository. A page with
the comment `<!-- slow -->` runs with the slow tests; a block after `<!-- not run: why -->` is shown
only. Examples that a page includes have a test of their own (`test_examples`).
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

BLOCK = re.compile(r"(<!-- not run: .+? -->\n)?^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(path: Path) -> list[str]:
    found = BLOCK.findall(path.read_text(encoding="utf-8"))
    return [code for left_out, code in found if not left_out]


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def as_case(path: Path):
    slow = "<!-- slow -->" in path.read_text(encoding="utf-8")
    marks = [pytest.mark.slow] if slow else []
    return pytest.param(path, id=path.relative_to(ROOT).as_posix(), marks=marks)


@pytest.mark.parametrize("path", [as_case(path) for path in PAGES if blocks(path)])
def test_the_code_of_the_page_runs(path, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NUTHATCH_HOME", str(tmp_path))
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {"__name__": "__main__"}
    for number, code in enumerate(blocks(path), 1):
        # The file must have lines: tools read the source of functions.
        file = tmp_path / f"{path.stem}_{number}.py"
        file.write_text(code, encoding="utf-8")
        exec(compile(code, str(file), "exec"), names)
        assert capsys.readouterr().out.strip(), f"block {number} prints nothing"


def test_the_pages_build_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    fetched = r'<(?:script|link|img)[^>]+(?:src|href)="?https?://'
    for page in tmp_path.rglob("*.html"):  # reads offline
        assert not re.search(fetched, page.read_text(encoding="utf-8")), page


def test_the_readme_is_short_begins_with_something_to_run_and_links_to_what_exists():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 160
    assert len(text.split()) <= 1600
    assert len(text.partition("    pip install")[0].split()) <= 60
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", text):
        assert (ROOT / target).exists(), target
