"""What it takes to build a core at full size without weights, and to load the one that ships.

Each in a process of its own, after imports; the peak is of the whole process. Reports, never
asserts.

    python tests/benchmarks/bench_core.py [--repeats 3] [--json]
"""

import argparse
import json
import statistics
import subprocess
import sys

BUILD = """
import json, resource, time, torch
from nuthatch.mllm.core import Core
from nuthatch.mllm.presets import chatbridge
start = time.perf_counter()
with torch.device("meta"):
    core = Core(chatbridge.preset("13b").config)
seconds = time.perf_counter() - start
assert sum(p.numel() for p in core.parameters()) > 14e9
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
print(json.dumps([seconds, peak]))
"""
LOAD = """
import json, resource, time
from nuthatch.mllm.core import Core
from nuthatch.mllm.processing import CoreProcessor
from nuthatch.tools.weights.store import EMBEDDED
folder = EMBEDDED / "core"
start = time.perf_counter()
core, processor = Core.from_pretrained(folder), CoreProcessor.from_pretrained(folder)
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
print(json.dumps([seconds, peak]))
"""


def main() -> None:
    """Run both and print seconds and GB."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    figures: dict[str, float] = {}
    for name, code in (("build_full_size", BUILD), ("load_embedded", LOAD)):
        runs = [_run(code) for _ in range(args.repeats)]
        figures[f"{name}_seconds"] = statistics.median(seconds for seconds, _ in runs)
        figures[f"{name}_peak_gb"] = max(peak for _, peak in runs)
    if args.json:
        print(json.dumps({"figures": figures}))
        return
    for name, value in figures.items():
        print(f"{name:24} {value:.2f}")


def _run(code: str) -> tuple[float, float]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, peak = json.loads(done.stdout.splitlines()[-1])
    return seconds, peak


if __name__ == "__main__":
    main()
