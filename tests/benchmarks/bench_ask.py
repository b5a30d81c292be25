"""What a user waits for: import, a question from the shell, a warm one; this build and another.

    python tests/benchmarks/bench_ask.py [--against PATH] [--turns N]

`PATH` is the root of another checkout, such as a worktree of an earlier commit. Both builds answer
in turns, one process each, one thread each: the example of the README again and again, and another
picture every time. Told are the medians of the ratios, turn by turn, of CPU and of wall time; on a
machine that does other things CPU time is the one to read. Nothing is asserted.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from tests.paths import ROOT

EXAMPLES = ROOT / "examples"
QUESTION = "How many cups are there, and which object makes this sound?"
WARM = 3
"""Questions of each workload before the clock runs."""


def seconds_of(*command: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    return time.perf_counter() - began


def from_the_shell() -> None:
    picture, sound = str(EXAMPLES / "kitchen.png"), str(EXAMPLES / "kitchen.wav")
    empty = min(seconds_of("-c", "pass") for _ in range(5))
    ours = min(seconds_of("-c", "import nuthatch") for _ in range(5))
    print(f"import nuthatch              {1000 * (ours - empty):8.0f} ms")
    with tempfile.TemporaryDirectory() as home:
        words = ["ask", QUESTION, "--image", picture, "--audio", sound, "--home", home]
        print(f"ask from the shell           {seconds_of('-m', 'nuthatch', *words):8.1f} s")


# -- a process that answers -----------------------------------------------------------------------


def serve() -> None:
    """Answer questions from standard input, a line of JSON each, and tell what each one took."""
    import torch

    from nuthatch import Agent

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as home:
        agent = Agent.load("embedded", home=home)
        for line in sys.stdin:
            asked = json.loads(line)
            cpu, wall = time.process_time(), time.perf_counter()
            answer = agent.ask(**asked)
            took = time.process_time() - cpu, time.perf_counter() - wall
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            told = {"cpu": took[0], "wall": took[1], "draft": answer.draft, "peak": peak}
            print(json.dumps(told), flush=True)


class Build:
    """One checkout, answering in a process of its own."""

    def __init__(self, root: Path) -> None:
        path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
        threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.bench_ask", "--serve"],
            cwd=root,
            env={**os.environ, **threads, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **asked: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        told: dict[str, Any] = json.loads(self.process.stdout.readline())
        return told

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def workloads(turns: int, folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The questions of each workload, in order."""
    from PIL import Image

    from nuthatch.tools.vocabulary import plural
    from nuthatch.training.world.scenes import make_scene

    example = {
        "question": QUESTION,
        "image": str(EXAMPLES / "kitchen.png"),
        "audio": str(EXAMPLES / "kitchen.wav"),
    }
    other = []
    for seed in range(turns + WARM):
        scene, path = make_scene(seed, "test"), folder / f"{seed}.png"
        Image.fromarray(scene.image).save(path)
        other.append({"question": f"How many {plural(scene.focus)} are there?", "image": str(path)})
    return {"the example again": [example] * (turns + WARM), "another picture each": other}


def side_by_side(others: list[Path], turns: int) -> None:
    builds = [Build(root) for root in (ROOT, *others)]
    with tempfile.TemporaryDirectory() as folder:
        for name, questions in workloads(turns, Path(folder)).items():
            told = []
            for turn, asked in enumerate(questions):
                # The first of a turn alternates: what disturbs one soon disturbs the other.
                order = builds if turn % 2 else builds[::-1]
                answers = {id(build): build.ask(**asked) for build in order}
                told.append([answers[id(build)] for build in builds])
            warm = told[WARM:]
            for number, root in enumerate((ROOT, *others)):
                cpu, wall = (
                    median(each[number][kind] for each in warm) for kind in ("cpu", "wall")
                )
                peak = max(each[number]["peak"] for each in warm)
                print(
                    f"{name:22} {root.name:12} {cpu:.3f} s CPU, {wall:.3f} s, {peak:.2f} GB at most"
                )
            if others:
                ratios = {
                    kind: sorted(each[1][kind] / each[0][kind] for each in warm)
                    for kind in ("cpu", "wall")
                }
                same = sum(each[0]["draft"] == each[1]["draft"] for each in told)
                for kind, values in ratios.items():
                    low, high = values[len(values) // 4], values[-1 - len(values) // 4]
                    print(
                        f"{name:22} {kind:4} {median(values):.2f} times as fast as the other build "
                        f"(quartiles {low:.2f} to {high:.2f}, n {len(values)})"
                    )
                print(f"{name:22} same drafts: {same} of {len(told)}")
    for build in builds:
        build.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", type=Path, metavar="PATH", help="root of another checkout")
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve()
        return
    if arguments.against is None:
        from_the_shell()
    side_by_side([arguments.against] if arguments.against else [], arguments.turns)


if __name__ == "__main__":
    main()
