"""Nuthatch: a multimodal planner that calls typed tools, and a verifier that checks its answers.

The folders `agent`, `tools`, `mllm` and `training` live at the top of the repository; the links
beside this file give them their import names (`nuthatch.agent`, ...). Nothing heavy is imported
before it is used: `import nuthatch` needs neither torch nor any model.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from nuthatch.deprecated import find_moved_modules

if TYPE_CHECKING:
    from nuthatch.agent.agent import Agent as Agent
    from nuthatch.agent.answer import Answer as Answer
    from nuthatch.agent.budget import Budget as Budget
    from nuthatch.agent.planner import ScriptedPlanner as ScriptedPlanner
    from nuthatch.examples import example as example
    from nuthatch.tools.base.function_tool import tool as tool
    from nuthatch.tools.base.tool import Tool as Tool
    from nuthatch.tools.base.toolset import ToolSet as ToolSet
    from nuthatch.tools.faults import RetryCall as RetryCall
    from nuthatch.tools.faults import ToolUnavailable as ToolUnavailable
    from nuthatch.tools.media.geometry import Box as Box
    from nuthatch.tools.media.store import MediaStore as MediaStore
    from nuthatch.tools.toolbox import Toolbox as Toolbox
    from nuthatch.tools.verifier import Verifier as Verifier

__version__ = "0.1.0"

if not Path(__file__).with_name("agent").is_dir():
    # A clone without symbolic links, or an unpacked source archive: the folders stand beside ours.
    __path__.append(str(Path(__file__).parents[1]))

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
    "ToolSet": "nuthatch.tools.base.toolset",
    "ToolUnavailable": "nuthatch.tools.faults",
    "Toolbox": "nuthatch.tools.toolbox",
    "Verifier": "nuthatch.tools.verifier",
    "example": "nuthatch.examples",
    "tool": "nuthatch.tools.base.function_tool",
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
