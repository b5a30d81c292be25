"""What was found out once need not be found out again; calls of a turn may share their work."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from pydantic import BaseModel

from nuthatch.tools.base import (
    Arguments,
    Context,
    DetectionRef,
    DetectionSet,
    ImageRef,
    Tool,
    ToolCall,
)
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.execution.result_cache import ResultCache
from nuthatch.tools.faults import RetryCall, ToolFault
from nuthatch.tools.media.geometry import Box
from nuthatch.tools.media.store import Detection, MediaStore
from nuthatch.tools.weights.store import Weights


class LookArgs(Arguments):
    image: ImageRef
    label: str = "cup"


class Look(Tool[LookArgs, DetectionSet]):
    """Find one thing in the corner."""

    name = "look"
    caches = True
    Args = LookArgs
    Result = DetectionSet
    looks: ClassVar[list[str]] = []

    def run(self, args: LookArgs, context: Context) -> DetectionSet:
        self.looks.append(args.label)
        if args.label == "ghost":
            raise RetryCall("there are no ghosts")
        box = Box(x1=0, y1=0, x2=5, y2=5)
        return DetectionSet(
            detections=[
                Detection(image=args.image, label=args.label, score=0.5, score_kind="one", box=box)
            ]
        )


class LookAtAll(Look):
    """Find things in the corner, all of a turn at once."""

    name = "look_at_all"
    caches = False
    merges = True
    parties: ClassVar[list[int]] = []

    def run_many(self, calls: Sequence[tuple[LookArgs, Context]]) -> list[DetectionSet | ToolFault]:
        self.parties.append(len(calls))
        if any(args.label == "sleep" for args, _ in calls):
            time.sleep(5)
        if any(args.label == "bug" for args, _ in calls):
            raise ZeroDivisionError("none")
        return super().run_many(calls)


class SizeArgs(Arguments):
    of: DetectionRef


class Size(BaseModel):
    area: float


class Measure(Tool[SizeArgs, Size]):
    """Say how large something is."""

    name = "size"
    caches = True
    Args = SizeArgs
    Result = Size
    asked: ClassVar[list[str]] = []

    def run(self, args: SizeArgs, context: Context) -> Size:
        self.asked.append(args.of)
        box = context.media.detection(args.of).box
        return Size(area=(box.x2 - box.x1) * (box.y2 - box.y1))


@pytest.fixture(autouse=True)
def _nobody_has_looked() -> None:
    for seen in (Look.looks, LookAtAll.parties, Measure.asked):
        seen.clear()


def executor(folder: Path, cache: ResultCache | None = None, pictures: int = 1) -> ToolExecutor:
    media = MediaStore(folder)
    for shade in range(pictures):
        media.add_image(np.full((20, 20, 3), 50 * shade, np.uint8))
    tools = ToolSet([Look(), LookAtAll(), Measure()])
    return ToolExecutor(tools, media, Weights(), cache=cache)


def call(number: int, tool: str = "look", **arguments: str) -> ToolCall:
    return ToolCall(f"call_{number}", tool, arguments)


# -- results that are kept ------------------------------------------------------------------------


def test_a_call_with_the_same_inputs_is_not_made_again(tmp_path: Path) -> None:
    cache = ResultCache()
    at = executor(tmp_path, cache)
    (first,) = at.run([call(1, image="image_1")])
    (again,) = at.run([call(2, image="image_1")])
    assert Look.looks == ["cup"]
    assert not first.provenance.cached
    assert again.provenance.cached
    assert [found.value.detections[0].handle for found in (first, again)] == [
        "detection_1.1",
        "detection_2.1",
    ], "each has handles of its own"
    assert cache.hits == 1


def test_the_same_picture_under_another_handle_is_known(tmp_path: Path) -> None:
    cache = ResultCache()
    executor(tmp_path / "one", cache).run([call(1, image="image_1")])
    other = MediaStore(tmp_path / "other")
    other.add_image(np.full((30, 30, 3), 9, np.uint8))
    other.add_image(np.zeros((20, 20, 3), np.uint8))
    at = ToolExecutor(ToolSet([Look()]), other, Weights(), cache=cache)
    (found,) = at.run([call(1, image="image_2")])
    assert Look.looks == ["cup"]
    assert found.value.detections[0].image == "image_2"


@pytest.mark.parametrize("change", [{"label": "bowl"}, {"image": "image_2"}])
def test_other_arguments_or_contents_are_other_results(
    tmp_path: Path, change: dict[str, str]
) -> None:
    at = executor(tmp_path, ResultCache(), pictures=2)
    at.run([call(1, image="image_1")])
    at.run([call(2, **({"image": "image_1"} | change))])
    assert len(Look.looks) == 2


def test_other_versions_and_weights_are_other_results() -> None:
    same = {"tool": "look", "version": "1", "models": {"detect": "ab"}, "arguments": {}}
    keys = {
        ResultCache.key(**(same | change), inputs={})
        for change in ({}, {"version": "2"}, {"models": {"detect": "cd"}}, {"tool": "see"})
    }
    assert len(keys) == 4


def test_a_detection_counts_by_what_it_is(tmp_path: Path) -> None:
    at = executor(tmp_path, ResultCache())
    at.run([call(1, image="image_1"), call(2, image="image_1")])
    one, other = at.run([call(3, "size", of="detection_1.1"), call(4, "size", of="detection_2.1")])
    assert one.value == other.value == Size(area=25.0)
    at.run([call(5, "size", of="detection_2.1")])
    assert len(Measure.asked) <= 2, "calls of one turn may run at the same time"


def test_faults_are_not_kept_and_nothing_is_without_a_cache(tmp_path: Path) -> None:
    at = executor(tmp_path, ResultCache())
    for number in (1, 2):
        (found,) = at.run([call(number, image="image_1", label="ghost")])
        assert found.fault.message == "there are no ghosts"
    plain = executor(tmp_path / "plain")
    for number in (1, 2):
        plain.run([call(number, image="image_1")])
    assert Look.looks == ["ghost", "ghost", "cup", "cup"]


def test_the_oldest_results_are_forgotten(tmp_path: Path) -> None:
    at = executor(tmp_path, ResultCache(most=1))
    for number, label in enumerate(("cup", "bowl", "cup")):
        at.run([call(number, image="image_1", label=label)])
    assert Look.looks == ["cup", "bowl", "cup"]


# -- calls that share their work ------------------------------------------------------------------


def test_calls_of_a_turn_run_together_and_each_has_its_result(tmp_path: Path) -> None:
    at = executor(tmp_path)
    labels = ("cup", "ghost", "bowl")
    calls = [call(n, "look_at_all", image="image_1", label=label) for n, label in enumerate(labels)]
    calls.append(call(3, "look_at_all", image="image_9"))
    cup, ghost, bowl, dead = at.run(calls)
    assert LookAtAll.parties == [3], "what is wrong from the start takes no part"
    assert cup.value.detections[0].handle == "detection_1.1"
    assert bowl.value.detections[0].handle == "detection_3.1"
    assert ghost.fault.code == "invalid_arguments"
    assert dead.fault.code == "asset_not_found"


def test_a_bug_in_shared_work_is_a_bug_of_all_who_shared_it(tmp_path: Path) -> None:
    calls = [
        call(n, "look_at_all", image="image_1", label=each) for n, each in enumerate(["a", "bug"])
    ]
    results = executor(tmp_path).run([*calls, call(9, image="image_1")])
    assert [result.fault and result.fault.code for result in results] == [
        "internal",
        "internal",
        None,
    ]


def test_shared_work_that_takes_too_long_is_given_up_for_all(tmp_path: Path) -> None:
    calls = [
        call(n, "look_at_all", image="image_1", label=each) for n, each in enumerate(("a", "sleep"))
    ]
    results = executor(tmp_path).run(calls, seconds=0.2)
    assert [result.fault.code for result in results] == ["timeout", "timeout"]


def test_an_asynchronous_program_goes_on_meanwhile(tmp_path: Path) -> None:
    at = executor(tmp_path)

    async def program() -> list[int]:
        looking = asyncio.create_task(at.arun([call(1, image="image_1")]))
        steps = 0
        while not looking.done():
            steps += 1
            await asyncio.sleep(0)
        return [steps, len(looking.result())]

    steps, results = asyncio.run(program())
    assert steps > 1
    assert results == 1


class Bright(Look):
    """Find what the model was told of."""

    name = "bright"
    weights = ("eye",)

    def run(self, args: LookArgs, context: Context) -> DetectionSet:
        box = Box(x1=0, y1=0, x2=5, y2=5)
        label = context.weights.get("eye")
        return DetectionSet(
            detections=[
                Detection(image=args.image, label=label, score=0.5, score_kind="one", box=box)
            ]
        )


def test_another_model_under_the_same_name_gives_other_results(tmp_path: Path) -> None:
    media, cache = MediaStore(tmp_path), ResultCache()
    media.add_image(np.zeros((20, 20, 3), np.uint8))
    for expected in ("cup", "bowl"):
        weights = Weights()
        weights.put("eye", expected)
        at = ToolExecutor(ToolSet([Bright()]), media, weights, cache=cache)
        for number in (1, 2):
            (found,) = at.run([call(number, "bright", image="image_1")])
            assert found.value.detections[0].label == expected
    assert cache.hits == 2
