"""A run that is the same each time, as its journal holds it, and journals that were written before.

`python -m tests.agent.scripted_run` writes the journals in `golden/journals/` anew.
"""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from nuthatch.agent.agent import Agent
from nuthatch.agent.journal import read_events
from nuthatch.agent.planner import ScriptedPlanner
from nuthatch.tools.base.function_tool import tool
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.catalogue import default_tools
from nuthatch.tools.faults import ToolFailed
from tests.paths import GOLDEN, ROOT
from tests.tools.verification.worlds import PICTURE, SOUND, weights

OLD = GOLDEN / "journals"
FINISHED, BROKEN_OFF = "20261201-finished", "20261201-broken_off"
QUESTION = "How many cups are there, and which object rings?"


@tool(taint=("value",))
def read_label(text: str) -> str:
    """Read a label."""
    return text


@tool
def ring(times: int) -> float:
    """Ring a bell so often."""
    if times > 3:
        raise ToolFailed("the bell is too hot")
    return 1 / (times - 1)


CUT = {"image": "image_7", "box": [2, 2, 40, 40]}
SCRIPT: list[Any] = [
    [
        ("detect", {"image": "image_1", "labels": ["cup", "bell"], "threshold": 0.25}),
        ("read_label", {"text": "\u00dcbermorgen \U0001f514"}),
    ],
    [("ring", {"times": 9}), ("ring", {"times": 1}), ("detekt", {}), ("crop", CUT)],
    ("crop", {"image": "image_1", "detection": "detection_1.1"}),
    ("locate_sound_source", {"image": "image_1", "audio": "audio_1"}),
    "There are two cups. There is a cat. A bell is ringing. It was painted in 1889.",
]


def agent(home: Path, turns_done: int = 0) -> Agent:
    """One that goes on with the script, and has judges which know the truth."""
    shipped = default_tools()
    names = ("detect", "crop", "tag_sound", "locate_sound_source", "correct_answer")
    tools = ToolSet([*(shipped[name] for name in names), read_label, ring])
    return Agent(ScriptedPlanner(SCRIPT[turns_done:]), tools, weights=weights(), home=home)


def run_the_script(home: Path) -> Path:
    """The folder of the run."""
    answer = agent(home).ask(QUESTION, image=PICTURE, audio=SOUND[:4000])
    assert answer.text.startswith("There are two cups. There is no cat.")
    return answer.run_folder


VARYING = {
    "at": 0,
    "ms": 0,
    "detail": "...",
    "plan": 0,
    "tools": 0,
    "verify": 0,
    "load": 0,
    "total": 0,
}
"""What differs from run to run: times, and tracebacks."""


def normalised(events: list[dict[str, Any]]) -> str:
    """Lines of a journal without times and places, results of one turn in the order of calls."""

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(each) for each in value]
        if not isinstance(value, dict):
            return value
        names = {name: plain(part) for name, part in value.items()}
        names |= {n: v for n, v in VARYING.items() if type(names.get(n)) in (int, float, str)}
        if isinstance(names.get("path"), str):
            names["path"] = f"HOME/blobs/{Path(names['path']).name}"
        return names

    lines: list[tuple[int, str, str]] = []
    turn = 0
    for event in map(plain, events):
        turn += event["event"] != "result"
        call = event["result"]["call"]["id"] if event["event"] == "result" else ""
        lines.append((turn, call, json.dumps(event)))
    return "".join(f"{line}\n" for _, _, line in sorted(lines))


def journal(home: Path) -> str:
    return normalised(read_events(run_the_script(home)))


def write_old_journals() -> None:
    """The finished run, and the same run as a kill in its second turn leaves it."""
    shutil.rmtree(OLD, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        lines = (run_the_script(Path(folder)) / "journal.jsonl").read_bytes()
        lines = lines.replace(folder.encode(), b"/home/user/nuthatch")
        lines = lines.replace(str(ROOT).encode(), b"/home/user/clone")  # in tracebacks
        shutil.copytree(Path(folder) / "blobs", OLD / "blobs")
    (OLD / f"{FINISHED}.jsonl").write_bytes(lines)
    (OLD / f"{BROKEN_OFF}.jsonl").write_bytes(killed(lines))


def killed(lines: bytes) -> bytes:
    """The journal up to the second turn and one of its results, and a torn line."""
    split = lines.splitlines(keepends=True)
    second = [number for number, line in enumerate(split) if b'"event": "turn"' in line][1]
    return b"".join(split[: second + 2]) + split[second + 2][:40]


if __name__ == "__main__":
    write_old_journals()
