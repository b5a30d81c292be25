"""Cached results of tools, by what they depend on.

A result is known by the tool and its version, the hashes of its weights, its arguments after
defaults, and the contents behind the handles among them. Handles are names of one conversation, so
they are taken out of what is kept, and those of the calling conversation are put in: a picture that
comes back under another handle is known as well.
"""

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from copy import copy, deepcopy
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import BaseModel


class ResultCache:
    """The latest results of tools that say `caches = True`, in memory. Thread-safe."""

    def __init__(self, most: int = 4096) -> None:
        self.hits = 0
        self._most = most
        self._kept: OrderedDict[str, BaseModel] = OrderedDict()
        self._lock = threading.Lock()

    @staticmethod
    def key(
        tool: str,
        version: str,
        models: Mapping[str, str],
        arguments: Mapping[str, Any],
        inputs: Mapping[str, str],
    ) -> str:
        """The name of a result.

        Args:
            models: hashes of the weights, by their name.
            arguments: after defaults, in types that JSON knows.
            inputs: of each handle among them the hash of its content, in order of appearance.
        """
        parts = [tool, version, models, _named(arguments, inputs)]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def get(self, key: str, inputs: Mapping[str, str]) -> BaseModel | None:
        """The result of this key with the handles of `inputs`, or None."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            self.hits += 1
            kept = self._kept[key]
        handles = {name: handle for handle, name in _names(inputs).items()}
        found: BaseModel = _replaced(kept, handles)
        return found

    def put(self, key: str, value: BaseModel, inputs: Mapping[str, str]) -> None:
        """Keep a result that was made of these inputs."""
        kept = _named(value, inputs)
        with self._lock:
            self._kept[key] = kept
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)


def _names(inputs: Mapping[str, str]) -> dict[str, str]:
    """Of each handle a name by its content; numbered, since two may name the same content."""
    return {
        handle: f"content {number} {sha256}"
        for number, (handle, sha256) in enumerate(inputs.items())
    }


def _named(value: Any, inputs: Mapping[str, str]) -> Any:
    """The same with contents in the place of handles."""
    return _replaced(value, _names(inputs))


def _replaced(value: Any, names: Mapping[str, str]) -> Any:
    """A copy of a result or of a part of one, of the same types, with some texts replaced."""
    if isinstance(value, str) and type(value) is str:
        return names.get(value, value)
    if isinstance(value, BaseModel):
        parts = {name: _replaced(part, names) for name, part in value}
        return value.model_copy(update=parts)
    if is_dataclass(value) and not isinstance(value, type):
        copied = copy(value)
        for each in fields(value):
            part = _replaced(getattr(value, each.name), names)
            object.__setattr__(copied, each.name, part)  # frozen ones too
        return copied
    if type(value) is dict:
        return {_replaced(name, names): _replaced(part, names) for name, part in value.items()}
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(_replaced(part, names) for part in value)
    return deepcopy(value)
