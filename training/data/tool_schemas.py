"""Schemas of the tools that dialogues offer: those that the shipped planner is trained with."""

from functools import cache
from typing import Any

from nuthatch.tools.catalogue import all_tools, default_tools

Schema = dict[str, Any]

BESIDE = (
    *("ground", "describe", "caption_many", "read_text", "transcribe"),
    *("generate_image", "edit_image"),
)
"""Tools that are met less often. Draws count on the order: another one gives other dialogues."""


@cache
def schemas() -> dict[str, Schema]:
    """Tool name -> `{name, description, parameters}`, in the order that draws count on."""
    known = {schema["name"]: schema for schema in all_tools().schemas()}
    usual = [name for name in default_tools().names if name not in BESIDE]
    return {name: known[name] for name in (*BESIDE, *usual)}
