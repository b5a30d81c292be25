"""Every stage's training: stopping, being killed and going on change nothing; NaN stops."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nuthatch.training.config import ConfigError
from nuthatch.training.recipes.schedule import Schedule
from nuthatch.training.stages.trainer import Batch, last_checkpoint, run
from tests.paths import ROOT


class Line(nn.Module):
    """y = w x + b; `poison` multiplies the loss of one step."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(3, 1)

    def losses(self, x: Tensor, poison: Tensor) -> dict[str, Tensor]:
        wrong = (self.line(x) - x.sum(1, keepdim=True)).square().mean()
        return {"mse": wrong * poison, "size": 0.0 * self.line.weight.square().sum()}


@dataclass(frozen=True)
class Settings:
    schedule: Schedule


def learn(
    out: Path,
    steps: int = 20,
    *,
    on_batch: Callable[[int], float] = lambda step: 1.0,
    evaluate: Callable[[], dict[str, float]] | None = None,
    **options: Any,
) -> Line:
    torch.manual_seed(0)
    learner = Line()

    def batch(step: int) -> Batch:
        x = torch.randn(8, 3, generator=torch.Generator().manual_seed(step))
        return {"x": x, "poison": torch.tensor(on_batch(step))}

    schedule = Schedule(steps=steps, lr=0.05, warmup_steps=3, save_every=5)
    config = Settings(schedule)
    run(
        learner,
        batch,
        schedule,
        out,
        config=config,
        evaluate=evaluate,
        evaluate_every=10,
        **options,
    )
    return learner


def journal(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_the_loss_falls_and_the_journal_tells_losses_rate_figures_and_seconds(tmp_path):
    learn(tmp_path, 60, evaluate=lambda: {"ap50": 0.25})
    lines = journal(tmp_path)
    assert lines[-1]["mse"] < 0.2 * lines[0]["mse"]
    assert lines[-1]["step"] == 60
    assert lines[-1]["ap50"] == 0.25
    assert {"loss", "size", "lr", "norm", "seconds", "cpu_seconds"} <= lines[0].keys()


def test_a_run_folder_explains_itself(tmp_path):
    learn(tmp_path, 12, evaluate=lambda: {"ap50": 0.25})
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint-10",
        "checkpoint-12",
        "config.yaml",
        "metrics.jsonl",
        "progress.png",
    ]


def test_going_on_equals_not_having_stopped(tmp_path):
    def stop_at_12(step: int) -> float:
        if step == 12:
            raise KeyboardInterrupt
        return 1.0

    whole = learn(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        learn(tmp_path / "broken", on_batch=stop_at_12)
    assert last_checkpoint(tmp_path / "broken") == tmp_path / "broken" / "checkpoint-10"
    resumed = learn(tmp_path / "broken")
    assert torch.equal(whole.line.weight, resumed.line.weight)
    ends = [journal(tmp_path / name)[-1] for name in ("whole", "broken")]
    assert ends[0]["step"] == ends[1]["step"] == 20
    assert ends[0]["norm"] == ends[1]["norm"]


def test_batches_made_by_a_worker_teach_the_same(tmp_path):
    here = learn(tmp_path / "here")
    beside = learn(tmp_path / "beside", worker=True)
    assert torch.equal(here.line.weight, beside.line.weight)


def test_with_a_worker_too_a_run_goes_on_and_stops_where_a_loss_is_no_number(tmp_path):
    whole = learn(tmp_path / "whole", worker=True)
    learn(tmp_path / "broken", worker=True)
    (tmp_path / "broken" / "checkpoint-20" / "complete").unlink()
    resumed = learn(tmp_path / "broken", worker=True)
    assert torch.equal(whole.line.weight, resumed.line.weight)
    with pytest.raises(FloatingPointError, match="batch 7: the loss 'mse'"):
        learn(
            tmp_path / "poisoned",
            on_batch=lambda step: float("nan") if step == 7 else 1.0,
            worker=True,
        )


def test_going_on_with_muon_equals_not_having_stopped(tmp_path):
    whole = learn(tmp_path / "whole", muon=("line",))
    learn(tmp_path / "broken", muon=("line",))
    (tmp_path / "broken" / "checkpoint-20" / "complete").unlink()
    resumed = learn(tmp_path / "broken", muon=("line",))
    assert torch.equal(whole.line.weight, resumed.line.weight)


def test_going_on_does_not_make_the_batches_that_were_seen(tmp_path):
    learn(tmp_path, 20)
    (tmp_path / "checkpoint-20" / "complete").unlink()  # as if it had been cut off
    made: list[int] = []

    def note(step: int) -> float:
        made.append(step)
        return 1.0

    learn(tmp_path, 20, on_batch=note)
    assert made == [15, 16, 17, 18, 19]


def test_a_checkpoint_cut_off_while_it_was_written_is_not_gone_on_from(tmp_path):
    learn(tmp_path, 10)
    cut = tmp_path / "checkpoint-15"
    cut.mkdir()
    (cut / "model.safetensors").write_bytes(b"half")
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
    assert not cut.exists()


KILLED = """
import os, signal, sys
from pathlib import Path
import nuthatch.training.stages.trainer as trainer
from tests.training.stages.test_trainer import learn
saving = trainer.save_model
def die(model, path):
    saving(model, path)
    if "checkpoint-10" in path:
        os.kill(os.getpid(), signal.SIGKILL)
trainer.save_model = die
learn(Path(sys.argv[1]))
"""


def test_a_run_killed_while_it_saves_goes_on_to_the_same_weights(tmp_path):
    root = ROOT
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "killed")],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr[-500:]
    assert (tmp_path / "killed" / "checkpoint-10").exists()
    resumed, whole = learn(tmp_path / "killed"), learn(tmp_path / "whole")
    assert torch.equal(whole.line.weight, resumed.line.weight)


def test_a_loss_that_is_no_number_stops_with_the_batch_and_the_last_good_checkpoint(tmp_path):
    with pytest.raises(FloatingPointError, match=r"batch 12: the loss 'mse' is nan.*checkpoint-10"):
        learn(tmp_path, on_batch=lambda step: float("nan") if step == 12 else 1.0)
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"


def test_a_gradient_that_is_no_number_stops_before_it_reaches_the_weights(tmp_path, monkeypatch):
    def losses(self: Line, x: Tensor, poison: Tensor) -> dict[str, Tensor]:
        return {"root": (self.line.weight * 0.0).sum().sqrt()}  # 0, with an endless slope

    monkeypatch.setattr(Line, "losses", losses)
    with pytest.raises(FloatingPointError, match=r"batch 0: the gradient of line\.weight"):
        learn(tmp_path)


def test_a_run_is_not_gone_on_with_under_other_settings(tmp_path):
    learn(tmp_path, 5)
    with pytest.raises(ConfigError, match="other settings"):
        learn(tmp_path, 6)
