"""Weights: what is here, loaded once, shared, placed on a device, evicted under a byte budget.

A preset is a folder with one sub-folder per model (`config.json`, `model.safetensors`, a card).
`embedded` ships inside the package. Any name can be given a folder of its own, or released weights
that were fetched (`released_weights`, `fetching`):

    Weights(folders={"detect": "grounding-dino-tiny", "segment": "/models/sam"}, device="auto")

Names that lead to the same folder and loader share one model. A model is retired when a call that
used it was given up: the abandoned worker may still hold it, so the next call gets a fresh one.
"""

import os
import pickle
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

import nuthatch.tools
from nuthatch.extras import installed
from nuthatch.messages import shown
from nuthatch.tools.faults import ToolUnavailable
from nuthatch.tools.weights.devices import (
    budget,
    footprint,
    give_back,
    is_out_of_memory,
    roomiest_gpu,
)
from nuthatch.tools.weights.folder import WeightsStatus, check_calibration, look
from nuthatch.tools.weights.released import (
    RELEASED,
    WEIGHTS,
    Released,
    released,
    serving,
    weights_folder,
)

EMBEDDED = Path(nuthatch.tools.__file__).parent / "embedded"

# Name of the weights -> `module:function`, called with (folder, device); imported when first used.
LOADERS = {
    "core": "nuthatch.mllm.generation.generator:load",
    "detect": "nuthatch.tools.detection.load:load",
    "segment": "nuthatch.tools.segmentation.segmenters:load",
    "tag": "nuthatch.tools.tagging.taggers:load",
    "tag_sound": "nuthatch.tools.audio.load_sound_tagger:load",
    "transcribe": "nuthatch.tools.audio.transcriber:load",
}
# The same for what has no miniature in the package: released weights only.
FULL_SIZE_LOADERS = {
    "caption": "nuthatch.tools.captioning.load:load",
    "generate_image": "nuthatch.tools.image_generation.sdxl:load",
}
EXTRAS = {
    "core": "vision",
    "detect": "vision",
    "segment": "vision",
    "tag": "vision",
    "tag_sound": "audio",
    "caption": "vision",
    "generate_image": "imagine",
    "transcribe": "audio",
}
# Modules that loading these needs, besides torch and safetensors.
PACKAGES = {
    "core": ("transformers",),
    "segment": ("segment_anything",),
    "generate_image": ("diffusers", "transformers"),
    "transcribe": ("whisper", "scipy"),
}
# Other names for the same weights: tools that share a model may ask under their own name.
ALIASES = {
    "caption_many": "caption",
    "describe_attributes": "tag",
    "edit_image": "generate_image",
    "ground": "detect",
}


def training_command(name: str) -> str:
    """What makes these weights anew."""
    whole = "nuthatch train embedded"
    return whole if name == "core" else f"{whole} --stage perceive --only {name}"


@dataclass
class _Loaded:
    """A model in memory."""

    model: Any
    sizes: dict[str, int]  # device -> bytes
    names: set[str] = field(default_factory=set)  # under which it was asked for
    number: int = field(default_factory=partial(next, count()))

    @property
    def bytes(self) -> int:
        return sum(self.sizes.values())


_DEVICE = re.compile(r"auto|(cpu|cuda|mps|xpu)(:\d{1,3})?")
_Key = tuple[str, str]  # loader and folder; ("given", name) for what a caller put in


