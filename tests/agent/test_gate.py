"""No draft passes the gate unchecked, and its author is never its judge."""

import numpy as np
import pytest

from nuthatch.agent import gate
from nuthatch.agent.agent import Agent
from nuthatch.agent.budget import Budget
from nuthatch.agent.conversation import Conversation
from nuthatch.agent.journal import read_events
from nuthatch.agent.planner import ScriptedPlanner
from nuthatch.tools.base import Context, Provenance, ToolCall, ToolResult
from nuthatch.tools.base.function_tool import tool
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.faults import Fault, RetryCall, ToolFailed, ToolUnavailable
from nuthatch.tools.media.store import MediaStore
from nuthatch.tools.verification.evidence.no_verifier import NO_JUDGE
from nuthatch.tools.verification.tools import CorrectAnswer
from nuthatch.tools.verification.types import Correction
from nuthatch.tools.weights.store import Weights
from tests.agent.little_tools import (
    PHOTO,
    TONE,
    CheckArgs,
    Cut,
    Find,
    FindArgs,
    Found,
    Judge,
    Note,
    Say,
    Trouble,
)
from tests.tools.verification.worlds import PICTURE, weights

LOOK = ("detect", {"image": "image_1", "labels": ["cup"]})


def ask(tmp_path, *script, tools=(), verify=True, budget=None, **media):
    house = Agent(
        ScriptedPlanner(list(script)),
        ToolSet([Find(cup=[(1, 1, 9, 9)]), Say(), Cut(), Judge()]).with_tools(*tools),
        verify=verify,
        budget=budget,
        home=tmp_path,
    )
    return house.ask("How many cups?", **media)


def test_what_is_refuted_is_corrected_and_the_draft_is_kept_beside_it(tmp_path):
    answer = ask(tmp_path, LOOK, "There are two cups.", image=PHOTO)
    assert answer.text == "There are three cups."
    assert answer.draft == "There are two cups."
    assert answer.verified
    assert [edit.new_text for edit in answer.edits] == ["three"]
    assert answer.verdicts[0].correction == "three"
    assert answer.calls[-1].call.id == "check_1"
    assert answer.timing.verify > 0


@pytest.mark.parametrize(
    ("draft", "verified", "shown"),
    [
        ("There are three cups.", True, "There are three cups."),
        ("There are two cups.", True, "There are three cups."),
        ("I cannot tell.", True, "I cannot tell."),
        ("It was painted in 1889.", False, "It was painted in 1889 [not checked]."),
        ("There is a wizard.", False, "There is a wizard [unverified]."),
        ("The giraffe is red.", False, "The giraffe [refuted] is red [refuted]."),
    ],
)
def test_verified_is_what_was_read_and_judged_as_a_whole(tmp_path, draft, verified, shown):
    tools = ToolSet([CorrectAnswer()])
    agent = Agent(ScriptedPlanner([draft]), tools, weights=weights(), home=tmp_path)
    answer = agent.ask("What do you see?", image=PICTURE)
    assert (answer.verified, str(answer)) == (verified, shown)
    assert [answer.text[a:b] for a, b in answer.unread] == (
        ["It was painted in 1889"] if "1889" in draft else []
    )
    assert agent.resume(answer.run_id).verified is verified


def test_what_could_not_be_decided_is_listed(tmp_path):
    answer = ask(tmp_path, "There is a giraffe.", image=PHOTO)
    assert answer.text == "There is a giraffe."
    assert [verdict.claim.text for verdict in answer.undecided] == ["giraffe"]


def test_an_open_gate_says_that_nothing_was_checked(tmp_path):
    answer = ask(tmp_path, "There are two cups.", verify=False, image=PHOTO)
    assert answer.text == "There are two cups."
    assert not answer.verified
    assert answer.reason == "not verified: verify=False"
    assert answer.verdicts == []


class NoJudge(Judge):
    """Cannot work here."""

    def run(self, args: CheckArgs, context: Context) -> Correction:
        raise ToolUnavailable("the weights 'detect' are missing")


class HungJudge(Judge):
    """Never ends in time."""

    def run(self, args: CheckArgs, context: Context) -> Correction:
        import time

        time.sleep(0.5)
        raise ToolFailed("late")


