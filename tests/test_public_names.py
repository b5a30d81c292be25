"""`from nuthatch import ...`: what it offers to programs, people at a prompt, and checkers."""

import ast
import subprocess
import sys
import types

import pytest

import nuthatch
from tests.paths import ROOT

PUBLIC = [
    "Agent",
    "all_tools",
    "Answer",
    "Answered",
    "Arguments",
    "AudioRef",
    "Box",
    "Budget",
    "Call",
    "Claim",
    "ClaimChecked",
    "Context",
    "Conversation",
    "Correction",
    "default_tools",
    "delete_run",
    "Detection",
    "DetectionRef",
    "DetectionSet",
    "Draft",
    "Drafted",
    "Edit",
    "Event",
    "Evidence",
    "exactly_one_of",
    "example",
    "Fault",
    "FOR_PEOPLE",
    "ImageRef",
    "JournalError",
    "Label",
    "list_runs",
    "load_run",
    "Mask",
    "MaskRef",
    "Media",
    "MediaError",
    "MediaStore",
    "Notice",
    "Planner",
    "PlannerFailed",
    "Point",
    "Provenance",
    "prune_runs",
    "QuestionError",
    "Quoted",
    "REGION",
    "Region",
    "Report",
    "RetryCall",
    "RulesPlanner",
    "RunLine",
    "ScriptedPlanner",
    "Sides",
    "StoreError",
    "Timing",
    "tool",
    "Tool",
    "Toolbox",
    "ToolCall",
    "ToolFailed",
    "ToolFault",
    "ToolFinished",
    "ToolResult",
    "ToolSet",
    "ToolStarted",
    "ToolUnavailable",
    "Turn",
    "Verdict",
    "Verifier",
    "View",
    "Weights",
    "__version__",
]


def in_process(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_the_public_names_are_these_and_all_can_be_imported():
    """A name that goes, or gets another meaning, breaks programs: deprecate it first."""
    assert sorted(nuthatch.__all__) == sorted(PUBLIC)
    for name in PUBLIC:
        assert getattr(nuthatch, name) is not None


def test_a_prompt_completes_all_of_them_before_any_was_used():
    done = in_process("import nuthatch; print(set(nuthatch.__all__) - set(dir(nuthatch)))")
    assert done.stdout.strip() == "set()"


def test_type_checkers_see_each_name_where_programs_find_it():
    tree = ast.parse((ROOT / "nuthatch" / "__init__.py").read_text(encoding="utf-8"))
    (block,) = [
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    seen = {
        alias.asname or alias.name: node.module.removeprefix("nuthatch.")
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    assert seen == nuthatch._HOMES
    assert seen.keys() | {"__version__"} == set(nuthatch.__all__)


def test_the_reference_shows_every_name():
    page = (ROOT / "docs" / "reference" / "public.md").read_text(encoding="utf-8")
    shown = {line.removeprefix("::: ") for line in page.splitlines() if line.startswith("::: ")}
    assert shown == {f"nuthatch.{home}.{name}" for name, home in nuthatch._HOMES.items()}


def test_a_misspelt_name_is_answered_with_the_nearest():
    with pytest.raises(AttributeError, match="did you mean 'Toolbox'"):
        nuthatch.ToolBox  # noqa: B018


def test_the_real_cause_of_a_failed_import_is_shown(monkeypatch):
    def broken(name: str) -> types.ModuleType:
        raise AttributeError("module 'os' has no attribute 'sysconf'")

    monkeypatch.setattr(nuthatch, "import_module", broken)
    monkeypatch.delitem(vars(nuthatch), "Budget", raising=False)
    with pytest.raises(ImportError, match=r"nuthatch\.Budget.*'os' has no attribute 'sysconf'"):
        from nuthatch import Budget  # noqa: F401


def test_what_a_user_of_tools_and_planners_needs_loads_no_model_library():
    code = (
        "from nuthatch import *; Toolbox(); ScriptedPlanner([]); RulesPlanner(); import sys;"
        "print({'torch', 'transformers'} & set(sys.modules))"
    )
    done = in_process(code)
    assert done.stdout.strip() == "set()", done.stderr
