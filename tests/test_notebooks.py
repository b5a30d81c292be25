"""Each notebook runs from top to bottom, and is stored with the outputs of a run."""

import nbformat
import pytest
from nbclient import NotebookClient

from tests.paths import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_runs_and_is_stored_with_its_outputs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("NUTHATCH_HOME", str(tmp_path))
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert any(cell.outputs for cell in code), "run it and save it with its outputs"
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": path.parent}}).execute()
    printed = "".join(
        output.get("text", "") for cell in code for output in cell.outputs if "text" in output
    )
    assert printed.strip()


def test_there_is_a_notebook():
    assert NOTEBOOKS
