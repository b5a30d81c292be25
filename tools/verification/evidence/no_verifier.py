"""The notice that nobody could check an answer, since no judge works here."""

from collections.abc import Sequence

from nuthatch.tools.base.notices import Notice
from nuthatch.tools.base.tool import Context
from nuthatch.tools.verification.types import Verdict

NO_JUDGE = "judges.missing"
_LOOK = {"detect", "tag", "tag_sound"}


def absent_judges(
    context: Context, verdicts: Sequence[Verdict], *, image: bool, audio: bool
) -> list[Notice]:
    """Why nothing could be judged, if for want of judges; else nothing.

    Where no claim called for a judge, it is looked up whether one for the media would be here.

    Args:
        context: of the check, with the calls that it has made.
        image, audio: whether a picture, a sound was given.
    """
    judges = [result for result in context.children if result.call.tool in _LOOK]
    lacks = dict.fromkeys(r.fault.message for r in judges if r.fault and r.fault.is_final)
    if not judges and not verdicts:
        names = [*(("detect", "tag") if image else ()), *(("tag_sound",) if audio else ())]
        found = [context.weights.lack(name) for name in names]
        lacks = dict.fromkeys(found if all(found) else ())
    decided = any(verdict.verdict != "not_enough_evidence" for verdict in verdicts)
    if decided or not lacks or any(result.ok for result in judges):
        return []
    return [
        Notice(code=NO_JUDGE, text=f"no judge works here, nothing was checked: {'; '.join(lacks)}")
    ]