@pytest.mark.parametrize(
    ("judge", "why"), [(NoJudge(), "'detect' are missing"), (HungJudge(), "did not end")]
)
def test_a_draft_that_cannot_be_checked_does_not_leave(judge, why, tmp_path):
    house = Agent(
        ScriptedPlanner(["Two cups."]), [judge], budget=Budget(seconds=0.2), home=tmp_path
    )
    answer = house.ask("How many cups?", image=PHOTO)
    assert not answer.finished
    assert not answer.verified
    assert answer.text == ""
    assert answer.draft == "Two cups."
    assert "could not be checked" in answer.reason
    assert why in answer.reason


UNAVAILABLE = ("trouble", {"text": "unavailable"})


@pytest.mark.parametrize("said", ["There are four cups.", "There is a giraffe.", "Two cups."])
def test_what_is_said_for_want_of_a_tool_is_no_answer_but_a_sentence_about_the_tool(said, tmp_path):
    answer = ask(tmp_path, [LOOK, UNAVAILABLE], said, tools=[Trouble()], image=PHOTO)
    assert not answer.finished
    assert answer.text == ""
    assert answer.draft == said
    assert answer.reason == "trouble cannot work here: no weights here"
    assert [result.fault and result.fault.code for result in answer.calls] == [
        None,
        "weights_missing",
        None,
    ]


class OnceUnavailable(Find):
    """Run out of memory at the first call."""

    def run(self, args: FindArgs, context: Context) -> Found:
        if context.call_id == "call_1":
            raise ToolUnavailable("no memory", "out_of_memory")
        return super().run(args, context)


class MoreTrouble(Trouble):
    """Fail in the same way under another name."""

    name = "more_trouble"


def test_two_tools_that_lack_the_same_are_told_in_one_sentence(tmp_path):
    script = [[UNAVAILABLE, ("more_trouble", {"text": "unavailable"})], "Two."]
    answer = ask(tmp_path, *script, tools=[Trouble(), MoreTrouble()], image=PHOTO)
    assert answer.reason == "trouble, more_trouble cannot work here: no weights here"


def test_another_look_that_leaves_a_claim_open_is_no_way_round(tmp_path):
    script = [UNAVAILABLE, LOOK, "There is a giraffe."]
    answer = ask(tmp_path, *script, tools=[Trouble()], image=PHOTO)
    assert answer.reason == "trouble cannot work here: no weights here"


def test_a_tool_that_worked_at_the_second_call_lacks_nothing(tmp_path):
    script = [("detect", {"image": "image_1", "labels": ["cup"]}), LOOK, "There is a giraffe."]
    answer = ask(tmp_path, *script, tools=[OnceUnavailable(cup=[(1, 1, 9, 9)])], image=PHOTO)
    assert [result.ok for result in answer.calls] == [False, True, True]
    assert answer.finished
    assert answer.draft == "There is a giraffe."


class Believer(Judge):
    """Support what is undecided."""

    def run(self, args: CheckArgs, context: Context) -> Correction:
        done = super().run(args, context)
        sure = [each.model_copy(update={"verdict": "supported"}) for each in done.verdicts]
        return done.model_copy(update={"verdicts": sure})


def test_what_the_judges_support_is_no_guess(tmp_path):
    tools = [Trouble(), Believer()]
    answer = ask(tmp_path, UNAVAILABLE, "There is a giraffe.", tools=tools, image=PHOTO)
    assert answer.text == "There is a giraffe."


def test_the_check_is_a_recorded_call(tmp_path):
    answer = ask(tmp_path, LOOK, "There are two cups.", image=PHOTO)
    events = read_events(answer.run_folder)
    assert [event["event"] for event in events] == [
        "run",
        "turn",
        "result",
        "draft",
        "result",
        "answer",
    ]
    assert events[3]["sources"] == ["detector"]
    assert events[4]["result"]["call"]["tool"] == "correct_answer"


# -- what is checked against ----------------------------------------------------------------------


def checked_against(answer) -> tuple[object, object]:
    arguments = answer.calls[-1].call.arguments
    return arguments.get("image"), arguments.get("audio")


