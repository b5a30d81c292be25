"""The house keeps its order: what may import what, and a tree in the README that is true."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
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


TASKS = (
    "audio",
    "basic",
    "captioning",
    "detection",
    "image_generation",
    "ocr",
    "segmentation",
    "tagging",
)
ABOVE_MEDIA = (*TASKS, "base", "composite", "domain", "execution", "output", "verification")
# Who must not import whom, late imports included.
NEVER = [
    ("mllm.presets", ("mllm.convert",)),
    ("tools.media", ("mllm", "tools.weights", *(f"tools.{each}" for each in ABOVE_MEDIA))),
    ("tools.weights", tuple(f"tools.{each}" for each in ABOVE_MEDIA)),
    *((f"tools.{a}", tuple(f"tools.{b}" for b in (*TASKS, "composite") if b != a)) for a in TASKS),
    ("tools.verification", ("tools.catalogue", "tools.toolbox", "tools.verifier")),
    ("tools.verification.extraction", ("tools.verification.evidence",)),
    (
        "tools.verification.evidence",
        ("tools.verification.rules", "tools.verification.editing", "tools.verification.correction"),
    ),
    ("tools.verification.rules", ("tools.verification.editing", "tools.verification.correction")),
    ("tools.verification.editing", ("tools.verification.correction",)),
    ("training.world", ("training.data", "training.evaluate")),
    ("training.data", ("training.evaluate",)),
]


def inside(name: str, package: str) -> bool:
    return f"{name}.".startswith(f"nuthatch.{package}.")


@pytest.mark.parametrize(("package", "others"), NEVER, ids=lambda each: str(each)[:40])
def test_a_package_never_imports_what_stands_beside_or_above_it(package, others):
    for name, path in MODULES.items():
        if inside(name, package):
            for target in imported(path, at_top=False):
                assert not any(inside(target, other) for other in others), f"{name}: {target}"


def test_the_packages_of_tools_are_few_and_stand_in_layers():
    """Each is at least one layer above all that it imports; a circle has no layers."""

    def part(name: str) -> str:
        return name.split(".")[2] if name.startswith("nuthatch.tools.") else ""

    below: dict[str, set[str]] = {part(name): set() for name in MODULES if part(name)}
    for name, path in MODULES.items():
        if part(name) and path.name != "__init__.py":
            parts = {part(target) for target in imported(path, at_top=False)}
            below[part(name)] |= {each for each in parts if each in below} - {part(name)}
    layers = list(TopologicalSorter(below).static_order())  # raises CycleError
    height: dict[str, int] = {}
    for each in layers:
        height[each] = 1 + max((height[other] for other in below[each]), default=0)
    assert len(below) <= 30
    assert max(height.values()) <= 9
    assert sum(map(len, below.values())) <= 120


def test_no_import_of_any_kind_runs_in_a_circle_between_files():
    plain = {name for name, path in MODULES.items() if path.name != "__init__.py"}
    graph = {
        name: {each for each in imported(MODULES[name], at_top=False) if each in plain} - {name}
        for name in plain
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


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
