"""Calls of one turn: side by side, each on its own, in the order they were made."""

import asyncio
import os
import threading
import time

import numpy as np
import pytest
from pydantic import BaseModel

from nuthatch.tools.base import Arguments, Context, DetectionSet, Tool, ToolCall, ToolResult
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.faults import RetryCall, ToolUnavailable
from nuthatch.tools.media.geometry import Box
from nuthatch.tools.media.store import Detection, MediaStore
from nuthatch.tools.weights.store import Weights


class WaitArgs(Arguments):
    seconds: float = 0.0
    text: str = ""


class Text(BaseModel):
    text: str


class Echo(Tool[WaitArgs, Text]):
    """Say it after a while."""

    name = "echo"
    Args = WaitArgs
    Result = Text

    def run(self, args: WaitArgs, context: Context) -> Text:
        time.sleep(args.seconds)
        return Text(text=args.text)


class Meet(Echo):
    """Wait until two calls are at work at once."""

    name = "meet"
    party = threading.Barrier(2)

    def run(self, args: WaitArgs, context: Context) -> Text:
        self.party.wait(20)
        return Text(text="met")


class Mute(RuntimeError):
    """Cannot say what is wrong."""

    def __str__(self) -> str:
        raise self


class Wrong(Echo):
    """Fail in the way asked for."""

    name = "wrong"

    def run(self, args: WaitArgs, context: Context) -> Text:
        faults = {
            "retry": RetryCall("say it otherwise"),
            "unavailable": ToolUnavailable("no weights"),
            "bug": ZeroDivisionError("division by zero"),
            "exit": SystemExit(3),
            "interrupt": KeyboardInterrupt(),
            "stop": StopIteration(7),
            "cancel": asyncio.CancelledError(),
            "group": BaseExceptionGroup("two", [ValueError("one"), GeneratorExit()]),
            "mute": Mute(),
            "memory": MemoryError(),
        }
        if args.text in faults:
            raise faults[args.text]
        return "a plain string"  # type: ignore[return-value]


class Hang(Echo):
    """Never end."""

    name = "hang"
    timeout = 0.1
    weights = ("model",)
    release = threading.Event()

    def run(self, args: WaitArgs, context: Context) -> Text:
        self.release.wait(20)
        context.add_image(np.zeros((8, 8, 3), np.uint8), parents=())
        return Text(text="late")


class Find(Tool[WaitArgs, DetectionSet]):
    """Find as many objects as the text has letters."""

    name = "find"
    Args = WaitArgs
    Result = DetectionSet

    def run(self, args: WaitArgs, context: Context) -> DetectionSet:
        time.sleep(args.seconds)
        if args.text == "fail":
            raise RetryCall("no")
        box = Box.of((0, 0, 4, 4))
        detections = [
            Detection(image="image_1", label=letter, score=0.5, score_kind="score", box=box)
            for letter in args.text
        ]
        return DetectionSet(detections=detections)


class Paint(Echo):
    """Make a picture; the first to start takes longest."""

    name = "paint"
    effects = "writes_media"

    def run(self, args: WaitArgs, context: Context) -> Text:
        time.sleep(args.seconds)
        shade = np.full((8, 8, 3), len(args.text), np.uint8)
        return Text(text=context.add_image(shade, parents=()).handle)


