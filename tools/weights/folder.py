"""What lies in a folder of weights: its files, whether they are all, what they hash to."""

import hashlib
import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from nuthatch.messages import shown
from nuthatch.tools.faults import ToolUnavailable
from nuthatch.tools.weights.fetching import read_lock, sha256_of
from nuthatch.tools.weights.released import WEIGHTS, Released

DOMAIN_FILE = "domain.safetensors"
"""Lies beside weights and belongs to none: what inputs they know (`domain`)."""


@dataclass(frozen=True)
class WeightsStatus:
    """What `nuthatch tools` and `nuthatch doctor` say of one model's weights."""

    name: str
    path: Path
    present: bool
    bytes: int
    files: tuple[Path, ...] = ()

    @property
    def sha256(self) -> str:
        """Sha256 of the file, or of the lines of its files' sha256 by name; empty: not here."""
        if not self.present:
            return ""
        return _sha256(tuple((file, file.stat().st_mtime_ns) for file in self.files))


def look(name: str, path: Path, entry: Released | None = None) -> WeightsStatus:
    """What lies at `path`, where the weights `name` should be; those of `entry`, if it is known."""
    files = _files(path, WEIGHTS) or _files(path, (".bin",))
    size = sum(file.stat().st_size for file in files)
    return WeightsStatus(name, path, _is_whole(path, files, entry), size, files)


def check_calibration(status: WeightsStatus) -> None:
    """What scores are worth was measured with these very weights, or nobody knows."""
    path = status.path / "calibration.json"
    if not path.is_file():
        return
    measured_with = json.loads(path.read_text(encoding="utf-8"))["weights"]
    if not status.sha256.startswith(measured_with):
        raise ToolUnavailable(
            f"{shown(path)} was measured with weights {measured_with}, but "
            f"{shown(status.path)} holds {status.sha256[:12]}; measure it anew, or remove "
            f"it: then the scores of '{status.name}' decide nothing alone"
        )


def _files(path: Path, endings: tuple[str, ...]) -> tuple[Path, ...]:
    if not os.path.isdir(path):  # neither if the name is too long for any file
        return ()
    return tuple(
        file
        for file in sorted(path.rglob("*"))
        if file.suffix in endings
        and file.name != DOMAIN_FILE
        and not file.relative_to(path).parts[0].startswith(".")
    )


def _is_whole(path: Path, files: tuple[Path, ...], entry: Released | None) -> bool:
    """Whether all that belongs into a folder is there."""
    if entry is not None:
        return all(os.path.isfile(path / name) for name, _, _ in entry.files)
    if wanted := read_lock(path).get("wanted"):
        return all(os.path.isfile(path / name) for name in wanted)
    if any(file.suffix in (".pth", ".pt") for file in files):
        return True  # released files that stand alone
    described = any(os.path.isfile(path / name) for name in ("config.json", "model_index.json"))
    return bool(files) and described


@cache
def _sha256(files: tuple[tuple[Path, int], ...]) -> str:
    """One hash over all files; with the time of change, so that new weights are hashed anew."""
    each = [sha256_of(file) for file, _ in files]
    if len(each) == 1:
        return each[0]
    return hashlib.sha256("\n".join(each).encode()).hexdigest()
