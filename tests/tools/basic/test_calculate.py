"""Arithmetic that ends: what is too large is refused before it is begun."""

import ast
from pathlib import Path

import pytest

from nuthatch.tools.base import Context, ToolCall
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.basic import calculate
from nuthatch.tools.basic.calculate import Calculate, CalculateArgs
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.faults import RetryCall, ToolFailed
from nuthatch.tools.media.store import MediaStore
from nuthatch.tools.weights.store import Weights


@pytest.fixture
def executor(tmp_path: Path) -> ToolExecutor:
    return ToolExecutor(ToolSet([Calculate()]), MediaStore(tmp_path), Weights())


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("+".join(["1"] * 100), 100),
        ("-" * 190 + "1", 1),
        ("(" * 90 + "7" + ")" * 90, 7),
        ("2 ** 49", 2**49),
        ("2 ** -3", 0.125),
        ("round(1234.5, -2)", 1200),
        ("round(5.25, 1)", 5.2),
        ("round(2.5)", 2),
        ("max(3, 4, min(9, 8))", 8),
    ],
)
def test_what_ends_is_worked_out(executor: ToolExecutor, expression: str, value: float) -> None:
    result = executor.execute(ToolCall("call_1", "calculate", {"expression": expression}))
    assert result.fault is None, result.fault
    assert result.value is not None
    assert result.value.model_dump() == {"value": value}


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("9 ** 9 ** 9", "the power is too large"),
        ("**".join(["2"] * 60), "the power is too large"),
        ("10 ** 15 * 10", "beyond 1e[+]15"),
        ("9" * 200, "beyond 1e[+]15"),
        ("round(5, -10 ** 9)", "round takes up to 15 digits"),
        ("round(5, 0.5)", "round takes up to 15 digits"),
        ("factorial(10 ** 9)", "not allowed"),
        ("comb(10 ** 9, 5 * 10 ** 8)", "not allowed"),
        ("1 << 10 ** 9", "not allowed"),
        ("'a' * 10 ** 9", "not allowed"),
        ("[0] * 10 ** 9", "not allowed"),
        ("str(10 ** 15)", "not allowed"),
        ("(" * 199 + "1", "is no arithmetic"),
        ("1\x00", "null bytes"),
    ],
)
def test_what_might_not_end_is_refused_before_it_is_begun(
    executor: ToolExecutor, expression: str, says: str
) -> None:
    fault = executor.execute(ToolCall("call_1", "calculate", {"expression": expression})).fault
    assert fault is not None
    assert fault.code == "invalid_arguments"
    with pytest.raises(RetryCall, match=says):
        raise RetryCall(fault.message)
    assert len(fault.message) < 400


def test_a_call_that_was_given_up_stops_between_two_operations(
    monkeypatch: pytest.MonkeyPatch, executor: ToolExecutor
) -> None:
    context = Context("call_1", executor.media, executor.weights, executor)
    done: list[float] = []

    def add(one: float, other: float) -> float:
        done.append(one + other)
        context.given_up = len(done) == 3
        return one + other

    monkeypatch.setitem(calculate._BINARY, ast.Add, add)
    with pytest.raises(ToolFailed, match="given up"):
        Calculate().run(CalculateArgs(expression="1+2+3+4+5+6+7"), context)
    assert done == [3, 6, 10]
