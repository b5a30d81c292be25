"""Installations that lack something, made for the time of one Python process."""

import subprocess
import sys
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
    import os

    return subprocess.run(
        [sys.executable, "-c", head + code, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "NUTHATCH_HOME": str(home)},
    )
