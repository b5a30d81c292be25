"""The optimizer of every stage: AdamW, and Muon for the matrices of chosen modules.

Muon (Jordan et al. 2024; torch's own) makes the step of a matrix nearly orthogonal, so that
directions that few examples need are learned as fast as those that all need. Its steps are scaled
to the size of AdamW's (Liu et al. 2025, "Muon is scalable for LLM training"), so that one rate
serves both. Embeddings, vectors and what is no matrix stay with AdamW.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from nuthatch.training.config import ConfigError
from nuthatch.training.recipes.schedule import Schedule

BETAS = (0.9, 0.98)
Group = dict[str, Any]


class Optimizer(torch.optim.Optimizer):
    """Two optimizers as one; `param_groups` are those of AdamW, then those of Muon."""

    def __init__(self, plain: Sequence[Group], matrices: Sequence[Group], lr: float) -> None:
        parts: list[torch.optim.Optimizer] = []
        if plain:
            parts.append(torch.optim.AdamW(plain, lr=lr, betas=BETAS, fused=True))
        if matrices:
            parts.append(torch.optim.Muon(matrices, lr=lr, adjust_lr_fn="match_rms_adamw"))
        self.parts = parts
        super().__init__([group for part in parts for group in part.param_groups], {"lr": lr})

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Both steps; a closure is not supported."""
        if closure is not None:
            raise ValueError("this optimizer takes no closure: compute gradients before the step")
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]


def optimizer_and_rate(
    learner: nn.Module,
    schedule: Schedule,
    rates: Mapping[str, float],
    muon: Sequence[str] = (),
) -> tuple[Optimizer, torch.optim.lr_scheduler.LambdaLR]:
    """Weight decay on matrices only, and the schedule's learning rate.

    Args:
        rates: modules by name, and by what the learning rate is multiplied in each; 1 elsewhere.
        muon: modules whose matrices take Muon's steps.

    Raises:
        ConfigError: `rates` or `muon` names a module that has nothing to train.
    """
    members: dict[tuple[bool, float, float], list[nn.Parameter]] = defaultdict(list)
    found = set()
    for name, parameter in learner.named_parameters():
        if parameter.requires_grad:
            slowed, turned = (
                next((each for each in modules if name.startswith(f"{each}.")), "")
                for modules in (rates, muon)
            )
            found |= {slowed, turned}
            decay = schedule.weight_decay if parameter.ndim >= 2 else 0.0
            is_turned = bool(turned) and parameter.ndim == 2
            members[is_turned, rates.get(slowed, 1.0), decay].append(parameter)
    if missing := {*rates, *muon} - found:
        raise ConfigError(f"no module with something to train is {', '.join(sorted(missing))}")
    groups: dict[bool, list[Group]] = {False: [], True: []}
    # The full rate comes first: it is the one that the journal shows.
    for is_turned, rate, decay in sorted(members, key=lambda key: (-key[1], -key[2])):
        group = {"params": members[is_turned, rate, decay], "weight_decay": decay}
        groups[is_turned].append(group | {"lr": schedule.lr * rate})
    optimizer = Optimizer(groups[False], groups[True], schedule.lr)
    share = partial(_share_of_rate, schedule)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, share)


def _share_of_rate(schedule: Schedule, step: int) -> float:
    return schedule.lr_at(step) / schedule.lr
