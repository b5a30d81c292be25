"""How long and how fast to train: part of every recipe that trains by steps."""

import math
from dataclasses import dataclass

from nuthatch.training.config import Settings


@dataclass(frozen=True)
class Schedule(Settings):
    """Steps, learning rates, and how often to save."""

    steps: int
    """Optimiser steps in all."""
    lr: float
    """Highest learning rate, reached after the warm-up."""
    warmup_steps: int = 80
    """Steps over which the learning rate rises linearly from 0; then it falls along a cosine."""
    final_lr_fraction: float = 0.03
    """Learning rate of the last step, as a part of the highest."""
    weight_decay: float = 0.05
    """AdamW's decoupled weight decay; of matrices only."""
    max_grad_norm: float = 1.0
    """Gradients of a larger norm are scaled down to it."""
    save_every: int = 200
    """Steps between two checkpoints."""

    def lr_at(self, step: int) -> float:
        """Learning rate of optimiser step `step`, counted from 0."""
        if step < self.warmup_steps:
            return self.lr * (step + 1) / self.warmup_steps
        done = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
        return self.lr * (self.final_lr_fraction + (1 - self.final_lr_fraction) * cosine)
