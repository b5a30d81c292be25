"""transformers' `Trainer` as every stage of the core uses it.

A batch is a function of the number of its step, so a run that was killed goes on with the batches
it would have seen, to the same loss. A run folder holds `config.yaml`, `metrics.jsonl`,
`progress.png`, the last two checkpoints, and what the stage exports.
"""

import json
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import psutil
import torch
from safetensors.torch import load_model, save_model
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import (
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from nuthatch.training.fit import Losses, has_fast_bf16, record_settings
from nuthatch.training.recipes.schedule import Schedule
from nuthatch.training.stages.optimizer import optimizer_and_rate
from nuthatch.training.stages.progress import draw_progress

Batch = dict[str, Tensor]
Figures = dict[str, float]

WEIGHTS = "model.safetensors"
COMPLETE = "complete"  # a checkpoint without this file was cut off while it was written
LOG_EVERY = 20
AHEAD = 4
"""Batches that a worker has ready."""


class Learner(Protocol):
    """What a stage trains: a module that turns a batch into named losses; their sum is minimised.

    `losses` takes the batch's tensors by name, each loss is a scalar. It has no attribute `config`,
    which `Trainer` would write to.
    """

    losses: Callable[..., Losses]


def run(
    learner: nn.Module,
    batch: Callable[[int], Batch],
    schedule: Schedule,
    out: Path,
    *,
    config: object,
    evaluate: Callable[[], Figures] | None = None,
    evaluate_every: int = 0,
    at_step: Callable[[int], None] | None = None,
    rates: Mapping[str, float] | None = None,
    muon: Sequence[str] = (),
    worker: bool = False,
) -> None:
    """Train `learner` (see `Learner`) in place, or go on where `out` holds a whole checkpoint.

    Args:
        batch: step, counted from 0, to that step's batch; it must depend on nothing else.
        evaluate: returns named figures, written beside the losses every `evaluate_every` steps.
        at_step: called before each step with its number, to freeze parts on the way. After a
            restart it is first called with the step that the run goes on from.
        rates, muon: see `optimizer_and_rate`.
        worker: make batches in a process of their own, a few steps ahead.

    Raises:
        ConfigError: the checkpoint was trained with other settings, or `rates` or `muon` names no
            module.
        FloatingPointError: a loss or a gradient is no number any more; the message names the batch
            and the last good checkpoint.
    """
    out.mkdir(parents=True, exist_ok=True)
    last = last_checkpoint(out)
    record_settings(config, out, going_on=last is not None)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    optimizer, rate = optimizer_and_rate(learner.to(device), schedule, rates or {}, muon)
    trainer = StageTrainer(
        model=learner,
        args=TrainingArguments(
            output_dir=str(out),
            use_cpu=device == "cpu",
            max_steps=schedule.steps,
            per_device_train_batch_size=1,  # an item of the data set is a whole batch
            train_sampling_strategy="sequential",
            max_grad_norm=schedule.max_grad_norm,
            logging_steps=LOG_EVERY,
            logging_first_step=True,
            logging_nan_inf_filter=False,
            save_steps=schedule.save_every,
            save_total_limit=2,
            remove_unused_columns=False,
            report_to="none",
            seed=0,
            dataloader_num_workers=int(worker),
            dataloader_prefetch_factor=AHEAD if worker else None,
        ),
        train_dataset=Batches(batch, schedule.steps),
        data_collator=_the_only,
        optimizers=(optimizer, rate),
    )
    trainer.journal = Journal(out / "metrics.jsonl", 0 if last is None else _step_of(last))
    trainer.add_callback(_Watch(trainer, evaluate, evaluate_every, at_step))
    trainer.train(resume_from_checkpoint=None if last is None else str(last))
    draw_progress(out)
    learner.eval()


class Batches(Dataset[Batch]):
    """Item i is the batch of step i."""

    def __init__(self, make: Callable[[int], Batch], steps: int) -> None:
        self.make, self.steps = make, steps

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Batch:
        return self.make(step)


class StageTrainer(Trainer):  # type: ignore[misc]
    """What `Trainer` leaves to be said: several named losses, strict checkpoints, stop at NaN."""

    journal: "Journal"

    def compute_loss(self, model: nn.Module, inputs: Batch, *_: Any, **__: Any) -> Tensor:
        """The sum of the learner's losses; each is remembered for the next line of the journal."""
        fast = self.args.device.type == "cuda" or has_fast_bf16()
        with torch.autocast(self.args.device.type, torch.bfloat16, enabled=fast):
            losses: Losses = model.losses(**inputs)  # type: ignore[operator]
        for name, value in losses.items():
            if not torch.isfinite(value):
                raise FloatingPointError(self._complaint(f"the loss '{name}' is {value.item()}"))
        self.journal.remember(losses)
        return torch.stack([value.float() for value in losses.values()]).sum()

    def training_step(self, model: nn.Module, *args: Any, **kwargs: Any) -> Tensor:
        """Forward and backward; stops before a gradient that is no number reaches the weights."""
        loss: Tensor = super().training_step(model, *args, **kwargs)
        gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        if not torch.isfinite(nn.utils.get_total_norm(list(gradients.values()))):
            wrong = (n for n, each in gradients.items() if not torch.isfinite(each).all())
            name = next(wrong, "all weights together")
            raise FloatingPointError(self._complaint(f"the gradient of {name} is not finite"))
        return loss

    def log(self, logs: dict[str, float], *_: Any, **__: Any) -> None:
        """Trainer's own line goes to the journal, with the losses by name."""
        if "loss" in logs:
            logs = self.journal.write(self.state.global_step, logs)
        super().log(logs)

    def _complaint(self, what: str) -> str:
        last = last_checkpoint(Path(self.args.output_dir))
        return (
            f"batch {self.state.global_step}: {what}; the last good checkpoint is "
            f"{last or 'not yet written'}; lower schedule.lr or look at that batch"
        )

    def _save(self, output_dir: str | None = None, state_dict: object = None) -> None:
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        save_model(self.model, str(folder / WEIGHTS))

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        super()._save_checkpoint(*args, **kwargs)
        (Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}" / COMPLETE).touch()

    def _load_from_checkpoint(self, folder: str, model: nn.Module | None = None) -> None:
        load_model(model or self.model, str(Path(folder) / WEIGHTS))


class Journal:
    """`metrics.jsonl`: a line every few steps, with the seconds of all starts of the run."""

    def __init__(self, path: Path, done: int) -> None:
        self.path = path
        kept = [line for line in _lines(path) if line["step"] <= done]
        path.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        self.before = kept[-1] if kept else {"seconds": 0.0, "cpu_seconds": 0.0}
        self.wall, self.cpu = time.perf_counter(), _cpu_seconds()
        self.figures: Figures = {}
        self.losses: dict[str, list[Tensor]] = defaultdict(list)

    def remember(self, losses: Mapping[str, Tensor]) -> None:
        """Take note of one step's losses; the line gives their means."""
        for name, value in losses.items():
            self.losses[name].append(value.detach())

    def write(self, step: int, logs: Mapping[str, float]) -> dict[str, float]:
        """Add a line and return it."""
        means = {name: float(torch.stack(each).mean()) for name, each in self.losses.items()}
        line: dict[str, float] = {
            "step": step,
            "loss": sum(means.values()),
            **means,
            "norm": float(logs.get("grad_norm", 0.0)),
            "lr": float(logs["learning_rate"]),
            **self.figures,
            "seconds": self.before["seconds"] + time.perf_counter() - self.wall,
            "cpu_seconds": self.before["cpu_seconds"] + _cpu_seconds() - self.cpu,
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self.losses.clear()
        self.figures = {}
        return line


class _Watch(TrainerCallback):  # type: ignore[misc]
    """Measures now and then, and draws the plot."""

    def __init__(
        self,
        trainer: StageTrainer,
        evaluate: Callable[[], Figures] | None,
        every: int,
        at_step: Callable[[int], None] | None,
    ) -> None:
        self.trainer, self.evaluate, self.every, self.at_step = trainer, evaluate, every, at_step

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self.at_step:
            self.at_step(state.global_step)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        step, last = state.global_step, state.global_step == state.max_steps
        if self.evaluate and self.every and (last or step % self.every == 0):
            learner = self.trainer.model.eval()
            with torch.inference_mode():
                self.trainer.journal.figures = self.evaluate()
            learner.train()
            control.should_log = True
            draw_progress(Path(args.output_dir))
        control.should_log |= last


def last_checkpoint(out: Path) -> Path | None:
    """The newest whole checkpoint of a run folder; those cut off while written are removed."""
    found = sorted(out.glob("checkpoint-*"), key=_step_of)
    for folder in found:
        if not (folder / COMPLETE).is_file():
            shutil.rmtree(folder)
    whole = [folder for folder in found if folder.is_dir()]
    return whole[-1] if whole else None


def _cpu_seconds() -> float:
    """Of this process and of those that make batches for it."""
    here = psutil.Process()
    times = [process.cpu_times() for process in (here, *here.children())]
    return float(sum(each.user + each.system for each in times))


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _lines(path: Path) -> list[dict[str, float]]:
    """Whole lines only: a kill may have cut off the last one."""
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def _the_only(batches: list[Batch]) -> Batch:
    (batch,) = batches
    return batch
