"""The verifier as a user meets it: the door without an agent, and the tools."""

from pathlib import Path

import numpy as np
import pytest

from nuthatch import Verifier
from nuthatch.tools.base import ToolCall
from nuthatch.tools.catalogue import default_tools
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.faults import RetryCall
from nuthatch.tools.media.ingest import MediaError
from nuthatch.tools.media.store import MediaStore
from nuthatch.tools.verification.correction import Item
from nuthatch.tools.verification.tools import CheckArgs, CorrectAnswer
from nuthatch.tools.verification.types import Correction
from nuthatch.tools.weights.store import Weights
from tests.tools.verification.worlds import PICTURE, SOUND, weights

ANSWER = "There are two cups and a giraffe. The dog is right of the tree. You hear a cow mooing."
RIGHT = "There are three cups. The dog is left of the tree. You hear a bell ringing."


def test_any_answer_is_corrected_against_a_picture_and_a_sound() -> None:
    done = Verifier(weights=weights()).correct(ANSWER, image=PICTURE, audio=SOUND)
    assert done.final == RIGHT
    assert done.draft == ANSWER


def test_a_report_has_a_verdict_for_each_claim() -> None:
    report = Verifier(weights=weights()).verify("Yes.", "Is there a dog?", image=PICTURE)
    assert [verdict.verdict for verdict in report.verdicts] == ["supported"]
    assert report.undecided == []


def test_without_a_picture_nothing_about_pictures_is_decided() -> None:
    report = Verifier(weights=weights()).verify(ANSWER)
    assert {verdict.verdict for verdict in report.verdicts} == {"not_enough_evidence"}
    assert {verdict.rule for verdict in report.verdicts} == {"judges.none"}


def test_each_look_is_a_call_that_evidence_names() -> None:
    verifier = Verifier(weights=weights())
    done = verifier.correct(ANSWER, image=PICTURE, audio=SOUND)
    (outer,) = verifier.calls
    inner = {result.call.id: result.call.tool for result in outer.children}
    assert set(inner.values()) == {"detect", "tag", "describe_attributes", "measure", "tag_sound"}
    for verdict in done.verdicts:
        for item in verdict.evidence:
            assert inner[item.call_id] == item.tool


def test_one_detector_pass_serves_all_claims() -> None:
    judges = weights()
    Verifier(weights=judges).correct(ANSWER, image=PICTURE)
    assert judges.get("detect").passes == 1


def test_many_answers_come_out_as_one_by_one() -> None:
    judges = weights()
    verifier = Verifier(weights=judges)
    answers = [ANSWER, "There is a dog.", "There is one tree.", "No cups."]
    many = verifier.correct_many([Item(answer, None, PICTURE, SOUND) for answer in answers])
    assert judges.get("detect").passes == 1  # one picture, one pass
    for answer, done in zip(answers, many, strict=True):
        alone = verifier.correct(answer, image=PICTURE, audio=SOUND)
        assert done.final == alone.final
        assert [v.rule for v in done.verdicts] == [v.rule for v in alone.verdicts]


def test_a_silent_sound_refutes_every_sound() -> None:
    silence = np.zeros(16_000, np.float32)
    report = Verifier(weights=weights()).verify("You hear a bell ringing.", audio=silence)
    assert report.verdicts[0].verdict == "refuted"


def test_a_judge_that_is_not_installed_is_missed_not_feared(tmp_path: Path) -> None:
    bare = Weights(tmp_path)
    verifier = Verifier(weights=bare)
    report = verifier.verify("There is a dog.", image=PICTURE)
    assert report.verdicts[0].rule == "judges.none"
    failed = [result for result in verifier.calls[0].children if not result.ok]
    assert failed
    assert "nuthatch train" in failed[0].fault.message  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "answer", ["", "猫が二匹います。" * 100, "\x00\ud7ff", "There is a cup. " * 1250]
)
def test_strange_and_long_answers_do_no_harm(answer: str) -> None:
    done = Verifier(weights=weights()).correct(answer, image=PICTURE)
    assert done.final == answer


def test_answers_that_are_too_long_are_refused() -> None:
    with pytest.raises(RetryCall, match=r"20,016 characters; at most 20,000"):
        Verifier(weights=weights()).correct("There is a cup. " * 1251, image=PICTURE)


def test_one_claim_is_one_claim() -> None:
    report = Verifier(weights=weights()).verify("There is a wizard.", image=PICTURE)
    assert report.in_short() == "1 claim: 1 undecided"


def test_pictures_and_sounds_are_checked_at_the_door() -> None:
    with pytest.raises(MediaError, match="there is no file"):
        Verifier(weights=weights()).correct("A cup.", image="missing.png")


def test_the_tools_are_in_the_catalogue_and_take_handles(tmp_path: Path) -> None:
    media = MediaStore(tmp_path)
    image = media.add_image(PICTURE).handle
    executor = ToolExecutor(default_tools(), media, weights())
    arguments = {"answer": "There are two cups.", "image": image}
    result = executor.execute(ToolCall("call_1", "correct_answer", arguments))
    assert isinstance(result.value, Correction)
    assert result.value.final == "There are three cups."
    wrong = executor.execute(
        ToolCall("call_2", "verify_answer", {"answer": "A", "image": "image_9"})
    )
    assert wrong.fault is not None
    assert wrong.fault.code == "asset_not_found"


def test_whoever_wrote_the_answer_is_named_to_the_tool(tmp_path: Path) -> None:
    media = MediaStore(tmp_path)
    audio = media.add_audio(SOUND).handle
    arguments = {"answer": "You hear a cow mooing.", "audio": audio}
    finals = []
    for authors in ((), ("sound_tagger",)):
        tools = default_tools().with_tools(CorrectAnswer(authors))
        result = ToolExecutor(tools, media, weights()).execute(
            ToolCall("call_1", "correct_answer", arguments)
        )
        assert isinstance(result.value, Correction)
        finals.append(result.value.final)
    assert finals == ["You hear a bell ringing.", "You hear a cow mooing."]


def test_an_answer_that_is_no_unicode_is_checked_with_question_marks() -> None:
    assert CheckArgs(answer="a \ud800 cup", question="\udfff").model_dump(include={"answer"}) == {
        "answer": "a ? cup"
    }
