"""A conversation: questions, what was looked at for each, answers, and the media they are about.

The conversation is what a planner sees. It can be read back from the journals of its runs, so its
next question, a resumed run and a replay all start from the same thing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nuthatch.agent.home import JournalError
from nuthatch.agent.record import Record, detections_by_set, read_run
from nuthatch.messages import as_unicode
from nuthatch.tools.base.tool import ToolCall, ToolResult
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.media.ingest import MediaError
from nuthatch.tools.media.store import MediaStore
from nuthatch.tools.output.render import observation

MAX_CHARACTERS = 20_000


class QuestionError(ValueError):
    """A question that cannot be asked; `code` is for machines."""

    code = "invalid_question"


def checked_question(text: str) -> str:
    """The question, in any script, without what is no Unicode.

    Raises:
        QuestionError: no text, or more than 20 000 characters.
    """
    if not isinstance(text, str):
        raise QuestionError(f"the question is of type {type(text).__name__}; expected text")
    if not text.strip():
        raise QuestionError("the question is empty; ask something, e.g. 'What is in the picture?'")
    if len(text) > MAX_CHARACTERS:
        raise QuestionError(
            f"the question has {len(text):,} characters; at most {MAX_CHARACTERS:,} are taken. "
            "Ask about pictures and sounds by giving them, not by pasting them"
        )
    return as_unicode(text)


@dataclass(slots=True)
class Exchange:
    """One question, the turns that looked for its answer, and the answer."""

    question: str
    given: list[str]  # handles of the media that came with it; of a video those of its parts
    turns: list[list[ToolCall]] = field(default_factory=list)
    results: dict[str, ToolResult] = field(default_factory=dict)  # by call id
    answer: str | None = None

    @property
    def observed(self) -> list[ToolResult]:
        """Results of the planner's calls, in the order of the calls."""
        ids = (call.id for turn in self.turns for call in turn)
        return [self.results[i] for i in ids if i in self.results]

    @property
    def unfinished(self) -> list[ToolCall]:
        """Calls of the last turn that have no result: only after a crash."""
        last = self.turns[-1] if self.turns else []
        return [call for call in last if call.id not in self.results]


class Conversation:
    """The exchanges of one conversation, its media, and the tools its planner may call."""

    def __init__(self, media: MediaStore, tools: ToolSet) -> None:
        self.media = media
        self.tools = tools
        self.exchanges: list[Exchange] = []
        self.remembered: Mapping[str, ToolResult] = {}
        """Inner calls that ended in a call that a kill cut off."""
        self._calls = 0

    @classmethod
    def recall(cls, last: Record, tools: ToolSet, home: Path) -> "Conversation":
        """The conversation up to what `last` recorded, read from its journal and those before it.

        What came before a run that was deleted is not known any more.

        Raises:
            JournalError: one of them is damaged, or a picture or sound of the conversation is gone.
        """
        records = [last]
        while (earlier := records[0].after) is not None:
            if earlier in {record.run_id for record in records}:
                raise JournalError(f"run {earlier} continues from itself", "run_damaged")
            try:
                records.insert(0, read_run(earlier, tools, home))
            except JournalError as error:
                if error.code != "run_not_found":
                    raise
                break
        conversation = cls(MediaStore(home), tools)
        conversation.remembered = last.inner
        found = [result for record in records for result in record.results.values()]
        results = [*found, *(result for record in records for result in record.inner.values())]
        try:
            conversation.media.restore(last.media, detections_by_set(results))
        except MediaError as error:
            raise JournalError(f"run {last.run_id}: {error.message}", error.code) from error
        for record in records:
            conversation.ask(record.question, record.given)
            for calls in record.turns:
                conversation.call(calls)
                numbers = (int(call.id.rpartition("_")[2]) for call in calls)
                conversation._calls = max(conversation._calls, *numbers)
            conversation.now.results.update(record.results)
            if record.said is not None:
                conversation.now.answer = record.said.text
        return conversation

    @property
    def now(self) -> Exchange:
        """The exchange that is going on."""
        return self.exchanges[-1]

    @property
    def question(self) -> str:
        """What is asked now."""
        return self.now.question

    @property
    def latest(self) -> str:
        """What a planner has not been told yet: the question, or what its last calls observed."""
        if not self.now.turns:
            return self.question
        observed = (self.now.results[call.id] for call in self.now.turns[-1])
        return "\n".join(self.text(result) for result in observed)

    def text(self, result: ToolResult) -> str:
        """What a planner reads of a result; of a frame it looked at also which one that was."""
        looked_at = result.provenance.inputs if result.provenance else ()
        frames = {handle: self.media.frame(handle) for handle in looked_at}
        when = [f" ({handle}: {frame.origin})" for handle, frame in frames.items() if frame]
        return observation(result, media=self.media) + "".join(when)

    def parts(
        self, exchange: Exchange, without: Collection[str] = frozenset()
    ) -> list[dict[str, str]]:
        """The media of a question as parts of its chat message, in order, `without` some kinds.

        A part of a video is followed by where it is from: `image_1 <|image|> (1.50 s of video_1)`.
        """
        parts = []
        for handle in exchange.given:
            item = self.media[handle]
            if item.type in without:
                continue
            parts.append({"type": item.type, "handle": handle})
            if item.origin is not None:
                parts.append({"type": "text", "text": f"({item.origin})"})
        return parts

    def ask(self, question: str, given: Sequence[str]) -> None:
        """Begin the next exchange."""
        self.exchanges.append(Exchange(question, list(given)))

    def next_call_id(self) -> str:
        """Unique in the conversation."""
        self._calls += 1
        return f"call_{self._calls}"

    def call(self, calls: list[ToolCall]) -> None:
        """Add a turn of the planner."""
        self.now.turns.append(calls)

    def observe(self, result: ToolResult) -> None:
        """Add what became of a call."""
        self.now.results[result.call.id] = result
