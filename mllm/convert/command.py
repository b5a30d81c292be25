"""`nuthatch convert`: released files become a folder that `from_pretrained` reads."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.progress import track

from nuthatch.mllm.bridges.qformer import Sense
from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.convert.delta import apply_delta
from nuthatch.mllm.convert.released import LICENCES, System, convert
from nuthatch.mllm.convert.towers import SOURCES as TOWERS
from nuthatch.mllm.convert.towers import convert_tower
from nuthatch.mllm.presets import bubogpt, chatbridge, llava, llava_plus, minigpt4
from nuthatch.mllm.presets.names import by_reason

SYSTEMS: dict[str, System] = {
    "chatbridge": chatbridge,
    "bubogpt": bubogpt,
    "minigpt4": minigpt4,
    "llava": llava,
    "llava-plus": llava_plus,
}
DELTA = "vicuna-delta"
DELTA_SOURCES = ("base", "delta")


def sources_of(kind: str) -> tuple[str, ...]:
    """The names of the files that a conversion takes.

    Raises:
        ValueError: there is no such conversion.
    """
    if kind in SYSTEMS:
        return tuple(SYSTEMS[kind].SOURCES)
    if kind in TOWERS:
        return tuple(TOWERS[kind])
    if kind == DELTA:
        return DELTA_SOURCES
    known = ", ".join([*SYSTEMS, *TOWERS, DELTA])
    raise ValueError(f"given {kind!r}, expected one of {known}")


def run(
    kind: str,
    sources: Mapping[str, list[Path]],
    out: Path,
    *,
    sizes: Path | None = None,
    senses: Sequence[Sense] | None = None,
    any_language_model: bool = False,
    dtype: str | None = None,
) -> None:
    """Convert and say what was made of which files.

    Raises:
        ValueError: see `convert`, `convert_tower` and `apply_delta`.
        OSError: a file is not there, or the folder holds weights already.
    """
    expected = sources_of(kind)
    if wrong := [name for name in sources if name not in expected]:
        raise ValueError(f"{kind} takes {', '.join(expected)}, given {', '.join(wrong)}")
    precision = None if dtype is None else getattr(torch, dtype)
    if kind not in SYSTEMS and (senses or any_language_model):
        raise ValueError(f"--senses and --any-language-model are not for {kind}")
    if kind == DELTA:
        single = {name: paths[0] for name, paths in sources.items() if len(paths) == 1}
        if missing := [name for name in DELTA_SOURCES if name not in single]:
            raise ValueError(f"{kind} takes one base and one delta; {missing[0]} is not so")
        apply_delta(single["base"], single["delta"], out, dtype=precision, progress=_bar)
        print(LICENCES["language_model."])
        print(f"wrote {out}")
        return
    given_sizes = None if sizes is None else _sizes(sizes)
    if kind in TOWERS:
        dropped = convert_tower(
            kind, sources, out, sizes=given_sizes, dtype=precision, progress=_bar
        )
        for why, names in by_reason(dropped.items()).items():
            print(f"left out {len(names)}, such as {names[0]}: {why}")
        print(f"wrote {out}")
        return
    report = convert(
        SYSTEMS[kind],
        dict(sources),
        out,
        config=None if given_sizes is None else CoreConfig(**given_sizes),
        senses=senses,
        any_language_model=any_language_model,
        dtype=precision,
        progress=_bar,
    )
    for line in report.lines():
        print(line)
    print(f"wrote {out}")


def _sizes(path: Path) -> dict[str, Any]:
    try:
        sizes = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    if not isinstance(sizes, dict):
        raise ValueError(f"{path} holds no sizes by their names, such as a core's config.json")
    return sizes


def _bar(names: Iterable[str]) -> Iterable[str]:
    return track(list(names), description="tensors")
