"""Few frames lie between a question and the core, and between a question and a tool.

A probe stands where the work is done and reads the stacks of the threads that take part: its own,
and that of `Agent.ask`, down to the place where it waits. Frames of the project's own code count,
on both sides of a hand-over to a thread, with the frame that runs the thread.
"""

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch

from nuthatch.agent.agent import Agent
from nuthatch.agent.core_planner import CorePlanner
from nuthatch.agent.planner import ScriptedPlanner
from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.core import Core
from nuthatch.mllm.processing import CoreProcessor
from nuthatch.tools.base import Context
from nuthatch.tools.verification.types import Correction
from tests.agent.little_tools import PHOTO, CheckArgs, Judge, Note, NoteArgs, Say
from tests.mllm.generation.speakers import tokenizer

TO_THE_CORE = 4
TO_A_TOOL = 5


def own_frames(frame: FrameType | None) -> Iterator[str]:
    """Functions of the project on a stack, innermost first."""
    while frame is not None:
        module = frame.f_globals["__name__"]
        if module.startswith("nuthatch."):
            yield f"{module} {frame.f_code.co_qualname}"
        frame = frame.f_back


class Probe:
    """Notes the own frames between `Agent.ask` and where it is called, outermost first."""

    def __init__(self) -> None:
        self.asking = threading.get_ident()
        self.chains: list[list[str]] = []

    def __call__(self) -> None:
        before, chain = None, self._chain()
        while chain != before:  # until the thread that asks has come to where it waits
            time.sleep(0.01)
            before, chain = chain, self._chain()
        self.chains.append(chain)

    def _chain(self) -> list[str]:
        frames = list(own_frames(sys._getframe()))
        if threading.get_ident() != self.asking:
            frames += own_frames(sys._current_frames()[self.asking])
        inwards = frames[::-1]
        return inwards[inwards.index("nuthatch.agent.agent Agent.ask") + 1 :]

    def assert_at_most(self, most: int) -> None:
        longest = max(self.chains, key=len)
        assert len(longest) <= most, "\n".join([f"{len(longest)} frames:", *longest])


@pytest.fixture
def probe() -> Probe:
    return Probe()


def test_the_core_is_four_frames_away(probe: Probe, tmp_path: Path) -> None:
    class Probed(Core):
        def forward(self, *args: Any, **inputs: Any) -> Any:
            probe()
            return super().forward(*args, **inputs)

    torch.manual_seed(0)
    config = CoreConfig.tiny()
    config.text_config.vocab_size = len(tokenizer())
    config.text_config.max_position_embeddings = 1024
    processor = CoreProcessor(config, tokenizer())
    planner = CorePlanner(Probed(config).eval(), processor, max_new_tokens=8)
    agent = Agent(planner, [Say()], verify=False, home=tmp_path)
    for _ in range(2):  # the second time with guesses from the first
        agent.ask("What is this?", image=PHOTO)
    assert len(probe.chains) > 2
    probe.assert_at_most(TO_THE_CORE)


@pytest.mark.parametrize("calls", [1, 3])
def test_a_tool_is_five_frames_away(calls: int, probe: Probe, tmp_path: Path) -> None:
    class Probed(Say):
        def run(self, args: NoteArgs, context: Context) -> Note:
            probe()
            return super().run(args, context)

    turn = [("say", {"text": str(number)}) for number in range(calls)]
    agent = Agent(ScriptedPlanner([turn, "Done."]), [Probed()], verify=False, home=tmp_path)
    agent.ask("Say something.")
    assert len(probe.chains) == calls
    probe.assert_at_most(TO_A_TOOL)


def test_the_verification_is_five_frames_away(probe: Probe, tmp_path: Path) -> None:
    class Probed(Judge):
        def run(self, args: CheckArgs, context: Context) -> Correction:
            probe()
            return super().run(args, context)

    Agent(ScriptedPlanner(["Two cups."]), [Probed()], home=tmp_path).ask("How many?", image=PHOTO)
    assert len(probe.chains) == 1
    probe.assert_at_most(TO_A_TOOL)
