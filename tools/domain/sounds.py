"""Whether a sound is one of the miniature world's, by what the sound tagger's lower layers hear.

The distance to means (`domain`) does not tell speech from the world's animals, so this domain is a
boundary that was learned: a network with one hidden layer over the mean tokens of the lower layers,
fitted on clips of the world against speech, music, tones, noise and unnatural clips
(`nuthatch.training.perceive.sound_domain`). And no clip of the world holds more than two events, so
a third one that the tagger finds likely speaks against a sound, too. It lies beside the weights as
`domain.safetensors`.
"""

from pathlib import Path
from typing import Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from nuthatch.mllm.encoders.beats import Beats
from nuthatch.tools.faults import ToolUnavailable
from nuthatch.tools.weights.folder import DOMAIN_FILE

CROWDED = 3.0
"""What a third event of probability 1 takes from the log-odds."""


class SoundDomain(nn.Module):
    """Log-odds that a sound is of the world, from `layers` layers of a tagger of this width.

    `threshold`: the log-odds from which a sound lies inside, chosen on clips of the split
    "calibrate". `weights`: first digits of the SHA-256 of the tagger's weights.
    """

    def __init__(
        self,
        width: int,
        layers: int = 2,
        hidden: int = 32,
        threshold: float = 0.0,
        weights: str = "",
    ) -> None:
        super().__init__()
        self.layers = layers
        self.threshold = threshold
        self.weights = weights
        self.hidden = nn.Linear(layers * width, hidden)
        self.odds = nn.Linear(hidden, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, layers * width) from `features` to log-odds (B,)."""
        odds: Tensor = self.odds(nn.functional.gelu(self.hidden(features))).squeeze(-1)
        return odds

    @staticmethod
    def crowding(probabilities: Tensor) -> Tensor:
        """What the third likeliest of the events (B, events) takes from the log-odds, (B,)."""
        third = probabilities.topk(min(3, probabilities.shape[1]), dim=1).values[:, -1]
        return CROWDED * third

    def features(self, beats: Beats, fbank: Tensor) -> Tensor:
        """What the tagger's encoder makes of (B, frames, bins): mean tokens of its lower layers,
        (B, layers * width)."""
        return torch.cat([each.mean(dim=1) for each in beats.hidden(fbank, self.layers)], dim=1)

    def save(self, folder: Path) -> None:
        """Write `domain.safetensors`, numbers as float16."""
        state = {name: each.half().contiguous() for name, each in self.state_dict().items()}
        settings = {
            "layers": str(self.layers),
            "threshold": repr(self.threshold),
            "weights": self.weights,
        }
        save_file(state, folder / DOMAIN_FILE, settings)

    @classmethod
    def beside(cls, folder: Path) -> Self | None:
        """The one that lies beside a tagger's weights in `folder`, if there is one.

        Raises:
            ToolUnavailable: the file holds something else.
        """
        path = folder / DOMAIN_FILE
        if not path.is_file():
            return None
        try:
            with safe_open(path, "pt") as file:
                said = file.metadata() or {}
                state = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
            hidden, columns = state["hidden.weight"].shape
            layers, threshold = int(said["layers"]), float(said["threshold"])
            domain = cls(columns // layers, layers, hidden, threshold, said["weights"])
            domain.load_state_dict(state)
        except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
            raise ToolUnavailable(f"{path} cannot be read as a sound domain: {error!r}") from error
        return domain
