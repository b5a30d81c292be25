from nuthatch.agent.answer import Draft
from nuthatch.agent.planner import Call
from nuthatch.training.evaluate.first_span import FirstSpanPlanner, first_span
from nuthatch.training.evaluate.first_turns import Case, conversation


def tool(name: str, description: str, **properties: dict) -> dict:
    required = [name for name in properties if not properties[name].pop("optional", False)]
    schema = {"type": "object", "properties": properties, "required": required}
    return {"name": name, "description": description, "parameters": schema}


IMAGE = {"type": "string", "x-media": "image"}
FIND = tool(
    "find", "Locate objects.", image=IMAGE, labels={"type": "array", "items": {"type": "string"}}
)
SING = tool("singLoudly", "Sing a song.", title={"type": "string"}, times={"type": "integer"})
MOOD = tool("set_mood", "Set the mood.", mood={"type": "string", "enum": ["calm", "wild"]})
LOG = tool("log", "Keep a log.", note={"type": "string", "optional": True})


def plan(text: str, tmp_path, *, media: tuple[str, ...] = ("image",)) -> object:
    case = Case(text, media, (FIND, SING, MOOD, LOG), ((),), "", complete=True)
    return FirstSpanPlanner().plan(conversation(case, tmp_path))


def test_the_tool_whose_words_were_said_gets_the_first_words_that_mean_something(tmp_path):
    found = [Call("find", {"image": "image_1", "labels": ["red cups"]})]
    assert plan("Could you locate the red cups in it?", tmp_path) == found
    assert plan("Sing Halleluja 3 times", tmp_path) == [
        Call("singLoudly", {"title": "Halleluja 3 times", "times": 3})
    ]


def test_options_are_taken_from_the_question_or_are_the_first(tmp_path):
    assert plan("a wild mood", tmp_path) == [Call("set_mood", {"mood": "wild"})]
    assert plan("what mood?", tmp_path) == [Call("set_mood", {"mood": "calm"})]


def test_what_is_not_required_is_left_out(tmp_path):
    assert plan("log that", tmp_path) == [Call("log", {})]


def test_without_a_word_of_a_tool_a_medium_or_a_number_nothing_is_called(tmp_path):
    assert isinstance(plan("Hello there!", tmp_path), Draft)
    assert isinstance(plan("Locate cups", tmp_path, media=()), Draft)
    assert isinstance(plan("Sing Halleluja", tmp_path), Draft)


def test_a_span_ends_at_small_words_and_marks():
    assert first_span("Where is the tall man, the one with a hat?") == "tall man"
    assert first_span("Is it?") == ""
    assert first_span("find cups", frozenset({"find"})) == "cups"
