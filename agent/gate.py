"""The verification of a draft: which call checks it, with which tools, and what is left of it.

The check is the tool `correct_answer`, called like any other: its calls are journaled, it has a
time limit, and a planner's own tool of the same name takes its place. The author of a draft is
never its judge, and a tool that it quotes is one only as far as that was measured, so the gate says
whose words and whose findings they may be. What was said for want of a tool that cannot work here
is a guess; it passes only if the judges support all of it. So is what was said about a picture or a
sound that the models it was judged with do not know: in its place leaves that it cannot be told.
"""

from collections.abc import Iterable, Iterator

from nuthatch.agent.answer import Draft
from nuthatch.agent.budget import Stopped
from nuthatch.agent.conversation import Conversation
from nuthatch.agent.quoted_faults import covered, uncovered
from nuthatch.tools.base.notices import distinct
from nuthatch.tools.base.tool import ToolCall, ToolResult
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.domain.abstain import notices
from nuthatch.tools.domain.check import OUTSIDE
from nuthatch.tools.media.store import MediaKind
from nuthatch.tools.verification.types import Correction, Edit
from nuthatch.tools.weights.store import Weights

CHECK = "correct_answer"
CANNOT_TELL = "I cannot tell: the models here do not know {kinds} of this kind."
JUDGES = {"detect": "detector", "tag": "tagger", "tag_sound": "sound_tagger"}
"""Weights -> the judge that uses them."""
READERS = {"read_text": "reader"}
"""Tools without weights -> the judge that uses them."""


def check_call(draft: Draft, conversation: Conversation) -> ToolCall:
    """The call that has the draft checked against the picture and the sound it is about."""
    text = covered(draft.text, conversation.now.observed)
    arguments: dict[str, object] = {"answer": text, "question": conversation.question}
    for kind in ("image", "audio"):
        subject = _subject(conversation, kind)
        if subject is not None:
            arguments[kind] = subject
    return ToolCall(_call_id(conversation), CHECK, arguments)


def correction(
    draft: Draft, conversation: Conversation, weights: Weights, planner_weights: str | None = None
) -> Correction:
    """What the check, whose result the conversation has observed, leaves of the draft.

    `planner_weights` are the weights by which the planner itself looks at media, if it does.

    Raises:
        Stopped: the draft could not be checked, or is a guess, so there is no answer.
    """
    result = conversation.now.results[_call_id(conversation)]
    if not isinstance(result.value, Correction):
        why = result.fault.message if result.fault else f"{CHECK} gave no correction"
        raise Stopped(f"the draft could not be checked: {why}")
    lacking = _lacking(conversation)
    verdicts = {verdict.verdict for verdict in result.value.verdicts}
    if lacking and (verdicts != {"supported"} or result.value.unread):
        raise Stopped(lacking)
    checked = uncovered(result.value, draft.text)
    return _without_guesses(checked, conversation, weights, planner_weights)


def _call_id(conversation: Conversation) -> str:
    return f"check_{len(conversation.exchanges)}"


def _without_guesses(
    checked: Correction, conversation: Conversation, weights: Weights, planner_weights: str | None
) -> Correction:
    """The same, or an abstention, where the draft rests on media outside the domain of the models
    and was not judged in all its parts."""
    rests_on = [
        notice for result in conversation.now.observed if result.ok for notice in result.notices
    ]
    if planner_weights and not any(result.ok for result in conversation.now.observed):
        subject, sound = _subject(conversation, "image"), _subject(conversation, "audio")
        about_it = checked.verdicts or subject in conversation.now.given
        of_sound = any(verdict.claim.kind == "sound" for verdict in checked.verdicts)
        about = [subject] if subject and about_it else []
        about += [sound] if sound and (of_sound or not subject) else []
        rests_on += notices(weights, [planner_weights], conversation.media, about)
    rests_on = [notice for notice in rests_on if notice.code == OUTSIDE]
    names = {verdict.verdict for verdict in checked.verdicts}
    judged = bool(names) and "not_enough_evidence" not in names and not checked.unread
    if not rests_on or judged:
        return checked
    kinds = {conversation.media[each.about].type for each in rests_on if each.about}
    cannot_tell = CANNOT_TELL.format(kinds="sounds" if kinds == {"audio"} else "pictures")
    withheld = Edit(
        op="abstain",
        span=(0, len(checked.draft)),
        old_text=checked.draft,
        new_text=cannot_tell,
        claim_id="",
        evidence_ids=(),
    )
    return checked.model_copy(
        update={
            "revised": cannot_tell,
            "final": cannot_tell,
            "choice": "revised",
            "choice_reason": "the draft rests on media that the models here do not know",
            "edits": [withheld],
            "unread": [],
            "notices": distinct([*checked.notices, *rests_on]),
        }
    )


