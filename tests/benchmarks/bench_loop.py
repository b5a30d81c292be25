"""One step of the loop, side by side with LangChain's `create_agent`: `make bench`.

The same script (N calls of one tool that adds one to a number, then an answer), the same tool, the
same process, in turns. Ours runs with everything that is on by default: the journal on disk,
flushed at each event; budget; a time limit for tool and planner, so both run in a worker; checked
arguments. Only the gate is left open: `create_agent` has none. Reports, never asserts.

    python tests/benchmarks/bench_loop.py [--repeats 11] [--json]
"""

import argparse
import gc
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel

from nuthatch.agent.agent import Agent
from nuthatch.agent.budget import Budget
from nuthatch.agent.planner import ScriptedPlanner
from nuthatch.tools.base import Arguments, Context, Tool

STEPS = (1, 10, 50, 200)
UNBOUND = Budget(steps=10_000, calls=10_000, seconds=600)


class AddOneArgs(Arguments):
    number: int


class Sum(BaseModel):
    value: int


class AddOne(Tool[AddOneArgs, Sum]):
    """Add one to a number."""

    name = "add_one"
    Args = AddOneArgs
    Result = Sum

    def run(self, args: AddOneArgs, context: Context) -> Sum:
        return Sum(value=args.number + 1)


def ours(steps: int, home: Path) -> Callable[[], None]:
    """A run of `steps` calls and an answer."""
    script = [*[("add_one", {"number": n}) for n in range(steps)], "Done."]

    agent = Agent(ScriptedPlanner([]), [AddOne()], budget=UNBOUND, verify=False, home=home)

    def run() -> None:
        agent.planner = ScriptedPlanner(script)
        answer = agent.ask("Count.")
        assert answer.text == "Done."
        assert len(answer.calls) == steps

    return run


def langchain(steps: int) -> Callable[[], None] | None:
    """The same with `create_agent`; None where LangChain is not installed."""
    try:
        from langchain.agents import create_agent
        from langchain_core.language_models import BaseChatModel
        from langchain_core.messages import AIMessage
        from langchain_core.outputs import ChatGeneration, ChatResult
        from langchain_core.tools import tool
    except ImportError:
        return None

    class Scripted(BaseChatModel):
        turn: int = 0

        @property
        def _llm_type(self) -> str:
            return "scripted"

        def bind_tools(self, tools, **kwargs):  # type: ignore[no-untyped-def]
            return self

        def _generate(self, messages, stop=None, run_manager=None, **kwargs):  # type: ignore[no-untyped-def]
            number, self.turn = self.turn, self.turn + 1
            call = {"name": "add_one", "args": {"number": number}, "id": f"call_{number}"}
            said = AIMessage("", tool_calls=[call]) if number < steps else AIMessage("Done.")
            return ChatResult(generations=[ChatGeneration(message=said)])

    @tool
    def add_one(number: int) -> int:
        """Add one to a number."""
        return number + 1

    model = Scripted()
    agent = create_agent(model, [add_one])
    limit = {"recursion_limit": 10 * steps + 100}

    def run() -> None:
        model.turn = 0
        said = agent.invoke({"messages": [("user", "Count.")]}, limit)["messages"]
        assert said[-1].text == "Done."
        assert len(said) == 2 * steps + 2

    return run


def seconds(run: Callable[[], None]) -> tuple[float, float]:
    """(CPU, wall) of one run, without the other system's garbage."""
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    run()
    return time.process_time() - cpu, time.perf_counter() - wall


def measure(repeats: int) -> dict[str, dict[int, dict[str, float]]]:
    """Median microseconds per step, {system: {steps: {"cpu", "wall"}}}; systems take turns."""
    figures: dict[str, dict[int, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for steps in STEPS:
            runs = {"nuthatch": ours(steps, Path(folder)), "create_agent": langchain(steps)}
            times: dict[str, list[tuple[float, float]]] = {}
            for repeat in range(repeats + 1):
                for name, run in runs.items():
                    if run is not None:
                        spent = seconds(run)
                        if repeat:  # the first round warms up
                            times.setdefault(name, []).append(spent)
            for name, spent_each in times.items():
                cpu, wall = (statistics.median(part) for part in zip(*spent_each, strict=True))
                figures.setdefault(name, {})[steps] = {
                    "cpu": cpu / steps * 1e6,
                    "wall": wall / steps * 1e6,
                }
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures = measure(arguments.repeats)
    if arguments.json:
        print(json.dumps(figures))
        return
    print(
        "median microseconds per step, CPU (wall); the last column leaves out what a run costs once"
    )
    names = [*(f"{steps} steps" for steps in STEPS), "50 to 200"]
    print(f"{'':14}" + "".join(f"{name:>18}" for name in names))
    for name, by_steps in figures.items():
        cells = [f"{by_steps[n]['cpu']:.0f} ({by_steps[n]['wall']:.0f})" for n in STEPS]
        cells.append(f"{marginal(by_steps, 50, 200):.0f}")
        print(f"{name:14}" + "".join(f"{cell:>18}" for cell in cells))
    if "create_agent" in figures:
        theirs, mine = figures["create_agent"], figures["nuthatch"]
        ratios = [theirs[n]["cpu"] / mine[n]["cpu"] for n in STEPS]
        ratios.append(marginal(theirs, 50, 200) / marginal(mine, 50, 200))
        print(f"{'ratio (CPU)':14}" + "".join(f"{f'1/{ratio:.1f}':>18}" for ratio in ratios))
    for name, by_steps in figures.items():
        growth = marginal(by_steps, 50, 200) / marginal(by_steps, 10, 50)
        print(f"{name}: a step from 50 to 200 costs {growth:.2f} of one from 10 to 50")


def marginal(by_steps: dict[int, dict[str, float]], first: int, last: int) -> float:
    """CPU microseconds of each step that a run of `last` has more than one of `first`."""
    return (last * by_steps[last]["cpu"] - first * by_steps[first]["cpu"]) / (last - first)


if __name__ == "__main__":
    main()
