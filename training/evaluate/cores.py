"""Cores on trial: the one that ships, one from a folder, or one of random weights."""

import json
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path

import torch
from safetensors import SafetensorError

from nuthatch.agent.core_planner import CorePlanner
from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.core import Core
from nuthatch.mllm.generation import generator as speaking
from nuthatch.mllm.generation.generator import Speaker
from nuthatch.mllm.processing import CoreProcessor
from nuthatch.tools.faults import ToolUnavailable
from nuthatch.tools.weights import store as shipped

EMBEDDED = shipped.EMBEDDED / "core"
RANDOM = "random"
"""Stands for weights that nobody trained."""
SAMPLES_READ = 300
"""Dialogues that the tokenizer of a random core is learned from."""


def planner(speaker: Speaker, *, always_call: bool = False) -> CorePlanner:
    """A planner of this core: as it serves, or one that draws its calls at random."""
    if not always_call:
        return CorePlanner(speaker.core, speaker.processor)
    return CorePlanner(
        speaker.core, speaker.processor, always_call=True, temperature=1.0, max_new_tokens=96
    )


def is_core(folder: Path) -> bool:
    """Whether a folder holds a core."""
    return (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))


@cache
def load(weights: str = "") -> Speaker:
    """The core of a folder, `random`, or (by default) the one that ships.

    Raises:
        ToolUnavailable: there is none, or it cannot be read.
    """
    if weights == RANDOM:
        return _random()
    folder = Path(weights) if weights else EMBEDDED
    if not is_core(folder):
        raise ToolUnavailable(
            f"no core in {folder}; train one with: nuthatch train embedded, and give --weights its "
            "folder (one that holds config.json, *.safetensors and tokenizer.json), or give "
            "--weights random, or --weights none for the baselines alone",
            "weights_missing",
        )
    try:
        return speaking.load(folder)
    except (OSError, ValueError, SafetensorError) as error:
        raise ToolUnavailable(f"the core in {folder} cannot be loaded: {error}") from error


def files(weights: str = "") -> list[Path]:
    """What a core is made of, for fingerprints."""
    folder = Path(weights) if weights else EMBEDDED
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix in (".json", ".safetensors"))


def _random(config: CoreConfig | None = None) -> Speaker:
    """Of the shipped size, unless another is given, with a tokenizer learned here."""
    from nuthatch.training.tokenizer import train_tokenizer

    config = config or CoreConfig.embedded()
    tokenizer = train_tokenizer(_texts(), vocab_size=config.text_config.vocab_size)
    config.text_config.vocab_size = len(tokenizer)  # small texts make fewer entries
    torch.manual_seed(0)
    return Speaker(Core(config).eval(), CoreProcessor(config, tokenizer))


def _texts() -> Iterator[str]:
    """What is said and called in some dialogues, and the schemas of their tools."""
    from nuthatch.training.data.mixture import samples

    for sample in islice(samples(0), SAMPLES_READ):
        yield json.dumps(sample.tools)
        for message in sample.messages:
            content = message.get("content") or ""
            yield content if isinstance(content, str) else content[-1]["text"]
            for call in message.get("tool_calls", ()):
                yield json.dumps(call["function"], separators=(",", ":"))
