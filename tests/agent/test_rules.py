"""What the rules planner says, from what little tools observe."""

import numpy as np
import pytest

from nuthatch.agent.agent import Agent
from nuthatch.agent.rules import RulesPlanner
from nuthatch.tools.audio.tag_sound import SoundEvent, SoundEvents, TagSoundArgs
from nuthatch.tools.base import Context, Tool
from nuthatch.tools.basic.calculate import Calculate
from nuthatch.tools.basic.measure import Measure
from nuthatch.tools.composite.locate_sound_source import (
    LocateSoundSourceArgs,
    SoundLink,
    SoundSources,
)
from nuthatch.tools.faults import ToolUnavailable
from nuthatch.tools.tagging.describe_attributes import (
    Attributes,
    DescribeAttributesArgs,
    ScoredWord,
)
from nuthatch.tools.vocabulary import SOUNDS
from tests.agent.little_tools import PHOTO, TONE, Find, FindArgs, Found

# The photo is 64 x 48: two cups left, a clock at the top right, an orange in the middle.
THERE = {
    "cup": [(2, 20, 12, 30), (4, 34, 14, 44)],
    "clock": [(50, 2, 60, 12)],
    "orange": [(28, 20, 36, 28)],
}


class Colours(Tool[DescribeAttributesArgs, Attributes]):
    """The first cup is blue, everything else plain."""

    name = "describe_attributes"
    Args = DescribeAttributesArgs
    Result = Attributes

    def run(self, args: DescribeAttributesArgs, context: Context) -> Attributes:
        found = context.media.detection(str(args.region))
        tint = "blue" if found.label == "cup" and found.handle.endswith(".1") else "plain"
        word = [ScoredWord(word=tint, score=0.9)]
        return Attributes(objects=[], tints=word, score_kind="probability")


class Ears(Tool[TagSoundArgs, SoundEvents]):
    """Hear what was put there."""

    name = "tag_sound"
    Args = TagSoundArgs
    Result = SoundEvents

    def __init__(self, *events: str) -> None:
        self.events = events

    def run(self, args: TagSoundArgs, context: Context) -> SoundEvents:
        heard = [
            SoundEvent(
                event=event,
                description=SOUNDS[event].description,
                object=SOUNDS[event].object,
                score=0.9,
            )
            for event in self.events
        ]
        return SoundEvents(events=heard, silent=not self.events)


class Source(Tool[LocateSoundSourceArgs, SoundSources]):
    """Link what is heard to what is there."""

    name = "locate_sound_source"
    effects = "writes_media"
    Args = LocateSoundSourceArgs
    Result = SoundSources

    def run(self, args: LocateSoundSourceArgs, context: Context) -> SoundSources:
        links = []
        for event in context.call("tag_sound", audio=args.audio).events:
            found = context.call("detect", image=args.image, labels=[event.object])
            handles = [each.handle for each in found.detections]
            links.append(SoundLink(**event.model_dump(), detections=handles))
        return SoundSources(links=links)


class Blind(Find):
    """Cannot look."""

    def run(self, args: FindArgs, context: Context) -> Found:
        raise ToolUnavailable("the weights 'detect' are not here")


def agent(tmp_path, *, heard=("clock",), tools=()) -> Agent:
    kit = {tool.name: tool for tool in (
        Find(**THERE), Colours(), Ears(*heard), Source(), Measure(), Calculate(), *tools
    )}  # fmt: skip
    return Agent(RulesPlanner(), kit.values(), verify=False, home=tmp_path)


