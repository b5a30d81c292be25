"""A reader that reads what it was told, at the executor beside the default tools."""

from pathlib import Path
from tempfile import TemporaryDirectory

from nuthatch.tools.base import Context, ToolCall, ToolResult
from nuthatch.tools.base.toolset import AnyTool, ToolSet
from nuthatch.tools.catalogue import default_tools
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.faults import ToolFault
from nuthatch.tools.media.geometry import Box
from nuthatch.tools.media.store import MediaStore
from nuthatch.tools.ocr.read_text import Line, Lines, ReadText, ReadTextArgs
from nuthatch.tools.verification.tools import CorrectAnswer
from nuthatch.tools.verification.types import Correction, Verdict
from tests.tools.verification.worlds import PICTURE, SOUND, weights

Read = str | tuple[str, float]


class Reader(ReadText):
    """Reads lines, with 0.95 where no score is given, or fails."""

    def __init__(self, *lines: Read, fault: ToolFault | None = None) -> None:
        scored = [(each, 0.95) if isinstance(each, str) else each for each in lines]
        self.lines = [
            Line(text=text, score=score, box=Box.of((10, 20 * row, 90, 20 * row + 12)))
            for row, (text, score) in enumerate(scored)
        ]
        self.fault = fault

    def run(self, args: ReadTextArgs, context: Context) -> Lines:
        if self.fault is not None:
            raise self.fault
        return Lines(lines=self.lines)


def checked(
    answer: str,
    *tools: AnyTool,
    question: str | None = None,
    picture: bool = True,
    sound: bool = False,
    policy: str = "conservative",
    authors: tuple[str, ...] = (),
) -> ToolResult:
    """The call of `correct_answer` at a executor with these and the default tools but the reader
    of text."""
    with TemporaryDirectory() as folder:
        media = MediaStore(Path(folder))
        arguments = {"answer": answer, "question": question, "policy": policy}
        if picture:
            arguments["image"] = media.add_image(PICTURE).handle
        if sound:
            arguments["audio"] = media.add_audio(SOUND).handle
        others = ToolSet(tool for tool in default_tools() if tool.name != "read_text")
        executor = ToolExecutor(others.with_tools(CorrectAnswer(authors), *tools), media, weights())
        return executor.execute(ToolCall("call_1", "correct_answer", arguments))


def correction(answer: str, *lines: Read, **given: object) -> Correction:
    """What becomes of an answer where these lines are read in the picture."""
    result = checked(answer, Reader(*lines), **given)  # type: ignore[arg-type]
    assert isinstance(result.value, Correction), result.fault
    return result.value


def verdict(answer: str, *lines: Read, **given: object) -> Verdict:
    """The verdict on what an answer says is written."""
    (found,) = [v for v in correction(answer, *lines, **given).verdicts if v.claim.kind == "text"]
    return found
