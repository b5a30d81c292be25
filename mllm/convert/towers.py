"""Released encoders alone become a folder of ours."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nuthatch.mllm.convert.reading import open_checkpoint
from nuthatch.mllm.convert.writing import write_sharded
from nuthatch.mllm.encoders.beats import Beats, BeatsConfig
from nuthatch.mllm.encoders.eva import Eva, EvaConfig
from nuthatch.mllm.presets.names import PLAIN, Dropped, Part, made, plan
from nuthatch.mllm.presets.parts import BEATS, EVA

SOURCES: dict[str, dict[str, tuple[Part | Dropped, ...]]] = {
    "beats": {"checkpoint": (Part(BEATS, "", ""),)},
    "eva": {
        "checkpoint": (Part(EVA, "", ""),),
        "blip2": (
            Part(PLAIN, "ln_vision.", "post_layernorm."),
            Part(PLAIN, "vision_model.", ""),
            Dropped("", "no part of the encoder"),
        ),
    },
}
"""Of each encoder its files: EVA's has its last norm in BLIP-2's; transformers' folder of BLIP-2
has all of it."""


def convert_tower(
    kind: str,
    sources: Mapping[str, str | Path | Sequence[str | Path]],
    out: str | Path,
    *,
    sizes: Mapping[str, Any] | None = None,
    dtype: torch.dtype | None = None,
    progress: Callable[[Iterable[str]], Iterable[str]] = iter,
) -> dict[str, str]:
    """Write `model.safetensors` and `config.json` of an encoder.

    Args:
        kind: "beats" or "eva".
        sources: its files, by the names in `SOURCES`.
        out: the folder to write.
        sizes: fields of its config, where they are not those released; BEATs' file says its own.
        dtype: what weights are converted to; as they are by default.
        progress: wraps the names while they are written, such as `tqdm`.

    Returns:
        The names left out and why.

    Raises:
        CheckpointError: a file is damaged.
        ValueError: another encoder, a source that is missing, or files that do not make it.
    """
    if kind not in SOURCES:
        raise ValueError(f"given {kind!r}, expected one of {', '.join(SOURCES)}")
    if not sources or sources.keys() - SOURCES[kind].keys():
        raise ValueError(
            f"given {kind} from {', '.join(sources) or 'nothing'}, expected "
            f"{' and '.join(SOURCES[kind])}"
        )
    given = {name: open_checkpoint(path) for name, path in sources.items()}
    plans = {name: plan(given[name].names(), SOURCES[kind][name]) for name in given}
    sizes = dict(sizes or {})
    fields = set(BeatsConfig.__dataclass_fields__ if kind == "beats" else EvaConfig().to_dict())
    if strange := sizes.keys() - fields:
        raise ValueError(f"given sizes {', '.join(sorted(strange))} that no {kind} has")
    tower: nn.Module
    with torch.device("meta"):
        if kind == "beats":
            config = BeatsConfig.from_released({**given["checkpoint"].config, **sizes})
            tower = Beats(config)
            settings = {"model_type": config.model_type, **asdict(config)}
        else:
            eva = EvaConfig(**sizes)
            tower, settings = Eva(eva), eva.to_dict()
    expected = {name: tuple(tensor.shape) for name, tensor in tower.state_dict().items()}
    made_of = {ours: name for name, planned in plans.items() for ours in planned.sources}
    missing, unknown = sorted(expected.keys() - made_of), sorted(made_of.keys() - expected.keys())
    if missing or unknown:
        absent = ", ".join(SOURCES[kind].keys() - sources.keys())
        raise ValueError(
            f"the files do not make {kind}: {len(missing)} tensors are missing"
            + (f", such as {', '.join(missing[:3])}" if missing else "")
            + f", {len(unknown)} are not known"
            + (f", such as {', '.join(unknown[:3])}" if unknown else "")
            + (f"; not given: {absent}" if missing and absent else "")
        )

    def tensors() -> Iterator[tuple[str, Tensor]]:
        for ours in progress(list(made_of)):
            source = made_of[ours]
            tensor = made(plans[source].sources[ours], given[source].read)
            if tensor.shape != expected[ours]:
                raise ValueError(
                    f"{ours} is {tuple(tensor.shape)}, expected {expected[ours]}: other sizes?"
                )
            yield ours, tensor

    write_sharded(out, tensors(), dtype=dtype, owned=True)
    text = json.dumps(settings, indent=1, default=str)
    (Path(out) / "config.json").write_text(text + "\n", encoding="utf-8")
    return {name: why for planned in plans.values() for name, why in planned.dropped.items()}
