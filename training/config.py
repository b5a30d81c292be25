"""Recipes: a YAML file, then `key=value` from the command line, into one checked dataclass.

`schedule.steps=100` changes one setting inside another.

An unknown key is an error that names the nearest known one; a setting has its type, default and
meaning in one place, the dataclass of the recipe: the text under a field says what it means, and
`nuthatch train --help` shows it.
"""

import difflib
from collections.abc import Collection, Iterable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

ConfigT = TypeVar("ConfigT")


class Settings:
    """Base of dataclasses of settings: the text under a field is its description."""

    __pydantic_config__ = ConfigDict(use_attribute_docstrings=True)


class ConfigError(ValueError):
    """A recipe that cannot be used; the message says which key, and what was expected."""


def load_config(cls: type[ConfigT], recipe: Path | None, overrides: list[str]) -> ConfigT:
    """Build `cls` (a dataclass) from a YAML file, then from `key=value` overrides.

    Raises:
        ConfigError: the file is missing or no mapping, a key is unknown, or a value has the
            wrong type.
    """
    values: dict[str, object] = {}
    if recipe is not None:
        if not recipe.is_file():
            raise ConfigError(f"no recipe at {recipe}; see training/recipes for those that exist")
        loaded = _yaml(recipe.read_text(encoding="utf-8"), str(recipe)) or {}
        if not isinstance(loaded, dict):
            raise ConfigError(
                f"{recipe} holds a {type(loaded).__name__}, expected key: value lines"
            )
        values.update(loaded)
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise ConfigError(f"'{override}' is no setting; write key=value")
        _set(values, key, _yaml(value, key))

    _check_keys(cls, values)
    try:
        return TypeAdapter(cls).validate_python(values)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise ConfigError(f"{where}: {fault['msg']} (given {fault['input']!r})") from error


def check_known(keys: Iterable[str], known: Collection[str], within: str = "") -> None:
    """Refuse a key that is not known; `within` is what stands before it, such as `shares.`.

    Raises:
        ConfigError: it names the nearest known key.
    """
    for key in keys:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
            raise ConfigError(f"unknown setting '{within}{key}'; {hint}")


def _yaml(text: str, where: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where}: {text!r} is no YAML: {error}") from error


def _check_keys(cls: type, values: dict[str, object], within: str = "") -> None:
    """Refuse keys that are no field of the dataclass, nor of the dataclasses inside it."""
    types = get_type_hints(cls)
    check_known(values, [field.name for field in fields(cls)], within)
    for key, value in values.items():
        if is_dataclass(types[key]) and isinstance(value, dict):
            _check_keys(types[key], value, f"{within}{key}.")


def _set(values: dict[str, object], key: str, value: object) -> None:
    """Set `key`; in `outer.inner`, `inner` within the mapping `outer`. Known keys may hold dots."""
    outer, dot, inner = key.partition(".")
    if not dot or key in values:
        values[key] = value
        return
    within = values.get(outer)
    values[outer] = within = dict(within) if isinstance(within, dict) else {}
    _set(within, inner, value)
