"""The optimizer of every stage: rates by part, Muon for matrices, one rate for all."""

import pytest
import torch
from torch import nn

from nuthatch.training.config import ConfigError
from nuthatch.training.recipes.schedule import Schedule
from nuthatch.training.stages.optimizer import optimizer_and_rate

SCHEDULE = Schedule(steps=10, lr=0.5, warmup_steps=0)


def parts() -> nn.ModuleDict:
    torch.manual_seed(0)
    return nn.ModuleDict({"fast": nn.Linear(4, 4), "slow": nn.Linear(4, 4)})


def test_parts_may_learn_more_slowly_and_a_part_that_is_not_there_is_named():
    learner = parts()
    optimizer, _ = optimizer_and_rate(learner, SCHEDULE, {"slow": 0.1})
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rates[id(learner["fast"].weight)] == rates[id(learner["fast"].bias)] == 0.5
    assert rates[id(learner["slow"].weight)] == pytest.approx(0.05)
    with pytest.raises(ConfigError, match="bridge"):
        optimizer_and_rate(learner, SCHEDULE, {"bridge": 0.1})
    with pytest.raises(ConfigError, match="bridge"):
        optimizer_and_rate(learner, SCHEDULE, {}, ("bridge",))


def test_the_step_of_a_matrix_of_muon_is_nearly_orthogonal_and_that_of_others_is_not():
    learner = parts()
    before = {name: value.detach().clone() for name, value in learner.named_parameters()}
    optimizer, _ = optimizer_and_rate(learner, SCHEDULE, {}, ("fast",))
    gradient = torch.diag(torch.tensor([8.0, 4.0, 2.0, 1.0]))
    for parameter in learner.parameters():
        parameter.grad = gradient.clone() if parameter.ndim == 2 else torch.ones(4)
    optimizer.step()
    kept = 1 - SCHEDULE.lr * SCHEDULE.weight_decay
    steps = {
        name: before[name] * (kept if value.ndim == 2 else 1) - value.detach()
        for name, value in learner.named_parameters()
    }
    sizes = torch.linalg.svdvals(steps["fast.weight"])
    assert sizes.max() / sizes.min() < 2, "the gradient's were 8 to 1"
    assert torch.allclose(steps["slow.weight"].diagonal(), torch.full((4,), 0.5), atol=1e-3)
    assert torch.allclose(steps["fast.bias"], torch.full((4,), 0.5), atol=1e-3)


def test_one_schedule_moves_all_rates_also_after_the_state_was_loaded():
    learner = parts()
    optimizer, rate = optimizer_and_rate(learner, SCHEDULE, {"slow": 0.1}, ("fast",))
    optimizer.load_state_dict(optimizer.state_dict())
    for parameter in learner.parameters():
        parameter.grad = torch.ones_like(parameter)
    for _ in range(10):
        optimizer.step()
        rate.step()
    held = [group["lr"] for part in optimizer.parts for group in part.param_groups]
    assert held == [group["lr"] for group in optimizer.param_groups]
    assert max(held) == pytest.approx(0.5 * SCHEDULE.final_lr_fraction)


def test_a_closure_is_refused():
    optimizer, _ = optimizer_and_rate(parts(), SCHEDULE, {})
    with pytest.raises(ValueError, match="closure"):
        optimizer.step(lambda: 0.0)
