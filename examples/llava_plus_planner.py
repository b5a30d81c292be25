"""LLaVA-Plus plans, our tools work: its turns become calls, their results what it reads next.

`LlavaPlusPlanner.load(FOLDER)` takes the published model (7B; `nuthatch convert llava_plus`). To
run in seconds, this script plays back two turns that were written down as such a model writes them.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nuthatch import Agent
from nuthatch.agent.llava_plus_planner import LlavaPlusPlanner
from nuthatch.mllm.layout import Segment, Text

KITCHEN = Path(__file__).with_name("kitchen.png")
TURNS = [
    '"thoughts🤔" To count the cups, I look for them with Grounding DINO.\n'
    '"actions🚀" [{"API_name": "grounding_dino", "API_params": {"caption": "cup"}}]\n'
    '"value👉" I am looking for the cups.',
    '"thoughts🤔" Grounding DINO has found the cups.\n'
    '"actions🚀" []\n'
    '"value👉" There are two cups.',  # an error, on purpose
]
turns: Iterator[str] = iter(TURNS)


def recorded(segments: Sequence[Segment], pictures: Sequence[Any]) -> str:
    """What the model says next; it reads `segments` and looks at `pictures`."""
    last = [each.text for each in segments if isinstance(each, Text)][-1]
    print(f"it reads: ...{last[-150:]!r}")
    return next(turns)


agent = Agent.load("embedded", planner=LlavaPlusPlanner(recorded))
answer = agent.ask("How many cups are there?", image=KITCHEN)
print("calls:", [f"{each.call.tool} {each.call.arguments}" for each in answer.calls][:1])
print("draft:", answer.draft)
print("answer:", answer)