class Weights:
    """The models of one preset, shared by all tools of a process.

    Args:
        folder: the preset.
        folders: for some names (those of `LOADERS` and `ALIASES`) another place: a folder, or the
            name of released weights, looked for in the weights home (`weights_folder`).
        device: "cpu", "cuda", "cuda:1"; "auto" takes the roomiest GPU if the model fits there.
        budget_bytes: what models may take of one device before the least recently used go; None is
            half of a processor's memory, four fifths of a GPU's.

    Pickled, it crosses to another process as these settings, without the models.

    Raises:
        ValueError: no name of a device; a place of `folders` is a file, or neither a folder's path
            nor a released name.
    """

    def __init__(
        self,
        folder: str | Path = EMBEDDED,
        folders: Mapping[str, str | Path] | None = None,
        *,
        device: str = "cpu",
        budget_bytes: int | None = None,
        home: str | Path | None = None,
    ) -> None:
        if not _DEVICE.fullmatch(device):
            raise ValueError(
                f"given the device '{shown(device)}', expected 'cpu', 'cuda', one such as "
                "'cuda:1', or 'auto'"
            )
        self.folder = Path(folder)
        self.device = "cuda:0" if device == "cuda" else device
        self.budget_bytes = budget_bytes
        self._again = partial(
            Weights,
            folder,
            dict(folders or {}),
            device=device,
            budget_bytes=budget_bytes,
            home=home,
        )
        self._places = {name: _place(name, where, home) for name, where in (folders or {}).items()}
        self._models: OrderedDict[_Key, _Loaded] = OrderedDict()
        self._loading: dict[_Key, threading.Lock] = {}
        self._lock = threading.RLock()
        self._preset: Weights | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return self._again, ()

    def get(self, name: str) -> Any:
        """The loaded model, least recently used ones evicted when the budget is full.

        Raises:
            ToolUnavailable: weights or a package are missing, or it does not fit in memory; the
                message says what to do.
        """
        key = self._key(name)
        with self._lock:
            loading = self._loading.setdefault(key, threading.Lock())
        with loading:  # one load of a model at a time; others and `retire` do not wait for it
            with self._lock:
                if key in self._models:
                    self._models.move_to_end(key)
                    self._models[key].names.add(name)
                    return self._models[key].model
            status = self.status(name)
            model = self._load(status)
            self.fingerprint(name)  # hashed now, not within the time of the first call
            loaded = _Loaded(model, footprint(model) or {"cpu": status.bytes}, {name})
            with self._lock:
                if self._loading.get(key) is loading:  # not retired meanwhile
                    self._models[key] = loaded
                    for device in loaded.sizes:
                        self._evict(device, 0, keep=key)
            return model

    def own(self, name: str) -> Any:
        """The preset's own model of this name, even where another one takes its place; raises as
        `get`."""
        if self.is_own(name):
            return self.get(name)
        with self._lock:
            if self._preset is None:
                self._preset = Weights(
                    self.folder, device=self.device, budget_bytes=self.budget_bytes
                )
        return self._preset.get(name)

    def is_own(self, name: str) -> bool:
        """Whether the model of this name is the preset's: neither put in nor given a place."""
        chosen = any(each in self._places for each in _names(name))
        return self._key(name)[0] != "given" and not chosen

    @staticmethod
    def canonical(name: str) -> str:
        """The name under which these weights are known, where tools ask under their own."""
        return _names(name)[-1]

    def put(self, name: str, model: object, size_bytes: int = 0) -> None:
        """Use `model` under this name: a user's own back end, or a fake. It is never evicted."""
        with self._lock:
            self._models["given", name] = _Loaded(model, {"cpu": size_bytes}, {name})

    def retire(self, name: str) -> None:
        """Forget a loaded model, or one that is still being loaded; the next `get` loads it anew.

        A model that was `put` cannot be made anew and stays.
        """
        key = self._key(name)
        with self._lock:
            self._loading.pop(key, None)
            if key[0] != "given":
                self._models.pop(key, None)

    def make_room(self) -> None:
        """Forget every model that can be loaded anew: after something ran out of memory."""
        with self._lock:
            for key in [key for key in self._models if key[0] != "given"]:
                del self._models[key]
        give_back()

    def offers(self, name: str) -> bool:
        """Whether a model of this name is meant to be had here, even if its files lack: it was
        put in, was given a place, or lies in the preset."""
        return not self.is_own(name) or os.path.isdir(self._place_of(name)[0])

    def fingerprint(self, name: str) -> str:
        """Sha256 of the weights' files; `given` for a model the caller put in, `` if missing."""
        return "given" if self._key(name)[0] == "given" else self.status(name).sha256

    def identity(self, name: str) -> str:
        """As `fingerprint`; of a model that was put in, a name that no other one has."""
        key = self._key(name)
        return f"given {self._models[key].number}" if key[0] == "given" else self.fingerprint(name)

    @property
    def loaded(self) -> list[str]:
        """Names in memory, least recently used first."""
        with self._lock:
            return [name for loaded in self._models.values() for name in sorted(loaded.names)]

    @property
    def used_bytes(self) -> int:
        with self._lock:
            return sum(loaded.bytes for loaded in self._models.values())

    def status(self, name: str) -> WeightsStatus:
        """Where the weights would be, and whether they are there; nothing is loaded."""
        path, entry = self._place_of(name)
        return look(name, path, entry)

    def lack(self, name: str) -> str:
        """What keeps the model of this name from loading, as far as can be told without trying:
        files or packages that are missing; empty: nothing."""
        if self._key(name)[0] == "given":
            return ""
        status = self.status(name)
        if not status.present:
            return self._missing(status)
        needed = ("safetensors", "torch", *PACKAGES.get(self.canonical(name), ()))
        missing = next((each for each in needed if not installed(each)), None)
        return _needs(name, missing) if missing else ""

    # -- inside ---------------------------------------------------------------------------------

    def _key(self, name: str) -> _Key:
        for each in _names(name):
            if ("given", each) in self._models:
                return "given", each
        return _loader(name), str(self._place_of(name)[0])

    def _place_of(self, name: str) -> tuple[Path, Released | None]:
        for each in _names(name):
            if each in self._places:
                return self._places[each]
        return self.folder / _names(name)[-1], None

    def _load(self, status: WeightsStatus) -> Any:
        """The model, on its device; a second time with nothing else there if it did not fit."""
        if not status.present:
            raise ToolUnavailable(self._missing(status))
        try:
            return self._load_once(status)
        except ToolUnavailable as fault:
            if fault.code != "out_of_memory":
                raise
        self.make_room()  # behind the handler: its traceback holds what was loaded so far
        return self._load_once(status)

    def _load_once(self, status: WeightsStatus) -> Any:
        with self._lock:
            device = self._device(status.bytes)
            self._evict(device, status.bytes)
        return _call_loader(status, device)

    def _device(self, size: int) -> str:
        """Where to put a model whose files hold `size` bytes."""
        if self.device != "auto":
            return self.device
        gpu, free = roomiest_gpu()
        # As much again for what it computes with, or for being computed in a wider type.
        needed = 2 * size
        return gpu if gpu and free + self._used(gpu) >= needed else "cpu"

    def _used(self, device: str) -> int:
        """Bytes on a device, of models that could be evicted."""
        return sum(
            loaded.sizes.get(device, 0) for key, loaded in self._models.items() if key[0] != "given"
        )

    def _evict(self, device: str, coming: int, keep: _Key | None = None) -> None:
        """Let the least recently used go until `coming` bytes more fit the device's budget."""
        allowed = budget(device) if self.budget_bytes is None else self.budget_bytes
        gone = False
        for key in list(self._models):
            if self._used(device) + coming <= allowed:
                break
            if key[0] != "given" and key != keep and device in self._models[key].sizes:
                del self._models[key]
                gone = True
        if gone:
            give_back()

    def _missing(self, status: WeightsStatus) -> str:
        """Where weights should be, and how they come there."""
        canonical = _names(status.name)[-1]
        _, entry = self._place_of(status.name)
        ready = serving(canonical)
        if entry is not None:
            files = ", ".join(path for path, _, _ in entry.files)
            way = f"nuthatch weights --fetch {entry.name}; or put there by hand: {files}"
        elif any(each in self._places for each in _names(status.name)):
            way = f"expected config.json or model_index.json there, and files {', '.join(WEIGHTS)}"
        elif canonical not in LOADERS and ready:
            one = ready[0].name
            way = (
                f"nuthatch weights --fetch {one}, then Weights(folders={{'{canonical}': '{one}'}})"
            )
        else:
            way = f"train them with: {training_command(shown(canonical))}"
        return f"the weights '{shown(status.name)}' are not at {shown(status.path)}; {way}"


