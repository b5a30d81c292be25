"""Nuthatch: a multimodal planner that calls typed tools, and a verifier that checks its answers.

The folders `agent`, `tools`, `mllm` and `training` live at the top of the repository; the links
beside this file give them their import names (`nuthatch.agent`, ...). Nothing heavy is imported
before it is used: `import nuthatch` needs neither torch nor any model. The names in `__all__` are
the public interface; what they are imported from may change.
"""

from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from nuthatch.deprecated import find_moved_modules

if TYPE_CHECKING:
    from nuthatch.agent.agent import Agent
    from nuthatch.agent.answer import (
        Answer,
        Answered,
        ClaimChecked,
        Draft,
        Drafted,
        Event,
        Timing,
        ToolFinished,
        ToolStarted,
    )
    from nuthatch.agent.budget import Budget
    from nuthatch.agent.conversation import Conversation, QuestionError
    from nuthatch.agent.home import JournalError
    from nuthatch.agent.planner import Call, Planner, ScriptedPlanner, Turn
    from nuthatch.agent.rules import RulesPlanner
    from nuthatch.agent.run import PlannerFailed
    from nuthatch.agent.runs import RunLine, delete_run, list_runs, load_run, prune_runs
    from nuthatch.examples import example
    from nuthatch.tools.base.function_tool import tool
    from nuthatch.tools.base.notices import Notice
    from nuthatch.tools.base.regions import REGION, Point, Region, Sides
    from nuthatch.tools.base.tool import (
        FOR_PEOPLE,
        Arguments,
        AudioRef,
        Context,
        DetectionRef,
        DetectionSet,
        ImageRef,
        Label,
        MaskRef,
        Provenance,
        Quoted,
        Tool,
        ToolCall,
        ToolResult,
        exactly_one_of,
    )
    from nuthatch.tools.base.toolset import ToolSet
    from nuthatch.tools.catalogue import all_tools, default_tools
    from nuthatch.tools.faults import Fault, RetryCall, ToolFailed, ToolFault, ToolUnavailable
    from nuthatch.tools.media.files import StoreError
    from nuthatch.tools.media.geometry import Box, Mask
    from nuthatch.tools.media.store import Detection, Media, MediaStore
    from nuthatch.tools.media.types import MediaError
    from nuthatch.tools.output.view import View
    from nuthatch.tools.toolbox import Toolbox
    from nuthatch.tools.verification.types import Claim, Correction, Edit, Evidence, Report, Verdict
    from nuthatch.tools.verifier import Verifier
    from nuthatch.tools.weights.store import Weights

__version__ = "0.1.0"

if not Path(__file__).with_name("agent").is_dir():
    # A clone without symbolic links, or an unpacked source archive: the folders stand beside ours.
    __path__.append(str(Path(__file__).parents[1]))

find_moved_modules()

_MODULES = {
    "agent.agent": ("Agent",),
    "agent.answer": (
        "Answer",
        "Answered",
        "ClaimChecked",
        "Draft",
        "Drafted",
        "Event",
        "Timing",
        "ToolFinished",
        "ToolStarted",
    ),
    "agent.budget": ("Budget",),
    "agent.conversation": ("Conversation", "QuestionError"),
    "agent.home": ("JournalError",),
    "agent.planner": ("Call", "Planner", "ScriptedPlanner", "Turn"),
    "agent.rules": ("RulesPlanner",),
    "agent.run": ("PlannerFailed",),
    "agent.runs": ("RunLine", "delete_run", "list_runs", "load_run", "prune_runs"),
    "examples": ("example",),
    "tools.base.function_tool": ("tool",),
    "tools.base.notices": ("Notice",),
    "tools.base.regions": ("REGION", "Point", "Region", "Sides"),
    "tools.base.tool": (
        "FOR_PEOPLE",
        "Arguments",
        "AudioRef",
        "Context",
        "DetectionRef",
        "DetectionSet",
        "ImageRef",
        "Label",
        "MaskRef",
        "Provenance",
        "Quoted",
        "Tool",
        "ToolCall",
        "ToolResult",
        "exactly_one_of",
    ),
    "tools.base.toolset": ("ToolSet",),
    "tools.catalogue": ("all_tools", "default_tools"),
    "tools.faults": ("Fault", "RetryCall", "ToolFailed", "ToolFault", "ToolUnavailable"),
    "tools.media.files": ("StoreError",),
    "tools.media.geometry": ("Box", "Mask"),
    "tools.media.store": ("Detection", "Media", "MediaStore"),
    "tools.media.types": ("MediaError",),
    "tools.output.view": ("View",),
    "tools.toolbox": ("Toolbox",),
    "tools.verification.types": ("Claim", "Correction", "Edit", "Evidence", "Report", "Verdict"),
    "tools.verifier": ("Verifier",),
    "tools.weights.store": ("Weights",),
}
"""Module -> the public names that it defines; each is imported when it is first used."""

_HOMES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "FOR_PEOPLE",
    "REGION",
    "Agent",
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
    "Detection",
    "DetectionRef",
    "DetectionSet",
    "Draft",
    "Drafted",
    "Edit",
    "Event",
    "Evidence",
    "Fault",
    "ImageRef",
    "JournalError",
    "Label",
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
    "QuestionError",
    "Quoted",
    "Region",
    "Report",
    "RetryCall",
    "RulesPlanner",
    "RunLine",
    "ScriptedPlanner",
    "Sides",
    "StoreError",
    "Timing",
    "Tool",
    "ToolCall",
    "ToolFailed",
    "ToolFault",
    "ToolFinished",
    "ToolResult",
    "ToolSet",
    "ToolStarted",
    "ToolUnavailable",
    "Toolbox",
    "Turn",
    "Verdict",
    "Verifier",
    "View",
    "Weights",
    "__version__",
    "all_tools",
    "default_tools",
    "delete_run",
    "exactly_one_of",
    "example",
    "list_runs",
    "load_run",
    "prune_runs",
    "tool",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if not TYPE_CHECKING:  # type checkers would take any name for granted

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            near = get_close_matches(name, __all__, n=1)
            hint = f"did you mean '{near[0]}'?" if near else "dir(nuthatch) lists its names"
            raise AttributeError(f"module 'nuthatch' has no attribute '{name}'; {hint}")
        home = f"nuthatch.{_HOMES[name]}"
        try:
            found = getattr(import_module(home), name)
        except AttributeError as error:  # `from nuthatch import ...` would hide it
            raise ImportError(f"nuthatch.{name}: {home} cannot be imported: {error}") from error
        globals()[name] = found
        return found
