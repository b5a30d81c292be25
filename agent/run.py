"""One question from its first turn to its answer: the loop, the verification, the journal.

`Run.to_answer` is the only loop over a planner. Everything that happens is written to the run's
journal before anybody acts on it, so that a run that was killed can be resumed.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace

from nuthatch.agent import gate
from nuthatch.agent.answer import (
    Answer,
    Answered,
    ClaimChecked,
    Draft,
    Drafted,
    Event,
    Timing,
    ToolFinished,
    ToolStarted,
)
from nuthatch.agent.budget import Meter, Stopped
from nuthatch.agent.conversation import Conversation
from nuthatch.agent.home import as_journal_errors
from nuthatch.agent.journal import Journal
from nuthatch.agent.planner import Call, MultimodalPlanner, Planner, Turn, in_unicode, is_turn
from nuthatch.tools.base.notices import distinct
from nuthatch.tools.base.tool import ToolCall, ToolResult
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.verification.editing.edits import is_marked
from nuthatch.tools.verification.evidence.no_verifier import NO_JUDGE
from nuthatch.tools.verification.types import Correction
from nuthatch.tools.workers import WORKERS, Outcome, TimeIsUp, Worker

Listener = Callable[[Event], None]
RECORDED = {
    "text",
    "draft",
    "finished",
    "verified",
    "reason",
    "verdicts",
    "edits",
    "unread",
    "notices",
    "timing",
}
"""Fields of an answer that its journal keeps; the others are read from the lines before it."""


class PlannerFailed(RuntimeError):
    """The planner raised, or returned something that is no turn. The run is recorded, and can be
    resumed: `agent.resume(error.run_id)`."""

    def __init__(self, message: str, run_id: str) -> None:
        super().__init__(f"{message} (run {run_id})")
        self.code = "planner_failed"
        self.run_id = run_id


@dataclass(slots=True)
class Run:
    """One question under way.

    Args:
        executor: of the planner's calls, and then of the verification.
        verifiers: the tools of the verification; None: the draft is not verified.
        emit: is called with each event, one at a time, some from other threads.
        drafts: whether `Drafted` is one of these events.
        began: when the question was asked, on the clock of `time.perf_counter`.
        media_written: how many media of the conversation the journal names already.
        draft: of a run that is resumed, if it had come that far.
        cancelled: set when nobody waits for the answer any more.
    """

    planner: Planner
    conversation: Conversation
    journal: Journal
    executor: ToolExecutor
    meter: Meter
    verifiers: ToolSet | None
    emit: Listener
    drafts: bool
    began: float
    media_written: int
    draft: Draft | None = None
    timing: Timing = field(default_factory=Timing)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def to_answer(self) -> Answer:
        """Plan, record, execute, observe, until there is a draft; then verify it; then answer.

        Raises:
            PlannerFailed: the planner raised, or returned something that is no turn.
            JournalError: the journal cannot be written.
        """
        with closing(self.journal), as_journal_errors():
            try:
                draft = self.draft
                calls = self.conversation.now.unfinished  # when a run was killed
                while draft is None:
                    if not calls:
                        with self._planning() as worker:
                            pending = worker.submit(self.planner.plan, self.conversation)
                            outcome = pending.get(timeout=self.meter.seconds_left)
                        turn = self._turn(outcome)
                        if isinstance(turn, Draft):
                            draft = self._record_draft(turn)
                            break
                        calls = self._record_turn(turn)
                    with self._executing(calls):
                        results = self.executor.run(
                            calls, seconds=self.meter.seconds_left, on_result=self._on_result
                        )
                    self.meter.record_failures(results)
                    calls = []
                if self.drafts:
                    self.emit(Drafted(draft))
                began = time.perf_counter()
                checks = self._checks(draft)
                self.executor.run(checks, seconds=self.meter.seconds_left, on_result=self._observe)
                answer = self._checked_answer(draft, began)
            except Stopped as stop:
                answer = self._answer(finished=False, reason=str(stop))
            except PlannerFailed as failure:
                self.journal.write("problem", message=str(failure))
                raise
            recorded = answer.model_dump(mode="json", include=RECORDED)
            self.journal.write("answer", answer=recorded)
        self.emit(Answered(answer))
        return answer

    # -- the planner ----------------------------------------------------------------------------

    @contextmanager
    def _planning(self) -> Iterator[Worker]:
        """A worker for the planner, for as long as the budget has seconds.

        Raises:
            Stopped: the budget is used up, or nobody waits any more.
        """
        if self.cancelled.is_set():
            raise Stopped("stopped: nobody waits for the answer any more")
        self.meter.check_time()
        began = time.perf_counter()
        try:
            with WORKERS.worker() as worker:
                yield worker
        except TimeIsUp:
            seconds = self.meter.budget.seconds
            raise Stopped(f"stopped: the planner did not end within {seconds:g} seconds") from None
        finally:
            self.timing.plan += time.perf_counter() - began

    def _turn(self, outcome: Outcome) -> Turn:
        """What the planner returned, if it is a turn.

        Raises:
            PlannerFailed: it is not.
        """
        turn, error = outcome.value, outcome.error
        if isinstance(error, Exception):
            message = f"the planner failed: {type(error).__name__}: {error}"
            raise PlannerFailed(message, self.journal.run_id) from error
        if error is not None:
            raise error
        if not is_turn(turn):
            message = f"the planner said {turn!r:.200}; expected Draft(text) or a list of Call"
            raise PlannerFailed(message, self.journal.run_id)
        try:
            return in_unicode(turn)
        except RecursionError as error:
            message = "the planner wrote arguments that hold themselves, or are nested too deeply"
            raise PlannerFailed(message, self.journal.run_id) from error

    def _record_draft(self, draft: Draft) -> Draft:
        self.draft = draft
        self.journal.write("draft", text=draft.text, sources=gate.sources(self.conversation))
        return draft

    def _record_turn(self, turn: list[Call]) -> list[ToolCall]:
        """Give the planner's calls their ids and write them down, if the budget has them."""
        calls = [ToolCall(self.conversation.next_call_id(), *call) for call in turn]
        self.meter.spend(calls)
        self.journal.write("turn", calls=calls)
        self.conversation.call(calls)
        return calls

    # -- the tools ------------------------------------------------------------------------------

    @contextmanager
    def _executing(self, calls: Sequence[ToolCall]) -> Iterator[None]:
        for call in calls:
            self.emit(ToolStarted(call))
        began = time.perf_counter()
        yield
        self.timing.tools += time.perf_counter() - began

    def _on_result(self, result: ToolResult) -> None:
        """Is called with each result of the planner's calls, at once."""
        self._observe(result)
        self.emit(ToolFinished(result))

    def _observe(self, result: ToolResult) -> None:
        """Write down a result, and show it to the planner.

        That of the verification is no event: it holds the draft, which no event may carry.
        """
        self.record(result)
        self.conversation.observe(result)

    def record(self, result: ToolResult) -> None:
        """Write down a result, and the media that came into being with it. The executor calls this
        with inner results, before the outer one."""
        made = self.conversation.media.items()[self.media_written :]
        self.journal.write("result", result=replace(result, children=()), media=made)
        self.media_written += len(made)

    # -- the answer -----------------------------------------------------------------------------

    def _checks(self, draft: Draft) -> list[ToolCall]:
        """The call that verifies the draft, unless the journal knows its result, with the tools
        that it needs given to the executor."""
        if self.verifiers is None:
            return []
        check = gate.check_call(draft, self.conversation)
        if check.id in self.conversation.now.results:
            return []
        weights = self.executor.weights
        self.executor.tools = gate.impartial(self.verifiers, self.conversation, weights)
        return [check]

    def _checked_answer(self, draft: Draft, began: float) -> Answer:
        """What the verification, which `began` then, made of the draft.

        Raises:
            Stopped: the draft could not be verified, or is a guess, so there is no answer.
        """
        if self.verifiers is None:
            reason = "not verified: verify=False"
            return self._answer(finished=True, text=draft.text, reason=reason)
        try:
            weights, planner = self.executor.weights, self.planner
            own = planner.weights_name if isinstance(planner, MultimodalPlanner) else None
            correction = gate.correction(draft, self.conversation, weights, own)
        finally:
            self.timing.verify = time.perf_counter() - began
        for verdict in correction.verdicts:
            self.emit(ClaimChecked(verdict))
        unjudged = any(notice.code == NO_JUDGE for notice in correction.notices)
        withheld = any(edit.op == "abstain" for edit in correction.edits)
        marked = is_marked(correction.final, correction)
        return self._answer(
            finished=True,
            verified=not (unjudged or withheld or marked),
            text=correction.final,
            correction=correction,
        )

    def _answer(
        self,
        *,
        finished: bool,
        text: str = "",
        verified: bool = False,
        reason: str | None = None,
        correction: Correction | None = None,
    ) -> Answer:
        """The answer as things stand."""
        self.timing.total = time.perf_counter() - self.began
        now = self.conversation.now
        now.answer = text
        checks = [result for call, result in now.results.items() if call.startswith("check_")]
        observed = [notice for result in now.observed for notice in result.notices]
        return Answer(
            text=text,
            draft=self.draft.text if self.draft else "",
            finished=finished,
            verified=verified,
            reason=reason,
            verdicts=correction.verdicts if correction else [],
            edits=correction.edits if correction else [],
            unread=correction.unread if correction else [],
            notices=distinct([*(correction.notices if correction else ()), *observed]),
            calls=[*now.observed, *checks],
            media=self.conversation.media.items(),
            timing=self.timing,
            run_id=self.journal.run_id,
            run_folder=self.journal.folder,
        )
