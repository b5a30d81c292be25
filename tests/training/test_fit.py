"""The training loop: stopping and going on changes nothing."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from nuthatch.training.config import ConfigError
from nuthatch.training.fit import fit, record_settings
from nuthatch.training.recipes.core import ReadAndCallRecipe
from nuthatch.training.recipes.schedule import Schedule


def learn(out: Path, steps: int, *, stop_after: int | None = None) -> nn.Module:
    """Fit a line; `stop_after` breaks off in the middle of step `stop_after`."""
    torch.manual_seed(0)
    model = nn.Linear(3, 1)

    def loss(step: int) -> dict[str, torch.Tensor]:
        if step == stop_after:
            raise KeyboardInterrupt
        x = torch.randn(8, 3, generator=torch.Generator().manual_seed(step))
        return {"mse": (model(x) - x.sum(1, keepdim=True)).square().mean()}

    schedule = Schedule(steps=steps, lr=0.05, warmup_steps=3, save_every=5)
    fit(model, loss, schedule, out, config=schedule)
    return model


def test_the_loss_falls(tmp_path):
    learn(tmp_path, 60)
    records = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert records[-1]["mse"] < 0.2 * records[0]["mse"]


def test_resuming_equals_not_having_stopped(tmp_path):
    whole = learn(tmp_path / "whole", 20)
    with pytest.raises(KeyboardInterrupt):
        learn(tmp_path / "broken", 20, stop_after=12)
    resumed = learn(tmp_path / "broken", 20)
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_checkpoint_is_not_gone_on_with_under_other_settings(tmp_path):
    learn(tmp_path, 5)
    with pytest.raises(ConfigError, match="other settings"):
        learn(tmp_path, 6)


def test_where_a_run_is_kept_and_on_how_many_threads_it_learns_may_change(tmp_path):
    config = ReadAndCallRecipe(out=tmp_path)
    record_settings(config, tmp_path, going_on=False)
    moved = replace(config, threads=2, out=tmp_path / "out", export=tmp_path / "export")
    record_settings(moved, tmp_path, going_on=True)
    with pytest.raises(ConfigError, match="other settings"):
        record_settings(replace(config, tokens=64), tmp_path, going_on=True)


def test_a_run_folder_explains_itself(tmp_path):
    learn(tmp_path, 5)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["checkpoint.pt", "config.yaml", "metrics.jsonl"]


def test_a_loss_that_is_no_number_stops_with_the_step_and_what_to_change(tmp_path):
    model = nn.Linear(1, 1)
    schedule = Schedule(steps=2, lr=0.1)

    def broken(step: int) -> dict[str, torch.Tensor]:
        return {"mse": model(torch.ones(1, 1)).sum() * float("nan")}

    with pytest.raises(FloatingPointError, match=r"step 0: loss nan; lower lr=0\.1"):
        fit(model, broken, schedule, tmp_path, config=schedule)


def test_the_learning_rate_warms_up_and_then_falls():
    schedule = Schedule(steps=100, lr=1.0, warmup_steps=10, final_lr_fraction=0.1)
    rates = [schedule.lr_at(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert rates.index(max(rates)) in (9, 10)
    assert rates[-1] == pytest.approx(0.1, abs=0.01)