def said(tmp_path, question: str, *, image=PHOTO, audio=TONE, **kwargs) -> str:
    return agent(tmp_path, **kwargs).ask(question, image=image, audio=audio).text


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How many cups are there?", "There are two cups."),
        ("How many clocks can you see in the picture?", "There is one clock."),
        ("how many giraffes", "There are no giraffes."),
        ("Count the mugs.", "There are two cups."),
        ("How many blue cups are there?", "There is one blue cup."),
        ("How many cups and clocks are there?", "There are two cups. There is one clock."),
        ("How many oranges?", "There is one orange."),
        ("How many flumps are there?", "There are no flumps."),
        ("Is there a cup?", "Yes, there is a cup."),
        ("Is there an orange in the picture?", "Yes, there is an orange."),
        ("Do you see a giraffe?", "No, there are no giraffes."),
        ("Are there any giraffes or cups?", "Yes, there are no giraffes. There is a cup."),
        ("Is there a red cup?", "No, there are no red cups."),
        ("Is this a flump?", "No, there are no flumps."),
        ("Where is the clock?", "The clock is at the top of the picture, on the right."),
        ("Where is the orange?", "The orange is in the middle of the picture."),
        ("Where are the cups?", "There are two cups, on the left of the picture, at the bottom."),
        ("Where is the giraffe?", "There are no giraffes."),
        ("Is the cup left of the clock?", "Yes, the cup is left of the clock."),
        ("Is the clock to the left of the cup?", "No, the clock is right of the cup."),
        ("Is the clock above the cup?", "Yes, the clock is above the cup."),
        ("Is the cup over the clock?", "No, the cup is below the clock."),
        ("Is the orange under the cup?", "No, the orange is right of the cup."),
        ("Is there a clock above the giraffe?", "No, there are no giraffes."),
        ("What colour is the cup?", "The cup is blue."),
        ("What color is the clock?", "The clock is plain."),
        ("Is the cup blue?", "Yes, the cup is blue."),
        ("Is the cup red?", "No, the cup is blue."),
        ("Is the giraffe red?", "No, there are no giraffes."),
        ("What is in the picture?", "There are two cups, a clock and an orange."),
        ("Describe the image.", "There are two cups, a clock and an orange."),
        ("What do you hear?", "I hear a clock ticking."),
        ("Which object makes this sound?", "The sound is a clock ticking; the clock makes it."),
        ("3 + 4", "3 + 4 = 7."),
        ("What is (3 + 4) * 2?", "(3 + 4) * 2 = 14."),
        ("What is 12 divided by 5?", "12 / 5 = 2.4."),
    ],
)
def test_each_kind_of_question_has_its_answer(question, answer, tmp_path):
    assert said(tmp_path, question) == answer


def test_several_questions_of_one_turn_are_all_answered(tmp_path):
    question = "How many cups are there, and which object makes this sound?"
    expected = "There are two cups. The sound is a clock ticking; the clock makes it."
    assert said(tmp_path, question) == expected
    assert said(tmp_path, "Is there a cup? What is 2 + 2?") == "Yes, there is a cup. 2 + 2 = 4."


def test_what_does_not_depend_on_each_other_is_looked_at_side_by_side(tmp_path):
    answer = agent(tmp_path).ask(
        "How many cups are there and what do you hear and what colour is the clock?",
        image=PHOTO,
        audio=TONE,
    )
    assert [result.call.tool for result in answer.calls] == [
        "detect",
        "tag_sound",
        "detect",
        "describe_attributes",
    ]


def test_all_that_is_heard_is_named_and_what_is_heard_but_not_seen_is_said(tmp_path):
    both = ("clock", "dog")
    assert said(tmp_path, "What do you hear?", heard=both) == (
        "I hear a clock ticking and a dog barking."
    )
    assert said(tmp_path, "What makes the sound?", heard=both) == (
        "I hear a clock ticking; the clock makes it. I hear a dog barking. There are no dogs."
    )


def test_silence_is_silence(tmp_path):
    assert said(tmp_path, "What do you hear?", heard=()) == "The recording is silent."
    assert said(tmp_path, "What makes this sound?", heard=()) == "The recording is silent."


