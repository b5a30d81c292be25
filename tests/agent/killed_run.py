"""A run that is killed from outside: `python killed_run.py HOME NOTES`. See test_journal.

Three notes, one after the other, then two at once, then an answer; each note takes a while.
"""

import sys
from pathlib import Path

from nuthatch.agent.agent import Agent
from nuthatch.agent.planner import ScriptedPlanner
from tests.agent.little_tools import PHOTO, Cut, Find, WriteNote

LOOK = ("detect", {"image": "image_1", "labels": ["cup"]})
SCRIPT = [
    [("note", {"text": "one", "seconds": 0.1}), LOOK, ("cut", {"image": "image_1"})],
    ("note", {"text": "two", "seconds": 0.1}),
    [("note", {"text": "quick"}), ("note", {"text": "slow", "seconds": 0.4})],
    ("note", {"text": "three", "seconds": 0.1}),
    "All noted.",
]


def agent(home: Path, notes: Path, turns_done: int = 0) -> Agent:
    """The planner is as stateless as any: it goes on from the turn the talk has come to."""
    tools = [WriteNote(notes), Find(cup=[(1, 1, 9, 9)]), Cut()]
    return Agent(ScriptedPlanner(SCRIPT[turns_done:]), tools, verify=False, home=home)


if __name__ == "__main__":
    home, notes = map(Path, sys.argv[1:])
    agent(home, notes).ask("Take notes.", image=PHOTO)
