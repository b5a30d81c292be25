"""What a user gets from the wheel, beside whatever else lies in their project."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.paths import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by way of the source archive, so that both are complete."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site)]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    return site


def python(code: str, *, folder: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Run code in `folder` with the installed wheel first on the path."""
    head = f"import sys; sys.path.insert(0, {str(site)!r}); sys.path.insert(0, {str(folder)!r})\n"
    return subprocess.run(
        [sys.executable, "-c", head + code], cwd=folder, capture_output=True, text=True
    )


def test_the_wheel_holds_one_top_level_name(wheel):
    names = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"nuthatch"}


def test_the_wheel_carries_code_weights_cards_and_recipes(wheel):
    packed = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("agent", "tools", "mllm", "training"):
        for path in (ROOT / folder).rglob("*"):
            wanted = path.suffix in (".py", ".safetensors", ".yaml", ".json", ".md", ".png")
            if path.is_file() and wanted and "__pycache__" not in path.parts:
                half_way = "checkpoints" in path.parts  # for further runs: in the clone only
                assert (f"nuthatch/{path.relative_to(ROOT)}" in packed) is not half_way


def test_a_users_own_tools_and_agent_do_no_harm(installed, tmp_path):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "__init__.py").write_text("MINE = True\n")
    (tmp_path / "agent.py").write_text("MINE = True\n")
    code = (
        "import agent, tools, nuthatch\n"
        "from nuthatch import Agent, Box\n"
        "assert tools.MINE and agent.MINE\n"
        "print(nuthatch.__file__, Agent.__module__, Box.__module__)"
    )
    done = python(code, folder=tmp_path, site=installed)
    assert done.returncode == 0, done.stderr
    assert str(installed) in done.stdout
    assert "nuthatch.agent.agent nuthatch.tools.media.geometry" in done.stdout


def test_importing_a_plain_folder_of_the_clone_says_what_to_do(installed):
    done = python("import tools", folder=ROOT, site=installed)
    assert done.returncode != 0
    assert "import nuthatch.tools" in done.stderr