@pytest.mark.parametrize(
    ("question", "lack"),
    [
        ("How many cups are there?", "I need a picture"),
        ("What is in the picture?", "I need a picture"),
        ("What do you hear?", "I need a sound"),
        ("Which object makes this sound?", "I need a sound"),
    ],
)
def test_without_the_picture_or_the_sound_it_says_what_it_lacks(question, lack, tmp_path):
    text = said(tmp_path, question, image=None, audio=None)
    assert text.startswith(lack)


def test_with_a_sound_alone_it_still_says_what_it_hears(tmp_path):
    text = said(tmp_path, "Which object makes this sound?", image=None)
    assert text == "I hear a clock ticking. To point at what makes it, I need a picture."


def test_what_could_not_be_looked_at_is_said_and_the_rest_is_answered(tmp_path):
    text = said(tmp_path, "How many cups are there, and what is 2 + 2?", tools=(Blind(),))
    assert text == "I could not find out: the weights 'detect' are not here. 2 + 2 = 4."


def test_a_sum_without_a_value_is_said_to_have_none(tmp_path):
    assert "has no value" in said(tmp_path, "1 / 0")


@pytest.mark.parametrize(
    "question",
    ["Сколько чашек?", "有几个杯子？", "???", ".", "hello there", "how many", "x" * 20_000],
)
def test_what_it_does_not_understand_it_says(question, tmp_path):
    assert "did not understand" in said(tmp_path, question)


@pytest.mark.parametrize(
    "question",
    [
        "how many . . . ?",
        "how many " + "very " * 3000 + "cups?",
        "where is",
        "(((((" * 2000 + "1+1",
    ],
)
def test_no_question_makes_it_fail(question, tmp_path):
    assert agent(tmp_path).ask(question, image=PHOTO, audio=TONE).finished


def test_the_picture_named_in_the_question_is_looked_at(tmp_path):
    answer = agent(tmp_path).ask("How many cups are in image_1?", image=[PHOTO, PHOTO // 2])
    assert answer.calls[0].call.arguments["image"] == "image_1"
    assert answer.text == "There are two cups."


def test_of_two_pictures_neither_is_guessed(tmp_path):
    answer = agent(tmp_path).ask("How many cups are there?", image=[PHOTO, PHOTO // 2])
    assert answer.text == "Which picture do you mean, image_1 or image_2?"
    assert all(result.call.tool != "detect" for result in answer.calls)


def test_a_picture_that_came_with_the_question_goes_before_earlier_ones(tmp_path):
    house = agent(tmp_path)
    first = house.ask("How many cups are there?", image=PHOTO)
    later = house.ask("How many cups are there?", image=PHOTO // 2, after=first)
    assert later.calls[0].call.arguments["image"] == "image_2"


@pytest.mark.parametrize(
    "question",
    [
        "Which object is to the left of the clock?",
        "Are there more cups than clocks?",
        "What colour is the cup on the right?",
        "How many of the cups with a handle are there?",
    ],
)
def test_what_the_rules_cannot_mean_is_not_looked_for(question, tmp_path):
    answer = agent(tmp_path).ask(question, image=PHOTO)
    assert answer.text.startswith("I did not understand the question.")


def test_a_short_next_question_takes_its_form_from_the_one_before(tmp_path):
    house = agent(tmp_path)
    first = house.ask("How many cups are there?", image=PHOTO)
    assert house.ask("And the clocks?", after=first).text == "There is one clock."
    colour = house.ask("What colour is the cup?", after=first)
    assert house.ask("What about the clock?", after=colour).text == ("The clock is plain.")


def test_it_keeps_nothing_between_questions(tmp_path):
    planner = RulesPlanner()
    house = Agent(planner, [Find(**THERE)], verify=False, home=tmp_path)
    assert house.ask("How many cups?", image=PHOTO).text == "There are two cups."
    assert house.ask("How many cups?", image=np.array(PHOTO)).calls != []
    assert vars(planner) == {}