class NeedsTwo(Exception):
    """Cannot be built again from its message."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"{one} {other}")


class Far(Echo):
    """Run in a process of its own."""

    name = "far"
    isolation = "process"
    timeout = 60.0

    def run(self, args: WaitArgs, context: Context) -> Text:
        if args.text == "bug":
            raise KeyError("far away")
        if args.text == "exit":
            raise SystemExit(3)
        if args.text == "odd":
            raise NeedsTwo("far", "away")
        if args.text == "lock":
            return Text.model_construct(text=threading.Lock())
        if args.text == "retry":
            raise RetryCall("say it otherwise", "limit_exceeded")
        if args.text == "pixels":
            return Text(text=str(context.media.image("image_1").sum()))
        time.sleep(args.seconds)
        return Text(text=str(os.getpid()))


class FarShort(Far):
    """The same with little time."""

    name = "far_short"
    timeout = 0.3


@pytest.fixture
def executor(tmp_path) -> ToolExecutor:
    tools = [Echo(), Meet(), Wrong(), Hang(), Find(), Paint(), Far(), FarShort()]
    weights = Weights(tmp_path)
    weights.put("model", object())
    return ToolExecutor(ToolSet(tools), MediaStore(tmp_path), weights)


def calls(*made: tuple[str, dict[str, object]]) -> list[ToolCall]:
    return [ToolCall(f"call_{n}", tool, args) for n, (tool, args) in enumerate(made, start=1)]


def codes(results: list[ToolResult]) -> list[str | None]:
    return [result.fault.code if result.fault else None for result in results]


# -- side by side ---------------------------------------------------------------------------------


def test_several_calls_run_at_once(executor):
    results = executor.run(calls(("meet", {}), ("meet", {})))
    assert [result.value.text for result in results] == ["met", "met"]


def test_results_come_in_the_order_of_the_calls_whatever_ends_first(executor):
    heard: list[str] = []
    results = executor.run(
        calls(("echo", {"seconds": 0.1, "text": "slow"}), ("echo", {"text": "fast"})),
        on_result=lambda result: heard.append(result.value.text),
    )
    assert [result.value.text for result in results] == ["slow", "fast"]
    assert heard == ["fast", "slow"]


def test_detections_are_named_in_the_order_of_the_calls_whatever_ends_first(executor):
    slow, fast = executor.run(
        calls(("find", {"text": "ab", "seconds": 0.1}), ("find", {"text": "cd"}))
    )
    assert [d.handle for d in slow.value.detections] == ["detection_1.1", "detection_1.2"]
    assert [d.handle for d in fast.value.detections] == ["detection_2.1", "detection_2.2"]
    assert executor.media.detection("detection_2.1").label == "c"


def test_a_call_that_fails_still_uses_up_its_name_so_that_later_names_are_the_same(executor):
    executor.run(calls(("find", {"text": "fail"}), ("find", {"text": "a"})))
    assert executor.media.handles("detection") == ["detection_2", "detection_2.1"]


def test_the_same_turn_gives_the_same_handles_and_values_every_time(tmp_path):
    def turn(number: int) -> list[object]:
        executor = ToolExecutor(
            ToolSet([Find(), Paint(), Echo()]), MediaStore(tmp_path / str(number)), Weights()
        )
        rng = np.random.default_rng(number)  # who ends first differs from time to time
        made = [
            (tool, {"text": "x" * (n + 1), "seconds": float(rng.uniform(0, 0.01))})
            for n, tool in enumerate(["find", "paint", "echo", "paint", "find", "paint"])
        ]
        values = [result.value for result in executor.run(calls(*made))]
        return [*values, executor.media.handles(), [m.sha256 for m in executor.media.items()]]

    first = turn(0)
    assert all(turn(n) == first for n in range(1, 8))


def test_calls_that_write_media_follow_one_another_so_that_handles_can_be_foretold(executor):
    made = [("paint", {"text": "x" * n, "seconds": 0.05 / n}) for n in (1, 2, 3)]
    results = executor.run(calls(*made))
    assert [result.value.text for result in results] == ["image_1", "image_2", "image_3"]


# -- failure --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("retry", "invalid_arguments"),
        ("unavailable", "weights_missing"),
        ("memory", "out_of_memory"),
        ("bug", "internal"),
        ("exit", "internal"),
        ("interrupt", "internal"),
        ("stop", "internal"),
        ("cancel", "internal"),
        ("group", "internal"),
        ("mute", "internal"),
        ("nonsense", "internal"),
    ],
)
def test_siblings_survive_whatever_a_call_does(how, code, executor):
    results = executor.run(
        calls(("wrong", {"text": how}), ("echo", {"text": "well", "seconds": 0.02}))
    )
    assert codes(results) == [code, None]
    assert results[1].value.text == "well"


def test_a_bug_is_told_with_its_traceback_for_the_log(executor):
    (result,) = executor.run(calls(("wrong", {"text": "bug"})))
    assert result.fault.is_bug
    assert "ZeroDivisionError: division by zero" in result.fault.message
    assert "Traceback" in result.fault.detail
    assert result.value is None


def test_an_exception_that_cannot_say_its_message_and_a_group_of_them_are_told(executor):
    mute, group = executor.run(calls(("wrong", {"text": "mute"}), ("wrong", {"text": "group"})))
    assert "wrong has a bug: Mute: its message cannot be read: Mute" in mute.fault.message
    assert "two (2 sub-exceptions): ValueError: one; GeneratorExit" in group.fault.message
    assert "Traceback" in mute.fault.detail


def test_a_message_of_any_length_is_told_in_short(executor, monkeypatch):
    def fail(self, args, context):
        raise ValueError("x" * 10**6)

    monkeypatch.setattr(Echo, "run", fail)
    (result,) = executor.run(calls(("echo", {})))
    assert len(result.fault.message) < 400
    assert len(result.fault.detail) < 21_000


def test_a_result_of_another_type_than_promised_is_a_bug(executor):
    (result,) = executor.run(calls(("wrong", {"text": "nonsense"})))
    assert result.fault.is_bug
    assert "returned str, promised Text" in result.fault.message


def test_an_unknown_tool_and_wrong_arguments_come_back_as_faults(executor):
    results = executor.run(calls(("ecko", {}), ("echo", {"seconds": "long"}), ("echo", {})))
    assert codes(results) == ["unknown_tool", "invalid_arguments", None]


def test_what_a_listener_raises_is_raised_after_the_siblings_were_heard(executor):
    heard: list[str] = []

    def listen(result: ToolResult) -> None:
        heard.append(result.call.id)
        if result.call.id == "call_1":
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk is full"):
        executor.run(calls(("echo", {}), ("echo", {"seconds": 0.05})), on_result=listen)
    assert heard == ["call_1", "call_2"]
    assert executor.run(calls(("echo", {"text": "on"})))[0].value.text == "on"


# -- time -----------------------------------------------------------------------------------------


def test_loading_a_model_is_no_part_of_a_calls_time(executor, monkeypatch):
    class Quick(Echo):
        name, timeout, weights = "quick", 0.2, ("slow model",)

        def run(self, args: WaitArgs, context: Context) -> Text:
            return Text(text=context.weights.get("slow model"))

    def load(status):
        time.sleep(0.5)
        return status.name

    monkeypatch.setattr(executor.weights, "_load", load)
    executor.tools = executor.tools.with_tools(Quick())
    (result,) = executor.run(calls(("quick", {})))
    assert result.value == Text(text="slow model")


def test_models_of_a_tool_in_its_own_process_are_not_loaded_in_this_one(executor, monkeypatch):
    class Away(Far):
        name, weights = "away", ("slow model",)

    loaded: list[str] = []
    monkeypatch.setattr(executor.weights, "get", loaded.append)
    executor.tools = executor.tools.with_tools(Away())
    executor._load(calls(("away", {})), None)
    assert loaded == []


def test_a_hung_tool_returns_control_and_retires_its_worker_and_its_weights(executor, monkeypatch):
    retired: list[str] = []  # the abandoned worker may still hold the model
    monkeypatch.setattr(executor.weights, "retire", retired.append)
    Hang.release.clear()
    began = time.monotonic()
    hung, well = executor.run(calls(("hang", {}), ("echo", {"text": "well"})))
    assert time.monotonic() - began < 10
    assert hung.fault.code == "timeout"
    assert "0.1 s" in hung.fault.message
    assert well.ok
    assert retired == ["model"]
    assert executor.run(calls(("echo", {"text": "on"})))[0].value.text == "on"
    Hang.release.set()


def test_late_results_leave_no_trace(executor):
    Hang.release.clear()
    heard: list[ToolResult] = []
    executor.run(calls(("hang", {})), on_result=heard.append)
    threads = threading.active_count()
    Hang.release.set()
    for _ in range(200):  # until the abandoned worker has ended
        if threading.active_count() < threads:
            break
        time.sleep(0.01)
    assert threading.active_count() < threads
    assert [result.fault.code for result in heard] == ["timeout"]
    assert executor.media.handles() == []


def test_what_is_left_of_a_runs_time_bounds_every_call(executor):
    (result,) = executor.run(calls(("echo", {"seconds": 20})), seconds=0.05)
    assert result.fault.code == "timeout"
    assert "0.05 s" in result.fault.message


def test_calls_behind_one_that_hangs_are_not_started(executor):
    results = executor.run(
        calls(("paint", {"seconds": 1.0, "text": "a"}), ("paint", {"text": "b"})), seconds=0.05
    )
    assert codes(results) == ["timeout", "cancelled"]
    assert "not started" in results[1].fault.message
    time.sleep(1.1)
    assert executor.media.handles() == []


# -- a process of its own -------------------------------------------------------------------------


def test_a_tool_in_a_process_sees_the_same_media_and_gives_its_own_result(executor):
    executor.media.add_image(np.full((8, 8, 3), 2, np.uint8))
    sums, process = executor.run(calls(("far", {"text": "pixels"}), ("far", {})))
    assert sums.value.text == str(8 * 8 * 3 * 2)
    assert int(process.value.text) != os.getpid()


def test_a_bug_in_a_process_is_a_bug_here(executor):
    (result,) = executor.run(calls(("far", {"text": "bug"})))
    assert result.fault.is_bug
    assert "far away" in result.fault.message


def test_whatever_is_raised_or_returned_in_a_process_comes_back_as_a_fault(executor):
    made = [("far", {"text": text}) for text in ("exit", "odd", "lock", "retry")]
    left, odd, lock, again = (result.fault for result in executor.run(calls(*made)))
    assert "SystemExit: 3" in left.message
    assert "NeedsTwo: far away" in odd.message
    assert 'raise NeedsTwo("far", "away")' in odd.detail
    assert "cannot pickle" in lock.message
    assert (again.code, again.message) == ("limit_exceeded", "say it otherwise")


def test_a_tool_in_a_process_is_killed_when_its_time_is_up(executor):
    import multiprocessing

    (result,) = executor.run(calls(("far_short", {"seconds": 60})))
    assert result.fault.code == "timeout"
    for _ in range(100):
        if not multiprocessing.active_children():
            break
        time.sleep(0.05)
    assert not multiprocessing.active_children()


# -- what made a result ---------------------------------------------------------------------------


def test_a_result_says_what_made_it(executor):
    executor.media.add_image(np.zeros((8, 8, 3), np.uint8))
    (result,) = executor.run(calls(("echo", {"text": "hi"})))
    assert result.provenance.version == "1"
    assert result.provenance.parameters == {"seconds": 0.0, "text": "hi"}, "after defaults"
    assert result.ms >= 0


def test_the_hash_of_each_input_is_on_record(executor):
    from nuthatch.tools.basic.crop import CropPicture

    picture = executor.media.add_image(np.zeros((40, 40, 3), np.uint8))
    executor.tools = executor.tools.with_tools(CropPicture())
    (result,) = executor.run(calls(("crop", {"image": "image_1", "box": [0, 0, 20, 20]})))
    assert result.provenance.inputs == {"image_1": picture.sha256}
