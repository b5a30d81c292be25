"""The settings of image generation that the owner of a tool chooses, not the planner."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How pictures are painted: what the owner of a tool sets and a planner does not choose."""

    steps: int = 40
    """Of denoising."""
    guidance: float = 5.0
    """Classifier-free guidance (Ho and Salimans 2022); 1 or less: none."""
    negative_prompt: str | None = None
    """What to keep out of pictures."""
    strength: float = 0.9999
    """Of edits: how much of what stood there is painted over; 1: all of it."""

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= 100:
            raise ValueError(f"steps is {self.steps}; expected 1 to 100")
        if not (math.isfinite(self.guidance) and self.guidance >= 0):
            raise ValueError(f"guidance is {self.guidance}; expected 0 or more, 5 is usual")
        if not 0 < self.strength <= 1:
            raise ValueError(f"strength is {self.strength}; expected more than 0, at most 1")


STANDARD = Recipe()
