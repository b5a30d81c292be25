"""What a planner quotes from the failure of a tool says nothing of a picture or a sound, so it is
covered up before a draft is checked, and uncovered in what the check has left of it."""

import re
from collections.abc import Iterable

from nuthatch.tools.base.tool import ToolResult
from nuthatch.tools.verification.editing.edits import replay
from nuthatch.tools.verification.types import Correction

COVER = "·"
SHORTEST = 20  # characters of a part of a message that counts as quoted


def covered(draft: str, results: Iterable[ToolResult]) -> str:
    """The draft, as long as before, with the messages of faults, and whole sentences of them,
    covered up."""
    for part in _parts(results):
        draft = draft.replace(part, COVER * len(part))
    return draft


def uncovered(checked: Correction, draft: str) -> Correction:
    """What the check of a covered draft says of the draft itself."""
    if checked.draft == draft:
        return checked
    revised = replay(draft, checked.edits)
    kept = checked.choice == "draft"
    return checked.model_copy(
        update={"draft": draft, "revised": revised, "final": draft if kept else revised}
    )


def _parts(results: Iterable[ToolResult]) -> list[str]:
    """Messages and their sentences, the longest first."""
    found: set[str] = set()
    for result in results:
        if result.fault is not None:
            whole = result.fault.message.strip()
            parts = re.split(r"(?<=[.;:!?])\s+|\n", whole)
            found |= {part for part in (whole, whole.rstrip("."), *parts) if len(part) >= SHORTEST}
    return sorted(found, key=lambda part: (-len(part), part))
