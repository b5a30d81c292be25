"""Weights: what is here, loaded once, on one device, evicted under a byte budget.

A preset is a folder with one sub-folder per model (`config.json`, `model.safetensors`, a card).
`embedded` ships inside the package. A model entry is retired when a call that used it was given
up: the abandoned worker may still hold it, so the next call gets a fresh one.
"""

import hashlib
import json
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from nuthatch.tools.faults import ToolUnavailable

EMBEDDED = Path(__file__).parent / "embedded"

# Name of the weights -> `module:function`, called with (folder, device); imported when first used.
LOADERS = {
    "core": "nuthatch.mllm.speaking:load",
    "detect": "nuthatch.tools.detectors:load",
    "segment": "nuthatch.tools.segmenters:load",
    "tag": "nuthatch.tools.taggers:load",
    "tag_sound": "nuthatch.tools.sound_tagger:load",
}
EXTRAS = {
    "core": "vision",
    "detect": "vision",
    "segment": "vision",
    "tag": "vision",
    "tag_sound": "audio",
}


def training_command(name: str) -> str:
    """What makes these weights anew."""
    whole = "nuthatch train embedded"
    return whole if name == "core" else f"{whole} --stage perceive --only {name}"


@dataclass(frozen=True)
class WeightsStatus:
    """What `nuthatch tools` and `nuthatch doctor` say of one model's weights."""

    name: str
    path: Path
    present: bool
    bytes: int
    sha256: str


class Weights:
    """The models of one preset, shared by all tools of a process."""

    def __init__(
        self,
        folder: Path = EMBEDDED,
        *,
        device: str = "cpu",
        budget_bytes: int = 4 * 2**30,
    ) -> None:
        self.folder = folder
        self.device = device
        self.budget_bytes = budget_bytes
        self._models: OrderedDict[str, tuple[Any, int]] = OrderedDict()
        self._given: set[str] = set()
        self._loading: dict[str, threading.Lock] = {}
        self._lock = threading.RLock()

    def get(self, name: str) -> Any:
        """The loaded model, least recently used ones evicted when the budget is full.

        Raises:
            ToolUnavailable: weights or a package are missing; the message says what to install.
        """
        with self._lock:
            loading = self._loading.setdefault(name, threading.Lock())
        with loading:  # one load of a name at a time; other names and `retire` do not wait for it
            with self._lock:
                if name in self._models:
                    self._models.move_to_end(name)
                    return self._models[name][0]
            status = self.status(name)
            model = self._load(status)
            size = 2 * status.bytes  # stored as bf16, computed in fp32
            with self._lock:
                if self._loading.get(name) is loading:  # not retired meanwhile
                    while self._models and size + self.used_bytes > self.budget_bytes:
                        self._models.popitem(last=False)
                    self._models[name] = (model, size)
            return model

    def put(self, name: str, model: object, size_bytes: int = 0) -> None:
        """Use `model` under this name: a user's own back end, or a fake."""
        with self._lock:
            self._models[name] = (model, size_bytes)
            self._given.add(name)

    def retire(self, name: str) -> None:
        """Forget a loaded model, or one that is still being loaded; the next `get` loads it anew.

        A model that was `put` cannot be made anew and stays.
        """
        with self._lock:
            self._loading.pop(name, None)
            if name not in self._given:
                self._models.pop(name, None)

    def fingerprint(self, name: str) -> str:
        """Sha256 of the weights' files; `given` for a model the caller put in, `` if missing."""
        return "given" if name in self._given else self.status(name).sha256

    @property
    def loaded(self) -> list[str]:
        """Names in memory, least recently used first."""
        return list(self._models)

    @property
    def used_bytes(self) -> int:
        return sum(size for _, size in self._models.values())

    def _load(self, status: WeightsStatus) -> Any:
        name = status.name
        if not status.present:
            raise ToolUnavailable(
                f"the weights '{name}' are not at {status.path}; "
                f"train them with: {training_command(name)}"
            )
        _check_calibration(status)
        module, _, function = LOADERS[name].partition(":")
        try:
            from safetensors import SafetensorError  # of a file that was cut off

            return getattr(import_module(module), function)(status.path, self.device)
        except ImportError as error:
            raise ToolUnavailable(
                f"'{name}' needs a package that is missing ({error.name}): "
                f"pip install 'nuthatch[{EXTRAS[name]}]'",
                "dependency_missing",
            ) from error
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise ToolUnavailable(
                f"the weights '{name}' at {status.path} cannot be loaded: {error}"
            ) from error
        except MemoryError as error:
            raise ToolUnavailable(
                f"'{name}' ({status.bytes:,} bytes) does not fit in memory", "out_of_memory"
            ) from error

    def status(self, name: str) -> WeightsStatus:
        """Where the weights would be, and whether they are there."""
        path = self.folder / name
        shards = sorted(path.glob("*.safetensors"))
        size = sum(shard.stat().st_size for shard in shards)
        present = bool(shards) and (path / "config.json").is_file()
        sha256 = _sha256(tuple((s, s.stat().st_mtime_ns) for s in shards)) if present else ""
        return WeightsStatus(name, path, present, size, sha256)


def _check_calibration(status: WeightsStatus) -> None:
    """What scores are worth was measured with these very weights, or nobody knows."""
    path = status.path / "calibration.json"
    if not path.is_file():
        return
    measured_with = json.loads(path.read_text(encoding="utf-8"))["weights"]
    if not status.sha256.startswith(measured_with):
        raise ToolUnavailable(
            f"{path} was measured with weights {measured_with}, but {status.path} holds "
            f"{status.sha256[:12]}; measure it anew, or remove it: then the scores of "
            f"'{status.name}' decide nothing alone"
        )


@cache
def _sha256(shards: tuple[tuple[Path, int], ...]) -> str:
    """One hash over all shards; with the time of change, so that new weights are hashed anew."""
    digest = hashlib.sha256()
    for shard, _ in shards:
        digest.update(shard.read_bytes())
    return digest.hexdigest()
