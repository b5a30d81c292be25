"""Constrained decoding beside `generate`, and the end of a talk beside its beginning: `make bench`.

First: the same calls under the same grammar in the same process, in turns: `Decoder` against
transformers' `generate` with a logits processor. A core of the shipped sizes with random weights is
led to calls as they are made in practice. Second: what the nth question of a talk about two
pictures and a sound takes (plan a call, read its result, plan the answer), with and without the
prefix cache; the talk fits the core's context throughout. Reports, never asserts.

    python tests/benchmarks/bench_decoding.py [--repeats 7] [--threads 1] [--json]
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from llguidance import LLMatcher
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList, PreTrainedTokenizerFast

from nuthatch.agent.conversation import Conversation
from nuthatch.agent.core_planner import CorePlanner
from nuthatch.mllm.chat import encode, prompt_ids
from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.core import Core
from nuthatch.mllm.generation.decoding import Decoder, PrefixCache, Row
from nuthatch.mllm.generation.grammar import turn_grammar
from nuthatch.mllm.processing import CoreProcessor
from nuthatch.tools.base import ToolCall
from nuthatch.tools.catalogue import default_tools
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.media.store import MediaStore
from nuthatch.tools.weights.store import Weights
from nuthatch.training.tokenizer import train_tokenizer
from tests.fakes import FakeDetector

TOOLS = default_tools()
SCHEMAS = TOOLS.schemas()
HANDLES = {"image": ["image_1", "image_2"], "audio": ["audio_1"], "detection": ["detection_1"]}
QUESTION = {"role": "user", "content": "How many cups are there, and what makes this sound?"}
DETECT = ("detect", {"image": "image_1", "labels": ["cup", "wine glass"]})
CALLS: list[list[tuple[str, dict[str, Any]]]] = [
    [DETECT],
    [("tag_sound", {"audio": "audio_1", "top_k": 3})],
    [("locate_sound_source", {"image": "image_2", "audio": "audio_1"})],
    [("measure", {"op": "count", "a": ["detection_1"]})],
    [("segment", {"image": "image_1", "boxes": [[12, 30, 40, 60]]})],
    [("calculate", {"expression": "(3 + 4) * 2"})],
    [DETECT, ("tag_sound", {"audio": "audio_1"})],
]
OBSERVED = (
    "call_1 detect: detections: detection_1.1 cup 0.90 at 12 30 40 60 of 128x128; labels_searched: "
    "cup, wine glass; labels_not_found: wine glass; threshold: 0.30"
)
ANSWER = "There are two cups, and a bell rings."
TURNS = (2, 5, 10)


class LedCore(Core):
    """A core that computes everything, and then says what it was told to."""

    led_to: list[int]  # ids of the prompt and the turn

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(config)
        self.register_forward_hook(self._lead)

    def _lead(self, _module: Any, _inputs: Any, output: Any) -> None:
        output.logits[:, -1, self.led_to[output.past_key_values.get_seq_length()]] += 1e6


class GrammarProcessor(LogitsProcessor):
    """What one writes by hand: one token, one mask, one pass."""

    def __init__(self, matcher: LLMatcher, prompt: int) -> None:
        self.matcher = matcher
        self.read = prompt

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self.matcher.consume_tokens(input_ids[0, self.read :].tolist())
        self.read = input_ids.shape[1]
        bits = np.frombuffer(self.matcher.compute_bitmask(), np.uint8)
        allowed = torch.from_numpy(np.unpackbits(bits, bitorder="little").astype(bool))
        missing = scores.shape[-1] - len(allowed)  # entries of the model that are no token
        allowed = torch.nn.functional.pad(allowed, (0, missing))
        return scores.masked_fill(~allowed, -torch.inf)


def tokenizer() -> PreTrainedTokenizerFast:
    """Trained on the calls, the schemas and the sentences below."""
    texts = [
        json.dumps({"name": n, "arguments": a}, separators=(",", ":")) for [(n, a), *_] in CALLS
    ]
    texts = texts * 9 + [json.dumps(schema) for schema in SCHEMAS]
    return train_tokenizer([*texts, *[QUESTION["content"], OBSERVED, ANSWER] * 9])


def message(turn: str | list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    if isinstance(turn, str):
        return {"role": "assistant", "content": turn}
    calls = [{"name": name, "arguments": arguments} for name, arguments in turn]
    return {"role": "assistant", "tool_calls": calls}


def seconds(what: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = what()
    return time.perf_counter() - began, result


def side_by_side(core: LedCore, words: PreTrainedTokenizerFast, repeats: int) -> dict[str, float]:
    """Median seconds a turn of calls, both ways, from the same prompt of tools and question."""
    decoder = Decoder(core, words)
    grammar = turn_grammar(SCHEMAS, HANDLES)
    prompt = prompt_ids(words, [QUESTION], SCHEMAS)
    given = torch.tensor([prompt])
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(repeats):
        for calls in CALLS:
            core.led_to = encode(words, [QUESTION, message(calls)], SCHEMAS).ids
            took, [ids] = seconds(lambda: decoder.generate([Row(prompt, grammar)]))
            ours.append(took)
            processor = GrammarProcessor(decoder._matcher(grammar), len(prompt))
            took, whole = seconds(
                lambda processor=processor: core.generate(
                    given,
                    attention_mask=torch.ones_like(given),
                    logits_processor=LogitsProcessorList([processor]),
                    max_new_tokens=192,
                    do_sample=False,
                )
            )
            theirs.append(took)
            assert whole[0, len(prompt) :].tolist() == ids == core.led_to[len(prompt) :]
    return {
        "prompt_tokens": len(prompt),
        "generate_seconds": statistics.median(theirs),
        "decoder_seconds": statistics.median(ours),
        "times_faster": sum(theirs) / sum(ours),
    }


def one_talk(planner: CorePlanner, core: LedCore, home: Path, *, cached: bool) -> list[float]:
    """Seconds of planning for each question of a talk."""
    media = MediaStore(home)
    random = np.random.default_rng(0)
    given = [media.add_image(random.integers(0, 255, (128, 128, 3), np.uint8)) for _ in range(2)]
    given.append(media.add_audio(0.1 * random.standard_normal(48_000).astype(np.float32)))
    weights = Weights()
    weights.put("detect", FakeDetector([("cup", (12, 30, 40, 60))]))
    talk, executor = Conversation(media, TOOLS), ToolExecutor(TOOLS, media, weights)
    planner._prefix = PrefixCache()
    planner.known.clear()

    def plan(turn: str | list[tuple[str, dict[str, Any]]]) -> float:
        core.led_to = [
            *planner._prompt(talk),
            *encode(planner.processor.tokenizer, [message(turn)]).ids[2:],
        ]
        if not cached:
            planner._prefix = PrefixCache()
        return seconds(lambda: planner.plan(talk))[0]

    spent = []
    for turn in range(max(TURNS)):
        talk.ask(QUESTION["content"], [] if turn else [medium.handle for medium in given])
        took = plan([DETECT])
        calls = [ToolCall(talk.next_call_id(), *DETECT)]
        talk.call(calls)
        for result in executor.run(calls, seconds=60):
            talk.observe(result)
        spent.append(took + plan(ANSWER))
        talk.now.answer = ANSWER
    return spent


def along_a_talk(core: LedCore, words: PreTrainedTokenizerFast, repeats: int) -> dict[str, Any]:
    """Median seconds of planning for the nth question, with and without the prefix cache."""
    planner = CorePlanner(core, CoreProcessor(core.config, words), quoted=False)
    planner.decoder.guesses = None  # the core is led token by token
    figures: dict[str, Any] = {}
    for cached in (True, False):
        with tempfile.TemporaryDirectory() as home:
            talks = [
                one_talk(planner, core, Path(home) / str(n), cached=cached) for n in range(repeats)
            ]
        nth = {turn: statistics.median(talk[turn - 1] for talk in talks) for turn in (1, *TURNS)}
        name = "cached" if cached else "uncached"
        figures |= {f"turn_{turn}_{name}_seconds": took for turn, took in nth.items()}
        figures[f"turn_10_over_turn_2_{name}"] = nth[10] / nth[2]
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    words = tokenizer()
    core = LedCore(CoreConfig.embedded()).eval()
    core.generation_config.eos_token_id = words.eos_token_id
    core.generation_config.pad_token_id = words.pad_token_id
    figures = side_by_side(core, words, given.repeats) | along_a_talk(core, words, given.repeats)
    if given.json:
        print(json.dumps(figures))
        return
    for name, figure in figures.items():
        print(f"{name:32} {figure:10.4f}")


if __name__ == "__main__":
    main()
