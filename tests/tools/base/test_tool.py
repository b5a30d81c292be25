"""What a tool may rely on while it runs, and how it may fail."""

import pytest
from pydantic import BaseModel

from nuthatch.tools.base import Arguments, Context, Tool, ToolCall
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.faults import (
    FINAL,
    RETRYABLE,
    Fault,
    RetryCall,
    ToolFailed,
    ToolUnavailable,
    fault_of,
)
from nuthatch.tools.media.store import MediaStore
from nuthatch.tools.weights.store import Weights


class TextArgs(Arguments):
    text: str = ""


class Text(BaseModel):
    text: str


class Shout(Tool[TextArgs, Text]):
    """Say it loud."""

    name = "shout"
    Args = TextArgs
    Result = Text

    def run(self, args: TextArgs, context: Context) -> Text:
        if not args.text:
            raise RetryCall("there is nothing to shout; give text")
        return Text(text=args.text.upper())


class ShoutTwice(Shout):
    """Say it loud, twice, by way of `shout`."""

    name = "shout_twice"

    def run(self, args: TextArgs, context: Context) -> Text:
        once = context.call("shout", text=args.text)
        again = context.call("shout", text=args.text)
        return Text(text=f"{once.text} {again.text}")


class Broken(Shout):
    """Has a bug."""

    name = "broken"

    def run(self, args: TextArgs, context: Context) -> Text:
        raise KeyError("colour")


class CallsBroken(Shout):
    """Calls a tool that has a bug."""

    name = "calls_broken"

    def run(self, args: TextArgs, context: Context) -> Text:
        context.call("shout", text="before")
        return Text(text=str(context.call("broken")))


@pytest.fixture
def executor(tmp_path) -> ToolExecutor:
    tools = ToolSet([Shout(), ShoutTwice(), Broken(), CallsBroken()])
    return ToolExecutor(tools, MediaStore(tmp_path), Weights(tmp_path))


ALL_CODES = [
    "invalid_arguments",
    "unknown_tool",
    "asset_not_found",
    "unsupported_media",
    "limit_exceeded",
    "weights_missing",
    "dependency_missing",
    "out_of_memory",
    "timeout",
    "cancelled",
    "refused",
    "internal",
]


@pytest.mark.parametrize("code", ALL_CODES)
def test_each_error_code_belongs_to_one_kind_of_failure(code):
    kind = type(fault_of(code, "why"))
    expected = RetryCall if code in RETRYABLE else ToolUnavailable if code in FINAL else ToolFailed
    assert kind is expected
    fault = Fault(code, "why")
    assert fault.is_retryable == (kind is RetryCall)
    assert fault.is_final == (kind is ToolUnavailable)
    assert fault.is_bug == (code == "internal")


def test_a_call_inside_a_call_is_recorded_under_the_outer_ones_id(executor):
    result = executor.execute(ToolCall("call_2", "shout_twice", {"text": "ho"}))
    assert result.ok
    assert result.value == Text(text="HO HO")
    assert [child.call.id for child in result.children] == ["call_2.1", "call_2.2"]
    assert result.children[0].provenance.parent == "call_2"


def test_a_fault_of_an_inner_call_is_the_outer_ones_if_it_does_not_catch_it(executor):
    result = executor.execute(ToolCall("call_1", "shout_twice", {"text": ""}))
    assert result.fault.code == "invalid_arguments"
    assert "nothing to shout" in result.fault.message
    assert len(result.children) == 1


def test_a_bug_of_an_inner_call_ends_the_outer_one_and_what_was_done_is_kept(executor):
    result = executor.execute(ToolCall("call_1", "calls_broken", {}))
    assert result.fault.is_bug
    assert "KeyError" in result.fault.detail
    assert [child.ok for child in result.children] == [True, False]


def test_a_given_up_call_gives_up_those_made_inside_it():
    outer = Context("call_1", None, None, None)
    inner = Context("call_1.1", None, None, None, parent=outer)
    inner.check()
    outer.given_up = True
    with pytest.raises(ToolFailed, match="given up"):
        inner.check()
    with pytest.raises(ToolFailed):
        inner.add_image(b"", parents=())


def test_arguments_cannot_be_changed_by_the_tool():
    with pytest.raises(ValueError, match="frozen"):
        TextArgs(text="a").text = "b"


def test_planners_read_the_first_paragraph_on_one_line():
    assert ShoutTwice().description == "Say it loud, twice, by way of `shout`."