def _lacking(conversation: Conversation) -> str:
    """Which tools that were called for the question cannot work here, and what would help; empty:
    none."""
    worked = {result.call.tool for result in conversation.now.observed if result.ok}
    lacks = [
        (result.call.tool, result.fault.message)
        for result in conversation.now.observed
        if result.fault and result.fault.is_final and result.call.tool not in worked
    ]
    if not lacks:
        return ""
    tools, messages = (dict.fromkeys(each) for each in zip(*lacks, strict=True))
    return f"{', '.join(tools)} cannot work here: {'; '.join(messages)}"


def with_judges(tools: ToolSet) -> ToolSet:
    """The planner's tools and, from the catalogue, those that a check needs and they lack."""
    from nuthatch.tools.catalogue import default_tools

    return default_tools().with_tools(*tools)


def sources(conversation: Conversation) -> list[str]:
    """The judges whose findings a draft may quote: all that the planner has observed."""
    return sources_among(_observed(conversation))


def sources_among(results: Iterable[ToolResult]) -> list[str]:
    """The judges whose findings these results hold, those of calls inside calls too."""
    worked = [result for result in _flat(results) if result.ok]
    models = {name for r in worked if r.provenance for name in r.provenance.models}
    found = {JUDGES[name] for name in models if name in JUDGES}
    return sorted(found | {READERS[r.call.tool] for r in worked if r.call.tool in READERS})


def authors(conversation: Conversation, weights: Weights) -> list[str]:
    """The judges that share their weights with a model whose words the planner has read, such as a
    captioner, or with the planner's own core."""
    worked = [result.provenance for result in _flat(_observed(conversation)) if result.ok]
    used = {pair for made in worked if made for pair in made.models.items()}
    wrote = {sha256 for name, sha256 in used if name not in JUDGES}
    wrote = {*wrote, weights.fingerprint("core")} - {"", "given"}
    return sorted(judge for name, judge in JUDGES.items() if weights.fingerprint(name) in wrote)


def _observed(conversation: Conversation) -> list[ToolResult]:
    return [result for exchange in conversation.exchanges for result in exchange.observed]


def _flat(results: Iterable[ToolResult]) -> Iterator[ToolResult]:
    for result in results:
        yield result
        yield from _flat(result.children)


def impartial(tools: ToolSet, conversation: Conversation, weights: Weights) -> ToolSet:
    """The tools with a `correct_answer` that knows authors and sources; one of the user's own is
    kept."""
    from nuthatch.tools.verification.tools import CorrectAnswer

    if type(tools[CHECK]) is not CorrectAnswer:
        return tools
    return tools.with_tools(CorrectAnswer(authors(conversation, weights), sources(conversation)))


def _subject(conversation: Conversation, kind: MediaKind) -> str | None:
    """The one picture (or sound) that this exchange is about: what the planner looked at, else
    what came with the question, else the latest of the conversation.

    None where there are several: a claim about one must not be judged by another.
    """
    given = [
        item.handle for item in conversation.media.items() if item.type == kind and not item.made_by
    ]
    seen = {
        handle
        for result in conversation.now.observed
        if result.provenance is not None
        for handle in _origins(conversation, result.provenance.inputs)
        if handle in given
    }
    candidates = sorted(seen) or [h for h in conversation.now.given if h in given] or given[-1:]
    return candidates[0] if len(candidates) == 1 else None


def _origins(conversation: Conversation, handles: Iterable[str]) -> Iterator[str]:
    """The media a crop, or a crop of a crop, was made from."""
    for handle in handles:
        parents = conversation.media[handle].parents
        yield from _origins(conversation, parents) if parents else (handle,)
