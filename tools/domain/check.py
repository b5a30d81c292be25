"""Domains: whether an input is of the kind that a model was trained and measured on.

A model's *domain* is a region of the features that it computes anyway: the inputs whose Mahalanobis
distance to the nearest of several means, under one covariance that all of them share, stays below
a threshold (Lee et al. 2018, arXiv:1807.03888). It is fitted on inputs of the split "train", the
threshold on those of "calibrate", and lies beside the weights as `domain.safetensors`. Weights
without that file have no domain: nothing is said about their inputs.

Outside of its domain a model does not judge (rule `domain.outside`), and the user is told once.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nuthatch.tools.base.notices import Notice
from nuthatch.tools.faults import ToolUnavailable
from nuthatch.tools.weights.folder import DOMAIN_FILE

OUTSIDE = "domain.outside"
"""Code of the notice, and rule of the verdicts, about an input outside of a domain."""
KEPT = 0.99
"""Share of the calibration inputs that lie inside."""
Floats = NDArray[np.float32]
InputKind = Literal["picture", "sound", "speech"]


@dataclass(frozen=True, eq=False)
class Domain:
    """The inputs that a model knows, by D features of each.

    `means` is (K, D); `whitening` (D, R) gives differences from a mean unit covariance, in the R
    directions that are used. The distance is the root of the mean square over these directions:
    about 1 for inputs of the fitted kind, whatever R.
    """

    means: Floats
    whitening: Floats
    threshold: float
    weights: str
    """First digits of the SHA-256 of the weights whose features these are."""

    def distances(self, features: ArrayLike) -> Floats:
        """Distance (N,) of each row of `features` (N, D) to the nearest mean.

        Raises:
            ValueError: the features do not have D columns.
        """
        rows = np.atleast_2d(np.asarray(features, np.float32))
        if rows.ndim != 2 or rows.shape[1] != self.means.shape[1]:
            raise ValueError(
                f"features have shape {rows.shape}; expected (N, {self.means.shape[1]})"
            )
        white, centres = rows @ self.whitening, self.means @ self.whitening
        squares = np.square(white[:, None] - centres[None]).mean(axis=2)
        nearest: Floats = np.sqrt(squares.min(axis=1))
        return nearest

    def contains(self, features: ArrayLike) -> NDArray[np.bool_]:
        """Whether each row of `features` (N, D) lies inside, (N,); raises as `distances`."""
        inside: NDArray[np.bool_] = self.distances(features) <= self.threshold
        return inside

    @classmethod
    def fit(
        cls,
        features: ArrayLike,
        labels: ArrayLike | None = None,
        *,
        calibration: ArrayLike,
        kept: float = KEPT,
        directions: int | None = None,
        shrinkage: float = 1e-3,
        weights: str = "",
    ) -> Self:
        """The domain of inputs like these.

        Args:
            features: (N, D) of the split "train".
            labels: (N,), one mean for each value; default: one mean for all.
            calibration: (M, D) of the split "calibrate"; `kept` of them lie inside.
            directions: how many principal directions to use, those of most variance; default: all.
            shrinkage: share of the mean variance that is added to every direction's, so that
                directions that hardly vary do not decide by their noise.
            weights: see the field.
        """
        rows = np.asarray(features, np.float64)
        groups = np.zeros(len(rows)) if labels is None else np.asarray(labels)
        values, index = np.unique(groups, return_inverse=True)
        means = np.stack([rows[index == group].mean(axis=0) for group in range(len(values))])
        apart = rows - means[index]
        covariance = apart.T @ apart / max(1, len(rows) - len(values))
        variances, axes = np.linalg.eigh(covariance)
        best = np.argsort(variances)[::-1][:directions]
        scales = np.sqrt(variances[best].clip(0) + shrinkage * variances.mean())
        whitening = axes[:, best] / scales
        domain = cls(means.astype(np.float32), whitening.astype(np.float32), np.inf, weights)
        return domain.keeping(calibration, kept)

    def keeping(self, calibration: ArrayLike, kept: float = KEPT) -> Self:
        """The same with the threshold below which `kept` of these features (M, D) lie."""
        threshold = float(np.quantile(self.distances(calibration), kept))
        return type(self)(self.means, self.whitening, threshold, self.weights)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read `domain.safetensors`.

        Raises:
            ToolUnavailable: the file holds something else.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "numpy") as file:
                means, whitening = (file.get_tensor(name) for name in ("means", "whitening"))
                said = file.metadata() or {}
                names = set(file.keys())
            domain = cls(
                means.astype(np.float32),
                whitening.astype(np.float32),
                float(said["threshold"]),
                said["weights"],
            )
        except (SafetensorError, KeyError, ValueError) as error:
            raise ToolUnavailable(f"{path} cannot be read as a domain: {error!r}") from error
        shapes = means.shape, whitening.shape
        fits = means.ndim == whitening.ndim == 2 and means.shape[1] == whitening.shape[0]
        if not fits or names != {"means", "whitening"} or not np.isfinite(domain.threshold):
            raise ToolUnavailable(
                f"{path} holds {sorted(names)} with shapes {shapes} and threshold "
                f"{domain.threshold}; expected means (K, D), whitening (D, R) and a number"
            )
        return domain

    @classmethod
    def beside(cls, folder: Path) -> Self | None:
        """The one that lies beside the weights in `folder`, if there is one; raises as `load`."""
        path = folder / DOMAIN_FILE
        return cls.load(path) if path.is_file() else None

    def save(self, path: Path) -> None:
        """Write what `load` reads; numbers as float16."""
        from safetensors.numpy import save_file

        arrays = {"means": self.means, "whitening": self.whitening}
        save_file(
            {name: array.astype(np.float16, order="C") for name, array in arrays.items()},
            path,
            {"threshold": repr(self.threshold), "weights": self.weights},
        )


_KNOWN = {
    "picture": "pictures of a miniature world: a few emoji on plain backgrounds or patterns",
    "sound": "the synthesised sounds of a miniature world",
    "speech": "speech of one synthesiser, in 312 words",
}
_TOLD = {
    "picture": "nothing about it was checked, and what tools say of it may be wrong",
    "sound": "nothing about it was checked, and what tools hear in it may be wrong",
    "speech": "its transcript may be wrong in every word",
}
_BETTER = {
    "picture": ("photographs", "detect", "grounding-dino-tiny"),
    "sound": ("other sounds", "tag_sound", "beats"),
    "speech": ("real speech", "transcribe", "whisper-base"),
}


def outside(kind: InputKind, about: str | None = None) -> Notice:
    """What a user must know about an input (a handle) that lies outside of a domain."""
    others, tool, name = _BETTER[kind]
    text = (
        f"The models that ship here know {_KNOWN[kind]}. This {kind} is unlike these: "
        f"{_TOLD[kind]}. Released weights for {others}: `nuthatch weights` lists them and says "
        f'how to get them; Agent.load(weights={{"{tool}": "{name}"}}) uses one.'
    )
    return Notice(code=OUTSIDE, text=text, about=about)
