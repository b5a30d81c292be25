"""What a run may use."""

import pytest

from nuthatch.agent.budget import Budget, Meter, Stopped
from nuthatch.tools.base import ToolCall, ToolResult
from nuthatch.tools.faults import Fault


def calls(*texts: str) -> list[ToolCall]:
    return [ToolCall(f"call_{n}", "say", {"text": text}) for n, text in enumerate(texts)]


def wrong(call: ToolCall) -> ToolResult:
    return ToolResult(call, None, Fault("invalid_arguments", "not so"), 0.1)


def test_it_is_on_by_default():
    assert Budget() == Budget(steps=12, calls=40, seconds=120, repeats=2, retries=3)


@pytest.mark.parametrize("bound", ["steps", "calls", "seconds", "repeats", "retries"])
@pytest.mark.parametrize("value", [-1, float("nan")])
def test_a_bound_that_is_no_amount_is_refused_by_name(bound, value):
    with pytest.raises(ValueError, match=f"budget {bound}="):
        Budget(**{bound: value})


@pytest.mark.parametrize("bound", ["steps", "calls", "repeats", "retries"])
def test_every_bound_can_be_lifted(bound):
    meter = Meter(
        Budget(**{"steps": 99, "calls": 99, "repeats": 99, "retries": 99, bound: float("inf")})
    )
    for _ in range(99):
        meter.spend(calls("same"))
        meter.record_failures([wrong(calls("same")[0])])


def test_repeats_count_the_same_tool_with_the_same_arguments_only():
    meter = Meter(Budget(repeats=1))
    meter.spend(calls("a"))
    meter.spend(calls("b"))
    meter.spend(calls("a"))
    with pytest.raises(
        Stopped, match=r"1 repeats of the same call, say .*Budget\(repeats=\.\.\.\)"
    ):
        meter.spend(calls("a"))


def test_several_wrong_calls_of_one_turn_count_once():
    meter = Meter(Budget(retries=1))
    first = [wrong(call) for call in calls("a", "b", "c")]
    meter.record_failures(first)
    with pytest.raises(Stopped, match=r"1 retries .* not so"):
        meter.record_failures(first)


def test_a_tool_that_fails_by_itself_is_no_wrong_call():
    meter = Meter(Budget(retries=0))
    meter.record_failures([ToolResult(calls("a")[0], None, Fault("timeout", "late"), 0.1)])


def test_what_was_used_before_counts():
    meter = Meter(Budget(steps=2))
    meter.count(calls("a"))
    meter.spend(calls("b"))
    with pytest.raises(Stopped, match="2 steps"):
        meter.spend(calls("c"))


def test_no_seconds_are_over_at_once():
    with pytest.raises(Stopped, match="0 seconds are over"):
        Meter(Budget(seconds=0)).check_time()
