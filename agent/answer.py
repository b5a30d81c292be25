"""What leaves the house: an answer that carries its evidence.

`Draft` is what a planner said; only the gate turns it into an `Answer`.
"""

from dataclasses import dataclass
from pathlib import Path

from PIL.Image import Image
from pydantic import BaseModel

from nuthatch.agent.picture import draw
from nuthatch.tools.base import ToolResult
from nuthatch.tools.media import Media
from nuthatch.tools.verification.types import Edit, Verdict


@dataclass(frozen=True, slots=True)
class Draft:
    """Unchecked text of a planner. It never leaves a run by default."""

    text: str


class Timing(BaseModel):
    """Seconds spent in each part of a run."""

    load: float = 0.0
    plan: float = 0.0
    tools: float = 0.0
    verify: float = 0.0
    total: float = 0.0


class Answer(BaseModel):
    """A checked answer. `finished` is False when the run had to stop; `reason` says why."""

    model_config = {"arbitrary_types_allowed": True}

    text: str
    draft: str
    finished: bool
    reason: str | None = None
    verdicts: list[Verdict]
    edits: list[Edit]
    calls: list[ToolResult]
    media: list[Media]
    timing: Timing
    run_id: str
    run_folder: Path

    @property
    def undecided(self) -> list[Verdict]:
        """Claims that the evidence could not decide."""
        return [v for v in self.verdicts if v.verdict == "not_enough_evidence"]

    def picture(self) -> Image | None:
        """The first picture with boxes, verdict colours and the claims; None without a picture."""
        return draw(self.text, self.draft, self.verdicts, self.calls, self.media)

    def save_picture(self) -> Path | None:
        """Write `picture()` into the run's folder; its path, or None without a picture."""
        drawn = self.picture()
        if drawn is None:
            return None
        path = self.run_folder / "annotated.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn.save(path)
        return path

    def _repr_png_(self) -> bytes | None:
        """A notebook shows the picture."""
        drawn = self.picture()
        return drawn._repr_png_() if drawn is not None else None
