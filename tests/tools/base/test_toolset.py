"""Tools by name: schemas out, calls checked."""

import pytest
from pydantic import BaseModel

from nuthatch.tools.base import Arguments, Context, ImageRef, Tool, ToolCall
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.faults import RetryCall
from nuthatch.tools.media.geometry import Box
from nuthatch.tools.media.store import Detection, MediaStore
from nuthatch.tools.tagging.describe_attributes import DescribeAttributes


class LookArgs(Arguments):
    image: ImageRef
    others: list[ImageRef] | None = None
    times: int = 1


class Nothing(BaseModel):
    pass


class Look(Tool[LookArgs, Nothing]):
    """Look at
    a picture.

    Only people read this paragraph.
    """

    name = "look"
    Args = LookArgs
    Result = Nothing

    def run(self, args: LookArgs, context: Context) -> Nothing:
        return Nothing()


@pytest.fixture
def media(tmp_path) -> MediaStore:
    import numpy as np

    store = MediaStore(tmp_path)
    store.add_image(np.zeros((9, 9, 3), np.uint8))
    store.add_audio(np.full(1600, 0.1, np.float32))
    return store


def refused(arguments: object, media: MediaStore, tool: str = "look") -> RetryCall:
    with pytest.raises(RetryCall) as caught:
        ToolSet([Look()]).check(ToolCall("call_1", tool, arguments), media)  # type: ignore[arg-type]
    return caught.value


def test_a_schema_says_what_the_tool_does_and_which_arguments_are_handles():
    (schema,) = ToolSet([Look()]).schemas()
    assert schema["name"] == "look"
    assert schema["description"] == "Look at a picture."
    assert schema["parameters"]["properties"]["image"]["x-media"] == "image"
    assert schema["parameters"]["additionalProperties"] is False


def test_a_checked_call_gives_typed_arguments_and_the_handles_it_names(media):
    call = ToolCall("call_1", "look", {"image": "image_1", "others": ["image_1"]})
    tool, args, handles = ToolSet([Look()]).check(call, media)
    assert isinstance(tool, Look)
    assert isinstance(args, LookArgs)
    assert args.times == 1
    assert handles == ["image_1", "image_1"]


def test_an_unknown_tool_is_answered_with_the_nearest_name(media):
    fault = refused({}, media, tool="lok")
    assert fault.code == "unknown_tool"
    assert "did you mean 'look'?" in fault.message


def test_an_unknown_argument_is_never_ignored(media):
    fault = refused({"image": "image_1", "zoom": 2}, media)
    assert fault.code == "invalid_arguments"
    assert "zoom" in fault.message


def test_a_wrong_type_is_told_with_the_path_of_the_fault(media):
    assert "times" in refused({"image": "image_1", "times": "many"}, media).message


@pytest.mark.parametrize("arguments", [None, [], "image_1", 3])
def test_arguments_that_are_no_object_are_a_wrong_call(arguments, media):
    assert refused(arguments, media).code == "invalid_arguments"


def test_a_dead_handle_is_answered_with_the_live_ones(media):
    fault = refused({"image": "image_9"}, media)
    assert fault.code == "asset_not_found"
    assert "image_1" in fault.message


def test_a_dead_handle_in_a_list_is_found_too(media):
    fault = refused({"image": "image_1", "others": ["image_1", "image_7"]}, media)
    assert "look.others" in fault.message
    assert "image_7" in fault.message


def test_a_handle_of_another_kind_is_refused(media):
    fault = refused({"image": "audio_1"}, media)
    assert "of type audio, not image" in fault.message


def test_where_a_box_may_stand_for_a_detection_its_numbers_are_no_handles(media):
    arguments = {"image": "image_1", "region": [1, 2, 5, 6]}
    call = ToolCall("call_1", "describe_attributes", arguments)
    _, args, handles = ToolSet([DescribeAttributes()]).check(call, media)
    assert args.region == (1, 2, 5, 6)
    assert handles == ["image_1"]


def test_two_tools_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two tools are called 'look'"):
        ToolSet([Look(), Look()])


def test_a_new_tool_of_an_old_name_takes_its_place():
    mine = Look()
    tools = ToolSet([Look()]).with_tools(mine)
    assert len(tools) == 1
    assert tools["look"] is mine


def test_a_tool_in_a_process_of_its_own_cannot_write_media():
    class Far(Look):
        isolation = "process"
        effects = "writes_media"

    with pytest.raises(ValueError, match="cannot write media"):
        ToolSet([Far()])


def test_a_set_of_detections_and_its_members_are_live_handles(media):
    from nuthatch.tools.basic.measure import Measure

    found = Detection(
        image="image_1", label="cup", score=0.9, score_kind="s", box=Box.of((1, 1, 2, 2))
    )
    media.add_detections(media.reserve_detections(), [found])
    tools = ToolSet([Measure()])
    for handle in ("detection_1", "detection_1.1"):
        tools.check(ToolCall("call_1", "measure", {"op": "count", "a": [handle]}), media)
    with pytest.raises(RetryCall, match=r"detection_1\.2"):
        tools.check(ToolCall("call_1", "measure", {"op": "count", "a": ["detection_1.2"]}), media)
