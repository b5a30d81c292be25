"""Installations to test: ones that lack something, and environments of their own."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.paths import ROOT

# Nothing but the standard library, the package and what it cannot do without.
WITHOUT_EXTRAS = """
import sys
from importlib.machinery import PathFinder

BASE = {"nuthatch", "numpy", "PIL", "platformdirs", "pydantic", "pydantic_core", "rich"}
BASE |= {"typing_extensions", "typing_inspection", "annotated_types", "markdown_it", "mdurl"}
BASE |= {"pygments", *sys.stdlib_module_names}


class Base(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        here = name.partition(".")[0] in BASE or name.startswith("_")
        return super().find_spec(name, path, target) if here else None


sys.meta_path[:] = [Base if finder is PathFinder else finder for finder in sys.meta_path]
"""
# As on a system that is no POSIX one.
WITHOUT_POSIX = """
import os, sys
del os.register_at_fork, os.sysconf, os.fork
sys.modules["fcntl"] = None
"""


def python(head: str, code: str, *words: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run code behind one of the heads above; `words` are its `sys.argv[1:]`."""
    return subprocess.run(
        [sys.executable, "-c", head + code, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "NUTHATCH_HOME": str(home)},
    )


FOLDERS = ("agent", "examples", "mllm", "tools", "training")


def copy_tree(clone: Path, *, links: bool, weights: bool = False) -> Path:
    """What an installation needs of the tree; `links=False`: as git checks out where it has none.

    Then each link in `nuthatch/` is a file that holds its target.
    """
    left_out = ["__pycache__", "checkpoints", *([] if weights else ["*.safetensors"])]
    for name in (*FOLDERS, "nuthatch"):
        skip = shutil.ignore_patterns(*left_out)
        shutil.copytree(ROOT / name, clone / name, symlinks=True, ignore=skip)
    for name in FOLDERS:
        link = clone / "nuthatch" / name
        link.unlink(missing_ok=True)  # a source archive has none
        if links:
            link.symlink_to(f"../{name}")
        else:
            link.write_text(f"../{name}")
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, clone / name)
    return clone


def environment(folder: Path, *install: str) -> Path:
    """A virtual environment with the package installed as `install` says; its `bin` folder.

    It finds the packages that these tests use, but not the installation that runs them: files
    `*.pth` of a folder that is itself named in one are not read.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (site,) = folder.glob("lib/*/site-packages")
    (site / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
    interpreter = str(folder / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", interpreter, "install", "--quiet", "--no-deps"]
    done = run([*pip, "--no-build-isolation", *install], cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "bin"


def run(
    command: list[str], *, cwd: Path, home: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command as a user does, who knows nothing of the tree that runs these tests."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if home is not None:
        variables["NUTHATCH_HOME"] = str(home)
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=variables)
