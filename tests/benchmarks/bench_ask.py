"""What a user waits for: import, a question from the shell, a second one in the same process.

Absolute seconds: they say something only on an otherwise idle machine, so nothing is asserted.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
QUESTION = "How many cups are there, and which object makes this sound?"


def seconds_of(*command: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    picture, sound = str(EXAMPLES / "kitchen.png"), str(EXAMPLES / "kitchen.wav")
    empty = min(seconds_of("-c", "pass") for _ in range(5))
    ours = min(seconds_of("-c", "import nuthatch") for _ in range(5))
    print(f"import nuthatch              {1000 * (ours - empty):8.0f} ms")
    with tempfile.TemporaryDirectory() as home:
        words = ["ask", QUESTION, "--image", picture, "--audio", sound, "--home", home]
        print(f"ask from the shell           {seconds_of('-m', 'nuthatch', *words):8.1f} s")

        from nuthatch import Agent

        agent = Agent.load("embedded", home=home)
        for name in ("first ask in a process", "second ask in a process"):
            began = time.perf_counter()
            agent.ask(QUESTION, image=picture, audio=sound)
            print(f"{name:28} {time.perf_counter() - began:8.1f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory                  {peak:8.2f} GB")


if __name__ == "__main__":
    main()
