"""Masks quoted fault messages in a draft while it is verified, and restores them afterwards.

The message of a fault makes no claim about a picture or a sound.
"""

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
    """The correction of the draft itself, from that of the covered draft."""
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
