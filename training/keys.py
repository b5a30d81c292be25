"""The settings of every training stage, with their values and meanings: for `train --help`."""

import textwrap
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter

from nuthatch.training.train import CORE, PERCEPTION, RECIPES

WIDTH = 100
COLUMN = 30
"""Where meanings begin; behind a longer setting they begin on the next line."""


def describe(stage: str | None = None, only: str | None = None, out: Path = Path("runs")) -> str:
    """All settings of one stage, or of all, each with the value of its recipe and its meaning.

    Args:
        stage, only: as `nuthatch train` takes them; None, or names of no stage, show all.
        out: the run folder.
    """
    stages = [*PERCEPTION.values(), *CORE.values()]
    if stage == "perceive" and only is None:
        stages = list(PERCEPTION.values())
    chosen = [each for each in stages if each.name in (stage, only)] or stages
    inner: dict[type, Any] = {}  # dataclasses inside of recipes, each explained once
    texts = []
    for each in chosen:
        settings = each.settings(out, [])
        values = (getattr(settings, field.name) for field in fields(settings))
        inner |= {type(value): value for value in values if is_dataclass(value)}
        heading = f"{each.options}  (recipe {(RECIPES / each.file).name})"
        texts.append("\n".join([heading, *_keys(settings)]))
    for kind, value in inner.items():
        heading = f"inside of {kind.__name__.lower()}: {' '.join((kind.__doc__ or '').split())}"
        texts.append("\n".join([heading, *_keys(value, with_values=False)]))
    return "\n\n".join(texts)


def _keys(settings: Any, *, with_values: bool = True) -> Iterator[str]:
    """Each field with its meaning beside it, or below where there is no room."""
    schema = TypeAdapter(type(settings)).json_schema()["properties"]
    for field in fields(settings):
        value = f"={_written(getattr(settings, field.name))}" if with_values else ""
        setting = f"  {field.name}{value}"
        meaning = " ".join(schema[field.name].get("description", "").split())
        fits = len(setting) <= COLUMN - 2
        if not fits:
            yield setting
        first = f"{setting:<{COLUMN}}" if fits else " " * COLUMN
        rest = " " * COLUMN
        yield textwrap.fill(meaning, WIDTH, initial_indent=first, subsequent_indent=rest)


def _written(value: Any) -> str:
    """As it is written behind KEY=, and in a recipe."""
    flow = yaml.safe_dump([_plain(value)], default_flow_style=True, width=10**6, sort_keys=False)
    return flow.strip()[1:-1]


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value
