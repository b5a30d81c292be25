"""The notice that nobody could check an answer, since no judge works here."""

from collections.abc import Sequence

from nuthatch.tools.base import ToolResult
from nuthatch.tools.notices import Notice
from nuthatch.tools.verification.types import Verdict

NO_JUDGE = "judges.missing"
_LOOK = {"detect", "tag", "tag_sound"}


def absent_judges(calls: Sequence[ToolResult], verdicts: Sequence[Verdict]) -> list[Notice]:
    """Why no claim could be judged, if for want of judges; else nothing.

    Args:
        calls: those that the check has made.
    """
    judges = [result for result in calls if result.call.tool in _LOOK]
    lacks = dict.fromkeys(r.fault.message for r in judges if r.fault and r.fault.is_final)
    decided = any(verdict.verdict != "not_enough_evidence" for verdict in verdicts)
    if decided or not lacks or any(result.ok for result in judges):
        return []
    return [
        Notice(code=NO_JUDGE, text=f"no judge works here, nothing was checked: {'; '.join(lacks)}")
    ]
