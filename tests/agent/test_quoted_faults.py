"""What a planner quotes from the failure of a tool is no claim about a picture."""

from nuthatch.agent.quoted_faults import covered, uncovered
from nuthatch.tools.base import ToolCall, ToolResult
from nuthatch.tools.faults import Fault
from nuthatch.tools.verification.types import Correction, Edit

MESSAGE = "say has a bug: ValueError: there is a dog and a cat in the 3 boxes. Give two cups"


def failed(message: str) -> ToolResult:
    return ToolResult(ToolCall("call_1", "say", {}), None, Fault("internal", message), 1.0)


def test_messages_and_their_sentences_are_covered_to_the_letter() -> None:
    draft = f"I could not find out: {MESSAGE}. There is a cup."
    hidden = covered(draft, [failed(MESSAGE)])
    assert len(hidden) == len(draft)
    assert hidden == f"I could not find out: {'·' * len(MESSAGE)}. There is a cup."
    part = "It said: ValueError: there is a dog and a cat in the 3 boxes."
    assert "dog" not in covered(part, [failed(MESSAGE)])


def test_short_words_of_a_message_and_other_texts_are_left() -> None:
    draft = "Give two cups, and there is a dog."
    assert covered(draft, [failed(MESSAGE)]) == draft
    assert covered(draft, []) == draft


def test_edits_of_a_covered_draft_are_edits_of_the_draft() -> None:
    draft = f"{MESSAGE}. There is a dog."
    hidden = covered(draft, [failed(MESSAGE)])
    at = hidden.index("dog")
    edit = Edit(
        op="replace",
        span=(at, at + 3),
        old_text="dog",
        new_text="cup",
        claim_id="",
        evidence_ids=(),
    )
    checked = Correction(
        draft=hidden,
        revised=hidden.replace("dog", "cup"),
        final=hidden.replace("dog", "cup"),
        choice="revised",
        choice_reason="",
        edits=[edit],
        verdicts=[],
    )
    assert uncovered(checked, draft).final == f"{MESSAGE}. There is a cup."
    assert uncovered(checked, draft).draft == draft
    kept = checked.model_copy(update={"choice": "draft", "final": hidden, "edits": []})
    assert uncovered(kept, draft).final == draft
