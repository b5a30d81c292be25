"""Test your own code without a model: a planner that says what a script tells it to."""

from pathlib import Path

from nuthatch import Agent, ScriptedPlanner

KITCHEN = Path(__file__).with_name("kitchen.png")

planner = ScriptedPlanner(
    [
        ("detect", {"image": "image_1", "labels": ["cup"]}),  # turn 1: one call
        "There are two cups.",  # turn 2: an answer with an error, on purpose
    ]
)
answer = Agent.load("embedded", planner=planner).ask("How many cups?", image=KITCHEN)
print("the planner was told:", planner.received[1])
print("draft: ", answer.draft)
print("answer:", answer)
