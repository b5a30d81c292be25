"""The agent: a planner, tools and weights, and the entry points for questions.

An agent opens a run for each question; the loop, the verification and the journal are in `run`.
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
    Draft,
    Event,
)
from nuthatch.agent.budget import Budget, Meter
from nuthatch.agent.conversation import Conversation, checked_question
from nuthatch.agent.home import FORMAT, JournalError, as_journal_errors, home_folder, new_run_id
from nuthatch.agent.journal import Journal
from nuthatch.agent.planner import Planner
from nuthatch.agent.record import read_run
from nuthatch.agent.run import Listener, PlannerFailed, Run
from nuthatch.messages import shown
from nuthatch.tools.base.toolset import ToolLike, ToolSet
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.execution.result_cache import ResultCache
from nuthatch.tools.faults import needed_for
from nuthatch.tools.media.blobs import Blobs
from nuthatch.tools.media.files import adding
from nuthatch.tools.media.ingest import AudioSource, ImageSource
from nuthatch.tools.media.store import MediaStore
from nuthatch.tools.media.video import VideoSource
from nuthatch.tools.weights.store import EMBEDDED, Weights

__all__ = ["Agent", "PlannerFailed"]

Images = ImageSource | list[ImageSource] | None
Sounds = AudioSource | list[AudioSource] | None
Videos = VideoSource | list[VideoSource] | None
PRESETS = {"embedded": EMBEDDED}


class Agent:
    """A planner, the tools it may call, and the verification of what it says.

    Tools that the verification needs and `tools` lacks come from the catalogue. `home` is where
    runs are kept (default: NUTHATCH_HOME, else the user's data folder). One agent may serve many
    questions at once if its planner can.
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
        """All tools that a run of this agent may use, those of the verification included."""
        return gate.with_judges(self.tools)

    # -- entry points -------------------------------------------------------------------------

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

        A video is given as four of its frames, spread evenly, and its sound.
        `after` is the answer (or run id) whose conversation is continued: its media and what was
        said stay known. `on_event` is called with `ToolStarted`, `ToolFinished`, `ClaimChecked` and
        `Answered` as they happen, some from other threads, one at a time; with `Drafted` only if
        `drafts`.

        Raises:
            QuestionError, MediaError: the question or a medium cannot be used; nothing is run.
            JournalError: the run cannot be written, or `after` cannot be read.
            PlannerFailed: the planner raised; the run is recorded.
        """
        run = self._open(question, image, audio, video, after, on_event, drafts)
        return run.to_answer()

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
            run = self._open(question, image, audio, video, after, on_event, drafts)
            run.cancelled = cancelled
            return run.to_answer()

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
        events: queue.SimpleQueue[Event | BaseException] = queue.SimpleQueue()
        cancelled = threading.Event()

        def ask() -> None:
            try:
                run = self._open(question, image, audio, video, after, events.put, drafts)
                run.cancelled = cancelled
                run.to_answer()
            except BaseException as error:  # raised again where the events are read
                events.put(error)

        threading.Thread(target=ask, name="nuthatch-stream", daemon=True).start()
        try:
            while True:
                event = events.get()
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
        """Continue a run that was killed or broke off; no finished call is made again.

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
        with closing(Journal.open(self.home, run_id, create=False)) as journal:
            self._blobs.tidy()
            record = read_run(run_id, self.tools_and_judges, self.home)  # as nobody changes it now
            if record.said is not None:
                return record.answer
            conversation = Conversation.recall(record, self.tools, self.home)
            run = self._run(conversation, journal, on_event, drafts, began)
            run.draft = None if record.draft is None else Draft(record.draft)
            for calls in conversation.now.turns:
                run.meter.count(calls)
            return run.to_answer()

    # -- opening a run --------------------------------------------------------------------------

    def _open(
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
            conversation = Conversation(MediaStore(self.home), self.tools)
        else:
            record = read_run(earlier, self.tools_and_judges, self.home)
            conversation = Conversation.recall(record, self.tools, self.home)
        with as_journal_errors(), adding(self.home):  # until the journal names the media
            given = self._ingested(conversation.media, image, audio, video)
            conversation.ask(question, given)
            journal = Journal.open(self.home, new_run_id())
            run = self._run(conversation, journal, on_event, drafts, began)
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
                    media=conversation.media.items(),
                )
            except JournalError:
                journal.discard()
                raise
        self._blobs.tidy()
        return run

    def _ingested(
        self, media: MediaStore, image: Images, audio: Sounds, video: Videos
    ) -> list[str]:
        """The handles of what came with a question; of a video those of its parts."""
        given = [media.add_image(source).handle for source in _listed(image)]
        given += [media.add_audio(source).handle for source in _listed(audio)]
        for source in _listed(video):
            given += [part.handle for part in media.add_video(source)[1:]]
        return given

    def _run(
        self,
        conversation: Conversation,
        journal: Journal,
        on_event: Listener | None,
        drafts: bool,
        began: float,
    ) -> Run:
        executor = ToolExecutor(
            self.tools,
            conversation.media,
            self.weights,
            remembered=conversation.remembered,
            cache=self._results,
        )
        run = Run(
            planner=self.planner,
            conversation=conversation,
            journal=journal,
            executor=executor,
            meter=Meter(self.budget),
            verifiers=self.tools_and_judges if self.verify else None,
            emit=on_event or (lambda event: None),
            drafts=drafts,
            began=began,
            media_written=len(conversation.media.items()),
        )
        executor.on_inner = run.record
        run.timing.load = time.perf_counter() - began
        return run


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
        speaker.core, speaker.processor, known=speaker.known, budget=budget, weights_name="core"
    )
