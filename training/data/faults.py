"""Tools that fail, and what a planner does then: try again, take another way, or say so."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from nuthatch.tools.base.tool import ToolResult
from nuthatch.tools.faults import ToolFailed, ToolFault, ToolUnavailable
from nuthatch.training.data.talk import Call, Talk
from nuthatch.training.data.words import Noun, listed

SHARE = 0.06
_EXTRAS = {"detect": "vision", "segment": "vision", "tag": "vision", "tag_sound": "audio"}


def strike(talk: Talk) -> bool:
    """Whether the next call fails; never where a first turn is scored."""
    return not (talk.held.branches or talk.held.words) and talk.draw.chance(SHARE)


def fault(talk: Talk, tool: str) -> ToolFault:
    """A failure as the house words it."""
    match talk.draw.choices(range(4), (4, 2, 1, 3))[0]:
        case 0:
            return ToolUnavailable(
                f"the weights '{tool}' are not at models/{tool}; "
                f"train them with: nuthatch train embedded --stage perceive --only {tool}"
            )
        case 1:
            extra = _EXTRAS.get(tool, "imagine")
            return ToolUnavailable(
                f"'{tool}' needs a package that is missing (torch): "
                f"pip install 'nuthatch[{extra}]'",
                "dependency_missing",
            )
        case 2:
            return ToolUnavailable(f"{tool} ran out of memory", "out_of_memory")
        case _:
            return ToolFailed(f"{tool} did not end within 60 s and was given up", "timeout")


def sorry(tool: str, problem: ToolFault) -> str:
    """What is said when a tool has failed for good."""
    reasons = {
        "weights_missing": "its weights are missing",
        "dependency_missing": "a package is missing",
        "out_of_memory": "there is not enough memory",
        "timeout": "it took too long",
    }
    return f"I could not find out: {tool} failed, {reasons[problem.code]}."


def overcome(talk: Talk, call: Call, asked: Sequence[Noun]) -> bool:
    """A call to `detect` fails. True: it is worth trying again; else the dialogue has ended."""
    problem = fault(talk, "detect")
    talk.call(call, fault=problem)
    if problem.code == "timeout":
        return True
    if "tag" in talk.tools and all(each.category for each in asked):
        labels = call[1]["labels"]
        (result,) = talk.call(("tag", {"image": call[1]["image"], "labels": labels}))
        value: Any = result.value
        said = [f"{tag.label} ({tag.score:.2f})" for tag in value.tags]
        talk.say(f"The detector failed, so I asked the tagger: {listed(said)}.")
        return False
    talk.say(sorry("detect", problem))
    return False


def attempt(
    talk: Talk, call: Call, told: BaseModel | None = None, *, may_fail: bool = True
) -> ToolResult | None:
    """Make a call; a timeout is tried again, any other failure is told. None: it was told."""
    if may_fail and strike(talk):
        problem = fault(talk, call[0])
        talk.call(call, fault=problem)
        if problem.code != "timeout":
            talk.say(sorry(call[0], problem))
            return None
    (result,) = talk.call(call, told=[told] if told is not None else [])
    return result
