"""Nuthatch: a multimodal planner that calls typed tools, and a verifier that checks its answers.

The folders `agent`, `tools`, `mllm` and `training` live at the top of the repository; the links
beside this file give them their import names (`nuthatch.agent`, ...). Nothing heavy is imported
before it is used: `import nuthatch` needs neither torch nor any model.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from nuthatch.deprecated import find_moved_modules

if TYPE_CHECKING:
    from nuthatch.agent.agent import Agent as Agent
    from nuthatch.agent.answer import Answer as Answer
    from nuthatch.agent.budget import Budget as Budget
    from nuthatch.agent.planner import ScriptedPlanner as ScriptedPlanner
    from nuthatch.tools.base import Tool as Tool
    from nuthatch.tools.faults import RetryCall as RetryCall
    from nuthatch.tools.faults import ToolUnavailable as ToolUnavailable
    from nuthatch.tools.function_tool import tool as tool
    from nuthatch.tools.media.geometry import Box as Box
    from nuthatch.tools.media.store import MediaStore as MediaStore
    from nuthatch.tools.toolbox import Toolbox as Toolbox
    from nuthatch.tools.toolset import ToolSet as ToolSet
    from nuthatch.tools.verifier import Verifier as Verifier

__version__ = "0.1.0"

find_moved_modules()

_HOMES = {
    "Agent": "nuthatch.agent.agent",
    "Answer": "nuthatch.agent.answer",
    "Box": "nuthatch.tools.media.geometry",
    "Budget": "nuthatch.agent.budget",
    "MediaStore": "nuthatch.tools.media.store",
    "RetryCall": "nuthatch.tools.faults",
    "ScriptedPlanner": "nuthatch.agent.planner",
    "Tool": "nuthatch.tools.base",
    "ToolSet": "nuthatch.tools.toolset",
    "ToolUnavailable": "nuthatch.tools.faults",
    "Toolbox": "nuthatch.tools.toolbox",
    "Verifier": "nuthatch.tools.verifier",
    "tool": "nuthatch.tools.function_tool",
}

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        try:
            module = import_module(_HOMES[name])
        except AttributeError as error:  # `from nuthatch import Agent` would hide it
            raise ImportError(f"{_HOMES[name]} cannot be imported: {error}") from error
        return getattr(module, name)
    raise AttributeError(f"module 'nuthatch' has no attribute '{name}'; it offers {__all__}")
