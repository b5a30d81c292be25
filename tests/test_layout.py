"""The house keeps its order: what may import what, and a tree in the README that is true."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.paths import ROOT

ORDER = ("mllm", "tools", "agent", "training")  # each may import itself and what stands before it

FREE = ("deprecated", "extras", "messages")  # import nothing of ours: everyone may import them


def modules() -> Iterator[tuple[str, Path]]:
    for folder in (*ORDER, "nuthatch"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if folder == "nuthatch" and path.parent.name != "nuthatch":
                continue  # the links: seen under their own folder
            if folder == "nuthatch" and path.parent != ROOT / "nuthatch":
                continue
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = parts if folder == "nuthatch" else ("nuthatch", *parts)
            yield ".".join(part for part in name if part != "__init__"), path


MODULES = dict(modules())


def imported(path: Path, *, at_top: bool) -> set[str]:
    """Modules of ours that a file imports; `at_top` leaves out imports inside functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes: list[ast.AST] = list(tree.body) if at_top else list(ast.walk(tree))
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return {name for name in names if name.split(".")[0] == "nuthatch"}


@pytest.mark.parametrize("folder", ORDER)
def test_a_folder_imports_only_itself_and_what_lies_below_it(folder):
    allowed = set(ORDER[: ORDER.index(folder) + 1])
    for name, path in MODULES.items():
        if name.split(".")[1:2] != [folder]:
            continue
        for target in imported(path, at_top=False):
            second = ([*target.split("."), ""])[1]
            free = second in ("__version__", "", *FREE)
            assert second in allowed or free, f"{name} imports {target}"


def test_no_module_imports_itself_by_a_detour():
    graph = {
        name: {target for target in imported(path, at_top=True) if target in MODULES} - {name}
        for name, path in MODULES.items()
    }

    def detour(start: str, at: str, seen: set[str]) -> list[str] | None:
        for target in graph[at]:
            if target == start:
                return [at]
            if target not in seen:
                seen.add(target)  # no way back leads through it, or it would have been found
                if rest := detour(start, target, seen):
                    return [at, *rest]
        return None

    package = {name for name, path in MODULES.items() if path.name == "__init__.py"}
    for name in graph.keys() - package:
        cycle = detour(name, name, package | {name})
        assert cycle is None, f"import cycle: {' > '.join([*cycle, name])}"


def test_nobody_imports_the_plain_folder_names():
    for name, path in MODULES.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            module = node.module if isinstance(node, ast.ImportFrom) else None
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [module]
            for target in names:
                assert (target or "").split(".")[0] not in ORDER, f"{name} imports {target}"


def test_importing_the_package_needs_no_heavy_library():
    code = "import nuthatch, sys; print([m for m in ('torch','transformers') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_can_be_imported():
    import nuthatch

    for name in nuthatch.__all__:
        assert getattr(nuthatch, name) is not None


def test_files_stay_short_enough_to_be_read():
    long = {
        str(path.relative_to(ROOT)): lines
        for path in MODULES.values()
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 420
    }
    assert not long