def _names(name: str) -> tuple[str, ...]:
    """A name, and behind it the one under which its weights are known."""
    return (name, ALIASES[name]) if name in ALIASES else (name,)


def _loader(name: str) -> str:
    canonical = _names(name)[-1]
    return LOADERS.get(canonical) or FULL_SIZE_LOADERS.get(canonical) or canonical


def _place(name: str, where: str | Path, home: str | Path | None) -> tuple[Path, Released | None]:
    """The folder that `where` means, and what was released there if it is a released name."""
    if isinstance(where, str) and where in RELEASED:
        entry = RELEASED[where]
        if _loader(entry.serves) != _loader(name):
            fitting = ", ".join(each.name for each in serving(_names(name)[-1])) or "none"
            raise ValueError(
                f"'{where}' is for '{entry.serves}', not '{shown(name)}'; for it: {fitting}"
            )
        return weights_folder(entry.name, home), entry
    path = Path(where).expanduser()
    if os.path.isfile(path):  # not so if the name is too long for any file
        raise ValueError(f"'{name}' is given the file {shown(path)}; give the folder that holds it")
    if isinstance(where, str) and not os.path.isdir(path) and path.name == where:
        try:
            released(where)
        except ToolUnavailable as unknown:
            raise ValueError(f"'{shown(where)}' is no folder, and {unknown.message}") from unknown
    return path, None


def _needs(name: str, package: str | None) -> str:
    extra = EXTRAS[_names(name)[-1]]
    return f"'{name}' needs a package that is missing ({package}): pip install 'nuthatch[{extra}]'"


def _call_loader(status: WeightsStatus, device: str) -> Any:
    name = status.name
    module, _, function = _loader(name).partition(":")
    if not function:
        raise ToolUnavailable(f"nobody knows how to load '{name}'; give it with: Weights.put")
    try:
        from safetensors import SafetensorError  # of a file that was cut off

        check_calibration(status)
        return getattr(import_module(module), function)(status.path, device)
    except ImportError as error:
        if (error.name or "").partition(".")[0] == "nuthatch":
            raise  # a bug of ours, no lack of a package
        raise ToolUnavailable(_needs(name, error.name), "dependency_missing") from error
    except (
        *(OSError, ValueError, KeyError, TypeError, RuntimeError, EOFError, MemoryError),
        *(SafetensorError, pickle.UnpicklingError),
    ) as error:
        if is_out_of_memory(error):
            raise ToolUnavailable(
                f"'{name}' ({status.bytes:,} bytes) does not fit in the memory of {device}",
                "out_of_memory",
            ) from error
        raise ToolUnavailable(
            f"the weights '{name}' at {shown(status.path)} cannot be loaded: {error}"
        ) from error
