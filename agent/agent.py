"""Ask: say, call, observe, until there is a draft; then through the gate.

`Agent._until_draft` is the only loop over a planner. Everything that happens is written to the
run's journal before anybody acts on it, so that a run that was killed can be gone on with.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from nuthatch.agent import gate
from nuthatch.agent.answer import (
    Answer,
    Answered,
    ClaimChecked,
    Draft,
    Drafted,
    Event,
)
from nuthatch.agent.budget import Budget, Meter, Stopped
from nuthatch.agent.conversation import Conversation, checked_question
from nuthatch.agent.home import FORMAT, JournalError, as_journal_errors, home_folder, new_run_id
from nuthatch.agent.journal import Journal
from nuthatch.agent.planner import Planner
from nuthatch.agent.record import read_run
from nuthatch.agent.run import Listener, PlannerFailed, Run
from nuthatch.messages import shown
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.execution.result_cache import ResultCache
from nuthatch.tools.faults import needed_for
from nuthatch.tools.media.blobs import Blobs
from nuthatch.tools.media.files import adding
from nuthatch.tools.media.ingest import AudioSource, ImageSource
from nuthatch.tools.media.store import MediaStore
from nuthatch.tools.media.video import VideoSource
from nuthatch.tools.toolset import ToolLike, ToolSet
from nuthatch.tools.verification.editing.edits import is_marked
from nuthatch.tools.verification.evidence.no_verifier import NO_JUDGE
from nuthatch.tools.weights.store import EMBEDDED, Weights

__all__ = ["Agent", "PlannerFailed"]

Images = ImageSource | list[ImageSource] | None
Sounds = AudioSource | list[AudioSource] | None
Videos = VideoSource | list[VideoSource] | None
PRESETS = {"embedded": EMBEDDED}


class Agent:
    """A planner, the tools it may call, and the gate that checks what it says.

    Tools that the gate needs and `tools` lacks come from the catalogue. `home` is where runs are
    kept (default: NUTHATCH_HOME, else the user's data folder). One agent may serve many questions
    at once if its planner can.
    """

    def __init__(
        self,
        planner: Planner,
        tools: ToolSet | Iterable[ToolLike],
        *,
        weights: Weights | None = None,
        budget: Budget | None = None,
        verify: bool = True,
        home: str | Path | None = None,
    ) -> None:
        self.planner = planner
        self.tools = tools if isinstance(tools, ToolSet) else ToolSet(tools)
        self.weights = weights or Weights()
        self.budget = budget or Budget()
        self.verify = verify
        self.home = home_folder(home)
        self._results = ResultCache()
        self._blobs = Blobs(self.home)

    @classmethod
    def load(
        cls,
        preset: str = "embedded",
        *,
        planner: Planner | None = None,
        tools: ToolSet | Iterable[ToolLike] | None = None,
        weights: Weights | Mapping[str, str | Path] | None = None,
        device: str = "cpu",
        budget: Budget | None = None,
        verify: bool = True,
        home: str | Path | None = None,
    ) -> Self:
        """An agent on released weights; a tool's weights are read when it is first called.

        The planner is the preset's core unless another is given, such as `RulesPlanner()`; the
        weights are the preset's, on `device`, but for those that `weights` gives another place,
        such as `{"detect": "grounding-dino-tiny"}`.

        Raises:
            ValueError: there is no such preset, or no such place.
            TypeError: one of `tools` is no tool, or no planner can be held to its schema.
            ToolUnavailable: the core cannot be loaded.
        """
        from nuthatch.tools.catalogue import default_tools

        if preset not in PRESETS:
            raise ValueError(
                f"there is no preset '{shown(preset)}'; there is: {', '.join(PRESETS)}"
            )
        if not isinstance(weights, Weights):
            weights = Weights(PRESETS[preset], weights, device=device)
        return cls(
            planner or _planner(weights, budget),
            default_tools() if tools is None else tools,
            weights=weights,
            budget=budget,
            verify=verify,
            home=home,
        )

    @cached_property
    def tools_and_judges(self) -> ToolSet:
        """All tools that a run of this agent may use, the gate's included."""
        return gate.with_judges(self.tools)

    # -- doors ----------------------------------------------------------------------------------

    def ask(
        self,
        question: str,
        *,
        image: Images = None,
        audio: Sounds = None,
        video: Videos = None,
        after: Answer | str | None = None,
        on_event: Listener | None = None,
        drafts: bool = False,
    ) -> Answer:
        """Answer a question about pictures, sounds and videos; a list gives several.

        A video is seen as four of its frames, spread evenly, and heard as its sound.
        `after` is the answer (or run id) whose talk goes on: its media and what was said stay
        known. `on_event` hears `ToolStarted`, `ToolFinished`, `ClaimChecked` and `Answered` as
        they happen, some from other threads, one at a time; `Drafted` only if `drafts`.

        Raises:
            QuestionError, MediaError: the question or a medium cannot be used; nothing is run.
            JournalError: the run cannot be written, or `after` cannot be read.
            PlannerFailed: the planner raised; the run is recorded.
        """
        return self._finish(self._begin(question, image, audio, video, after, on_event, drafts))

    async def aask(
        self,
        question: str,
        *,
        image: Images = None,
        audio: Sounds = None,
        video: Videos = None,
        after: Answer | str | None = None,
        on_event: Listener | None = None,
        drafts: bool = False,
    ) -> Answer:
        """`ask` without blocking the event loop; a cancelled task stops at its next step."""
        cancelled = threading.Event()

        def ask() -> Answer:
            run = self._begin(question, image, audio, video, after, on_event, drafts)
            run.cancelled = cancelled
            return self._finish(run)

        try:
            return await asyncio.to_thread(ask)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    def stream(
        self,
        question: str,
        *,
        image: Images = None,
        audio: Sounds = None,
        video: Videos = None,
        after: Answer | str | None = None,
        drafts: bool = False,
    ) -> Iterator[Event]:
        """The events of `ask` as they happen; the last is `Answered`.

        Whoever stops listening stops the run at its next step.
        """
        heard: queue.SimpleQueue[Event | BaseException] = queue.SimpleQueue()
        cancelled = threading.Event()

        def ask() -> None:
            try:
                run = self._begin(question, image, audio, video, after, heard.put, drafts)
                run.cancelled = cancelled
                self._finish(run)
            except BaseException as error:  # raised again where the events are read
                heard.put(error)

        threading.Thread(target=ask, name="nuthatch-stream", daemon=True).start()
        try:
            while True:
                event = heard.get()
                if isinstance(event, BaseException):
                    raise event
                yield event
                if isinstance(event, Answered):
                    return
        finally:
            cancelled.set()

    def resume(
        self, run_id: str, *, on_event: Listener | None = None, drafts: bool = False
    ) -> Answer:
        """Go on with a run that was killed or broke off; no finished call is made again.

        A run that ended is answered from its journal. A call that was under way when the run was
        killed is made again, since nobody knows what became of it; the calls that it had made
        inside, and that had ended, are not.

        Raises:
            JournalError: there is no such run, it is damaged, or another process is at it.
            PlannerFailed: as for `ask`.
        """
        began = time.perf_counter()
        record = read_run(run_id, self.tools_and_judges, self.home)
        if record.said is not None:  # it says no more: there is nothing to lock
            return record.answer
        with closing(Journal(self.home, run_id, create=False)) as journal:
            self._blobs.tidy()
            record = read_run(run_id, self.tools_and_judges, self.home)  # as nobody changes it now
            if record.said is not None:
                return record.answer
            talk = Conversation.recall(record, self.tools, self.home)
            run = self._run(talk, journal, on_event, drafts, began)
            run.draft = None if record.draft is None else Draft(record.draft)
            for calls in talk.now.turns:
                run.meter.count(calls)
            return self._finish(run)

    # -- one run --------------------------------------------------------------------------------

    def _until_draft(self, run: Run) -> Draft:
        """Say, call, observe, until the planner drafts.

        Raises:
            Stopped: the budget is used up, or nobody waits any more.
            PlannerFailed: the planner raised.
        """
        calls = run.talk.now.unfinished if run.talk.now.turns else []  # of a run that was killed
        while True:
            if not calls:
                turn = run.plan(self.planner)
                if isinstance(turn, Draft):
                    return turn
                calls = run.say(turn)
            results = run.call(calls)
            run.meter.learn(results)
            calls = []

    def _begin(
        self,
        question: str,
        image: Images,
        audio: Sounds,
        video: Videos,
        after: Answer | str | None,
        on_event: Listener | None,
        drafts: bool,
    ) -> Run:
        """Take in the question and its media, and open the journal."""
        began = time.perf_counter()
        question = checked_question(question)
        earlier = after.run_id if isinstance(after, Answer) else after
        if earlier is None:
            talk = Conversation(MediaStore(self.home), self.tools)
        else:
            record = read_run(earlier, self.tools_and_judges, self.home)
            talk = Conversation.recall(record, self.tools, self.home)
        with as_journal_errors(), adding(self.home):  # until the journal names the media
            given = self._taken_in(talk, image, audio, video)
            talk.ask(question, given)
            journal = Journal(self.home, new_run_id())
            run = self._run(talk, journal, on_event, drafts, began)
            try:
                journal.write(
                    "run",
                    format=FORMAT,
                    question=question,
                    given=given,
                    after=earlier,
                    verify=self.verify,
                    planner=type(self.planner).__name__,
                    tools={tool.name: tool.version for tool in self.tools},
                    budget=asdict(self.budget),
                    media=talk.media.items(),
                )
            except JournalError:
                journal.discard()
                raise
        self._blobs.tidy()
        return run

    def _taken_in(
        self, talk: Conversation, image: Images, audio: Sounds, video: Videos
    ) -> list[str]:
        """The handles of what came with a question; of a video those of its parts."""
        given = [talk.media.add_image(source).handle for source in _listed(image)]
        given += [talk.media.add_audio(source).handle for source in _listed(audio)]
        for source in _listed(video):
            given += [part.handle for part in talk.media.add_video(source)[1:]]
        return given

    def _run(
        self,
        talk: Conversation,
        journal: Journal,
        on_event: Listener | None,
        drafts: bool,
        began: float,
    ) -> Run:
        run = Run(
            talk=talk,
            journal=journal,
            executor=ToolExecutor(
                self.tools,
                talk.media,
                self.weights,
                remembered=talk.remembered,
                cache=self._results,
            ),
            meter=Meter(self.budget),
            emit=on_event or (lambda event: None),
            drafts=drafts,
            began=began,
            media_written=len(talk.media.items()),
        )
        run.executor.on_inner = run.record
        run.timing.load = time.perf_counter() - began
        return run

    def _finish(self, run: Run) -> Answer:
        """The rest of a run: to the draft, through the gate, to the answer."""
        with closing(run.journal), as_journal_errors():
            try:
                if run.draft is None:
                    run.draft = self._until_draft(run)
                    run.journal.write("draft", text=run.draft.text, sources=gate.sources(run.talk))
                if run.drafts:
                    run.emit(Drafted(run.draft))
                answer = self._checked(run, run.draft)
            except Stopped as stop:
                answer = run.answer(finished=False, reason=str(stop))
            except PlannerFailed as failure:
                run.journal.write("problem", message=str(failure))
                raise
            parts = {"text", "draft", "finished", "verified", "reason", "verdicts", "edits"}
            parts |= {"unread", "notices"}
            said = answer.model_dump(mode="json", include=parts | {"timing"})
            run.journal.write("answer", answer=said)
        run.emit(Answered(answer))
        return answer

    def _checked(self, run: Run, draft: Draft) -> Answer:
        if not self.verify:
            return run.answer(finished=True, text=draft.text, reason="not verified: verify=False")
        began = time.perf_counter()
        try:
            correction = gate.check(
                draft,
                run.talk,
                tools=self.tools_and_judges,
                weights=self.weights,
                seconds=run.meter.seconds_left,
                on_result=run.write,
                on_inner=run.record,
                cache=self._results,
                eyes=getattr(self.planner, "eyes", None),
            )
        finally:
            run.timing.verify = time.perf_counter() - began
        for verdict in correction.verdicts:
            run.emit(ClaimChecked(verdict))
        unjudged = any(notice.code == NO_JUDGE for notice in correction.notices)
        withheld = any(edit.op == "abstain" for edit in correction.edits)
        marked = is_marked(correction.final, correction)
        return run.answer(
            finished=True,
            verified=not (unjudged or withheld or marked),
            text=correction.final,
            verdicts=correction.verdicts,
            edits=correction.edits,
            unread=correction.unread,
            notices=correction.notices,
        )


def _listed(given: Any) -> list[Any]:
    """One or a list, as a list; a tuple is one sound: (samples, rate)."""
    if given is None:
        return []
    return given if isinstance(given, list) else [given]


def _planner(weights: Weights, budget: Budget | None) -> Planner:
    """The core of the preset."""
    with needed_for("the trained planner", "vision,audio"):
        from nuthatch.agent.core_planner import CorePlanner  # it imports torch

    speaker = weights.get("core")
    return CorePlanner(
        speaker.core, speaker.processor, known=speaker.known, budget=budget, eyes="core"
    )
