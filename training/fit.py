"""One resumable training loop for the small perception models.

AdamW with weight decay on matrices only, warm-up then cosine, gradient clipping, bf16 autocast
where the processor is fast at it. A batch is a function of the step number alone, so a run that
stops and resumes sees the very batches it would have seen. Budgets are counted in steps, never in
time.

A run folder holds `config.yaml`, `metrics.jsonl`, `checkpoint.pt` and whatever the recipe exports.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn
from tqdm import tqdm

from nuthatch.training.config import ConfigError
from nuthatch.training.recipes.schedule import Schedule

Losses = dict[str, Tensor]


def has_fast_bf16() -> bool:
    """Whether this processor multiplies bfloat16 itself: AMX, or AVX-512 BF16.

    Elsewhere bf16 is emulated, about five times slower than fp32 instead of about as much faster.
    """
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()


def fit(
    model: nn.Module,
    loss: Callable[[int], Losses],
    schedule: Schedule,
    out: Path,
    *,
    config: object,
    evaluate: Callable[[], dict[str, float]] | None = None,
    evaluate_every: int = 0,
) -> None:
    """Train `model` in place, or go on where `out` holds a checkpoint.

    Raises:
        ConfigError: the checkpoint was trained with other settings.
        FloatingPointError: the loss is no number any more.

    `loss(step)` makes the batch of that step and returns named scalars; their sum is minimised.
    `evaluate()` returns named figures, written beside the losses every `evaluate_every` steps.
    """
    out.mkdir(parents=True, exist_ok=True)
    record_settings(config, out, going_on=(out / "checkpoint.pt").is_file())
    trainable = [p for p in model.parameters() if p.requires_grad]
    matrices = [p for p in trainable if p.ndim >= 2]
    vectors = [p for p in trainable if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": schedule.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ],
        lr=schedule.lr,
        betas=(0.9, 0.98),
    )
    checkpoint = out / "checkpoint.pt"
    bf16 = has_fast_bf16()
    done, seconds = _resume(checkpoint, model, optimizer)
    started = time.perf_counter() - seconds
    metrics = (out / "metrics.jsonl").open("a", encoding="utf-8")
    bar = tqdm(range(done, schedule.steps), initial=done, total=schedule.steps, desc=out.name)
    for step in bar:
        torch.manual_seed(step)
        for group in optimizer.param_groups:
            group["lr"] = schedule.lr_at(step)
        model.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            losses = loss(step)
        total = torch.stack(list(losses.values())).sum()
        if not torch.isfinite(total):
            raise FloatingPointError(f"step {step}: loss {total.item()}; lower lr={schedule.lr}")
        total.backward()
        norm = nn.utils.clip_grad_norm_(trainable, schedule.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

        last = step + 1 == schedule.steps
        if step % 20 == 0 or last:
            record: dict[str, float] = {
                name: float(value.detach()) for name, value in losses.items()
            }
            bar.set_postfix(loss=f"{float(total.detach()):.3f}")
            record |= {"step": step, "norm": float(norm)}
            record["seconds"] = time.perf_counter() - started
            if evaluate and evaluate_every and (last or (step and step % evaluate_every == 0)):
                model.eval()
                with torch.inference_mode():
                    record |= evaluate()
                tqdm.write(f"{out.name} {step}: " + json.dumps(record))
            metrics.write(json.dumps(record) + "\n")
            metrics.flush()
        if last or (step + 1) % schedule.save_every == 0:
            _save(checkpoint, model, optimizer, step + 1, time.perf_counter() - started)
    metrics.close()
    model.eval()


def record_settings(config: object, out: Path, *, going_on: bool) -> None:
    """Write `config.yaml`, or check that a run that goes on has the settings it began with.

    Raises:
        ConfigError: it has others.
    """
    assert is_dataclass(config)
    assert not isinstance(config, type)
    settings: Any = _plain(asdict(config))
    path = out / "config.yaml"
    if going_on and path.is_file():
        before = yaml.safe_load(path.read_text(encoding="utf-8"))
        if _learned_with(before) != _learned_with(settings):
            raise ConfigError(
                f"{out} holds a run with other settings ({before}); "
                "give the same, or another out folder"
            )
    path.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")


def _learned_with(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that change what is learned: not where it is kept, nor who is at work."""
    beside = ("threads", "worker", "out", "export")
    return {name: value for name, value in settings.items() if name not in beside}


def _save(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, step: int, seconds: float
) -> None:
    """Write beside, then rename: a kill in the middle leaves the last checkpoint whole."""
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    partial = path.with_suffix(".partial")
    torch.save(state | {"step": step, "seconds": seconds}, partial)
    os.replace(partial, path)


def _resume(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[int, float]:
    if not path.is_file():
        return 0, 0.0
    state: dict[str, Any] = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"]), float(state["seconds"])


def _plain(value: object) -> object:
    """The same value in types that safe YAML can write."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value if isinstance(value, (int, float, str, bool, type(None))) else str(value)
