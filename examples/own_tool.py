"""Two tools of your own: a class with typed arguments and a typed result, and a function."""

from pathlib import Path

from pydantic import BaseModel

from nuthatch import Agent, ScriptedPlanner, Tool, tool
from nuthatch.tools.base import Arguments, Context, ImageRef
from nuthatch.tools.catalogue import default_tools

KITCHEN = Path(__file__).with_name("kitchen.png")


class BrightnessArgs(Arguments):
    image: ImageRef


class Brightness(BaseModel):
    mean: float  # 0 to 255


class MeasureBrightness(Tool[BrightnessArgs, Brightness]):
    """Say how bright a picture is."""

    name, Args, Result = "brightness", BrightnessArgs, Brightness

    def run(self, args: BrightnessArgs, context: Context) -> Brightness:
        return Brightness(mean=float(context.media.image(args.image).mean()))


@tool
def contrast(image: ImageRef, context: Context) -> float:
    """Say how much contrast a picture has: the standard deviation of its values, 0 to 128."""
    return float(context.media.image(image).std())


# A scripted planner calls both tools in one turn, then answers.
planner = ScriptedPlanner(
    [
        [("brightness", {"image": "image_1"}), ("contrast", {"image": "image_1"})],
        "There is a clock.",
    ]
)
tools = default_tools().with_tools(MeasureBrightness(), contrast)
answer = Agent.load("embedded", planner=planner, tools=tools).ask("How is it?", image=KITCHEN)
for result in answer.calls[:2]:
    print(result.call.tool, result.value)
print(answer)
