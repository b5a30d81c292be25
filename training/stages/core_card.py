"""The core's model card, written from what its stages recorded."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch

FIGURES = {
    "called_seen": "right first turn, forms and words of training, decoded",
    "called_branches": "... held-out forms",
    "called_words": "... unseen argument words",
    "called_both": "... both",
    "exist": "is there a ...?",
    "exist_new_forms": "... in held-out forms",
    "exist_shuffled": "... with the picture of another question",
    "count": "how many ...?",
    "count_new_forms": "... in held-out forms",
    "caption": "whole captions, every name and number right",
    "heard": "what is heard, every event right",
}


def write_card(folder: Path, core: torch.nn.Module, runs: Mapping[str, Path]) -> None:
    """Write `README.md` beside the core's weights.

    Args:
        folder: where the core lies.
        core: the core itself, for the sizes of its parts.
        runs: run folders of its stages by name, in order, the last one that of `join`.
    """
    sizes = [
        (name, sum(each.numel() for each in part.parameters()))
        for name, part in core.named_children()
    ]
    whole = sum(each.numel() for each in core.parameters())
    parts = "\n".join(f"| `{name}` | {size / 1e6:.2f} |" for name, size in sizes)
    stages = "\n".join(f"| `{name}` | {_told(run)} |" for name, run in runs.items())
    *_, last = runs.values()
    measured = json.loads((last / "figures.json").read_text(encoding="utf-8"))
    figures = "\n".join(
        f"| {meaning} | {measured[name]:.3f} |"
        for name, meaning in FIGURES.items()
        if name in measured
    )
    size = sum(shard.stat().st_size for shard in folder.glob("*.safetensors")) / 1e6
    text = _CARD.format(
        millions=f"{whole / 1e6:.1f}",
        megabytes=f"{size:.0f}",
        parts=parts,
        stages=stages,
        figures=figures,
        each=int(measured["of_each"]),
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


def _told(run: Path) -> str:
    """Steps and CPU minutes of a stage; nothing where its run folder is gone."""
    path = run / "metrics.jsonl"
    if not path.is_file():
        return "not recorded | not recorded"
    line = json.loads(path.read_text(encoding="utf-8").splitlines()[-1])
    return f"{line['step']:,} | {line['cpu_seconds'] / 60:.0f}"


_CARD = """# core: the planner that sees and hears

A multimodal language model in miniature, {millions} M parameters ({megabytes} MB in bfloat16), of
the same classes as the full-size ones: an EVA eye (128 pixels, patches of 8), a BEATs ear, one
Q-Former for both (32 queries a sense, after ChatBridge), a Llama language model with its own
tokenizer. It plans calls to tools, and says by itself what a picture shows or a recording holds.
Nothing that it says is checked here: that is the verifier's work.

| part | million parameters |
|---|---|
{parts}

**Data.** Scenes, crowds, sounds and dialogues of the miniature world, all generated: no photograph,
no recording, no text of others. Requests in 20 and more forms each; forms, words and tools are held
out for the figures below.

**Stages**, each with its recipe in `training/recipes/embedded/`; CPU minutes of one core:

| stage | steps | CPU minutes |
|---|---|---|
{stages}

**Quality**, split "calibrate" (scenes, clips and requests that no stage was trained on; {each} of
each), shares of answers that are right word for word:

| figure | share |
|---|---|
{figures}

`nuthatch evaluate planning` and `nuthatch evaluate miniature` measure it on the split "test", with
intervals and baselines; the README of the project tells what came out.

**Known failures.** It knows the drawings of the miniature world and nothing else. Numbers above
three, things smaller than 20 pixels, requests in words far from its training. A copied span may
begin or end at the wrong word. By its own eyes it says "in natural colours" of nearly everything,
and guesses how two things stand to each other; without a tool it seldom knows which of the things
in sight makes a sound. Questions that ask two things of one picture are often muddled.
"""