def test_the_check_is_against_the_picture_and_the_sound_that_were_given(tmp_path):
    answer = ask(tmp_path, "Two.", image=PHOTO, audio=TONE)
    assert checked_against(answer) == ("image_1", "audio_1")
    assert answer.calls[-1].call.arguments["question"] == "How many cups?"


def test_of_several_pictures_the_one_the_planner_looked_at_is_checked_against(tmp_path):
    look = ("detect", {"image": "image_2", "labels": ["cup"]})
    answer = ask(tmp_path, look, "Two.", image=[PHOTO, PHOTO // 2])
    assert checked_against(answer) == ("image_2", None)


def test_a_claim_about_one_of_two_pictures_is_not_judged_by_the_other(tmp_path):
    both = [LOOK, ("detect", {"image": "image_2", "labels": ["cup"]})]
    answer = ask(tmp_path, both, "Two.", image=[PHOTO, PHOTO // 2])
    assert checked_against(answer) == (None, None)


def test_a_look_at_a_part_is_a_look_at_the_picture(tmp_path):
    cut = ("cut", {"image": "image_1"})
    first = ask(tmp_path, cut, "One.", image=[PHOTO, PHOTO // 2])
    assert first.media[-1].parents == ("image_1",)
    closer = ("detect", {"image": "image_3", "labels": ["cup"]})
    assert checked_against(ask(tmp_path, closer, "Two.", after=first)) == ("image_1", None)


def test_without_a_picture_nothing_is_checked_against_one(tmp_path):
    assert checked_against(ask(tmp_path, "Two.")) == (None, None)


# -- authors and sources --------------------------------------------------------------------------


def talk_of(tmp_path, *models: str, ok: bool = True) -> Conversation:
    talk = Conversation(MediaStore(tmp_path), ToolSet([]))
    talk.ask("?", [])
    calls = [ToolCall(f"call_{n}", "look", {}) for n, _ in enumerate(models)]
    talk.call(calls)
    for call, model in zip(calls, models, strict=True):
        fault = None if ok else Fault("timeout", "too slow")
        talk.observe(ToolResult(call, Note(text="") if ok else None, fault, 1.0, used(model)))
    return talk


def used(model: str, sha256: str = "sha") -> Provenance:
    return Provenance(version="1", models={model: sha256}, parameters={}, inputs={})


@pytest.mark.parametrize(
    ("models", "judges"),
    [
        ((), []),
        (("generate",), []),
        (("detect", "segment"), ["detector"]),
        (("tag", "tag"), ["tagger"]),
        (("tag_sound", "detect"), ["detector", "sound_tagger"]),
    ],
)
def test_the_judges_whose_models_a_draft_rests_on_are_its_sources(models, judges, tmp_path):
    assert gate.sources(talk_of(tmp_path, *models)) == judges


def test_whoever_called_the_reader_quotes_it(tmp_path):
    talk = talk_of(tmp_path, "generate")
    read = ToolResult(ToolCall("call_1", "read_text", {}), Note(text=""), None, 1.0, used("x"))
    talk.call([read.call])
    talk.observe(read)
    assert gate.sources(talk) == ["reader"]


def test_calls_inside_calls_make_sources_too(tmp_path):
    talk = talk_of(tmp_path, "generate")
    inner = ToolResult(ToolCall("call_0.1", "y", {}), Note(text=""), None, 1.0, used("detect"))
    outer = ToolResult(ToolCall("call_0", "x", {}), Note(text=""), None, 1.0, children=(inner,))
    talk.observe(outer)
    assert gate.sources(talk) == ["detector"]


def test_what_was_seen_for_an_earlier_question_is_still_a_source(tmp_path):
    talk = talk_of(tmp_path, "tag")
    talk.ask("And now?", [])
    assert gate.sources(talk) == ["tagger"]


def test_a_call_that_failed_is_no_source(tmp_path):
    assert gate.sources(talk_of(tmp_path, "tag", ok=False)) == []


def folders_of(tmp_path, **contents: str) -> Weights:
    """Weights of that content by their names; equal ones are one model."""
    for name, content in contents.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
        (tmp_path / name / "model.safetensors").write_text(content)
    return Weights(tmp_path)


def test_a_judge_that_shares_its_weights_with_the_writer_of_words_is_an_author(tmp_path):
    models = folders_of(tmp_path, detect="a", tag="b", caption="b", core="c")
    talk = talk_of(tmp_path, "detect")
    assert gate.authors(talk, models) == []
    call = ToolCall("call_9", "caption", {})
    made = used("caption", models.fingerprint("caption"))
    talk.call([call])
    talk.observe(ToolResult(call, Note(text="a cup"), None, 1.0, made))
    assert gate.authors(talk, models) == ["tagger"]


def test_a_judge_that_is_the_planners_own_core_is_an_author(tmp_path):
    models = folders_of(tmp_path, detect="a", tag="c", core="c")
    assert gate.authors(talk_of(tmp_path, "detect"), models) == ["tagger"]


def test_models_that_are_missing_or_put_in_are_not_taken_for_one_another(tmp_path):
    models = Weights(tmp_path)
    models.put("detect", object())
    models.put("core", object())
    assert gate.authors(talk_of(tmp_path, "detect"), models) == []


def test_the_verifier_is_told_the_sources(tmp_path, monkeypatch):
    told: list[frozenset[str]] = []

    def run(self, args, context):
        told.append(self.sources)
        text = args.answer
        return Correction(
            draft=text,
            revised=text,
            final=text,
            choice="draft",
            choice_reason="",
            edits=[],
            verdicts=[],
        )

    monkeypatch.setattr(CorrectAnswer, "run", run)
    house = Agent(
        ScriptedPlanner([LOOK, "One cup."]),
        [Find(cup=[(1, 1, 9, 9)])],
        weights=Weights(tmp_path),
        home=tmp_path,
    )
    assert house.ask("How many cups?", image=np.array(PHOTO)).finished
    assert told == [frozenset({"detector"})]


# -- tools that fail ------------------------------------------------------------------------------


def test_the_text_of_a_tools_failure_is_no_claim(tmp_path):
    @tool
    def complain(level: int) -> int:
        """Fail."""
        raise RetryCall("expected one of these: There are two cups.")

    said = "It failed: expected one of these: There are two cups. I see two cups."
    answer = ask(tmp_path, LOOK, ("complain", {"level": 1}), said, tools=[complain], image=PHOTO)
    assert answer.draft == said
    assert answer.text == said.replace("I see two", "I see three")


class BrokenFind(Find):
    """Has a bug."""

    def run(self, args: FindArgs, context: Context) -> Found:
        raise KeyError("colour")


def test_a_judge_with_a_bug_is_no_judge_and_ends_no_run(tmp_path):
    house = Agent(
        ScriptedPlanner(["There is a cup."]),
        [BrokenFind(cup=[])],
        weights=Weights(tmp_path / "nothing"),
        home=tmp_path,
    )
    answer = house.ask("?", image=PHOTO)
    assert answer.finished
    assert [verdict.verdict for verdict in answer.verdicts] == ["not_enough_evidence"]
    assert [child.fault.code for child in answer.calls[-1].children][:1] == ["internal"]


def test_where_no_judge_works_the_answer_says_so(tmp_path):
    house = Agent(
        ScriptedPlanner(["There is a cup."]),
        [Say()],
        weights=Weights(tmp_path / "nothing"),
        home=tmp_path,
    )
    (notice,) = house.ask("?", image=PHOTO).notices
    assert notice.code == NO_JUDGE
    assert notice.text.startswith("no judge works here, nothing was checked: ")
    assert "detect" in notice.text


@pytest.mark.parametrize("said", ["Hello.", "There is a cup.", "It was painted in 1889."])
def test_where_no_judge_works_nothing_is_verified(tmp_path, said):
    house = Agent(
        ScriptedPlanner([said, said]), [], weights=Weights(tmp_path / "nothing"), home=tmp_path
    )
    answer = house.ask("?", image=PHOTO)
    assert not answer.verified
    assert [notice.code for notice in answer.notices] == [NO_JUDGE]
