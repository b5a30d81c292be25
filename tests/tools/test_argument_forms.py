"""What an argument can be, read from its schema."""

from typing import Annotated

from pydantic import BaseModel, Field

from nuthatch.tools.argument_forms import Form, parameters_of
from nuthatch.tools.base.function_tool import tool
from nuthatch.tools.base.regions import Region
from nuthatch.tools.base.tool import AudioRef, ImageRef
from nuthatch.tools.detection.detect import Detect
from nuthatch.tools.segmentation.segment import Segment


class Frame(BaseModel):
    """An object with a picture inside."""

    image: ImageRef


@tool
def several(
    image: Annotated[ImageRef, Field(alias="picture")],
    region: Region | None,
    sounds: list[AudioRef],
    frame: Frame,
    words: str | list[str],
    size: tuple[int, str] = (1, "px"),
) -> int:
    """Count arguments."""
    return 6


def test_media_lists_rows_of_numbers_and_text_are_told_apart():
    forms = {name: each.form for name, each in parameters_of(several).items()}
    assert forms["image"] == Form(kinds=frozenset(["image"]))
    assert forms["region"] == Form(kinds=frozenset(["detection"]), numbers=4)
    assert forms["sounds"] == Form(items=Form(kinds=frozenset(["audio"])))
    assert forms["frame"] == Form(other=True)
    assert forms["words"] == Form(items=Form(text=True), text=True)
    assert forms["size"] == Form(other=True)
    assert forms["sounds"].is_list
    assert not forms["words"].is_list


def test_an_argument_is_known_by_its_name_and_by_its_alias():
    parameters = parameters_of(several)
    assert parameters["picture"] is parameters["image"]
    assert parameters["image"].required
    assert not parameters["size"].required


def test_arguments_that_planners_are_not_shown_are_known_too():
    assert parameters_of(Detect())["region"].form == Form(numbers=4)


def test_what_is_expected_is_said_by_the_form_or_else_by_the_description():
    segment = parameters_of(Segment())
    assert segment["boxes"].expected == "one or a list of: x1 y1 x2 y2 in pixels"
    assert "found.value.detections[0]" in segment["detections"].expected
    assert parameters_of(Detect())["labels"].expected.startswith("short noun phrases")
