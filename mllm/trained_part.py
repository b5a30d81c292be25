"""The trained part of a core alone, and which base it belongs to.

ChatBridge trains 110 million of 14 billion parameters; a checkpoint of those is 0.4 GB and not 30.
Some values of all others go with it, under 1 MB, so that it is not put onto another base.

Example: `examples/trained_part.py`.
"""

from collections.abc import Iterable
from pathlib import Path

import torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from nuthatch.mllm.core import Core

WEIGHTS, BASE, MANIFEST = "trained.safetensors", "base.safetensors", "manifest.json"
SAMPLES = 64
"""Values of a tensor that a fingerprint holds."""
ROUNDING = 2.0**-8 + 2.0**-10
"""How far two roundings of one value may be apart, as a part of it: bfloat16 rounds by up to 2**-8,
float16 by 2**-11."""
SMALLEST = 2.0**-24
"""The same for values near 0, where this is the step of float16."""


class Manifest(BaseModel):
    """What a folder says of the part that it holds."""

    base: str
    """Where the other weights come from, for people."""
    trained: list[str]
    parameters: int


def save_trained(core: Core, folder: str | Path, base: str = "") -> None:
    """Write the parameters that require gradients, and a fingerprint of the others.

    Args:
        core: the core after training.
        folder: where to write.
        base: where the other weights come from, for people.

    Raises:
        ValueError: nothing in the core is trained.
    """
    trained = {name: p for name, p in core.named_parameters() if p.requires_grad}
    if not trained:
        raise ValueError("no parameter requires gradients; see Core.train_only")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_file({n: p.detach().cpu().contiguous() for n, p in trained.items()}, folder / WEIGHTS)
    save_file(fingerprint(core, trained), folder / BASE)
    numbers = sum(p.numel() for p in trained.values())
    manifest = Manifest(base=base, trained=sorted(trained), parameters=numbers)
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")


def load_trained(core: Core, folder: str | Path) -> None:
    """Put what `save_trained` wrote into a core of the same base, in the core's own precision.

    The base may be loaded in float32, bfloat16 or float16, whatever it was when the part was saved.
    Of each of its tensors the name, the shape and 64 values are compared, and what differs by more
    than such roundings is another base. Weights that were changed in other places only, or by less
    than half a percent, are not told apart.

    Raises:
        FileNotFoundError: the folder holds no trained part, or not all of it.
        ValueError: the core's other weights are not those that the part was trained with, the part
            does not fit, or a file is damaged.
    """
    folder = Path(folder)
    manifest = _manifest(folder)
    weights, base = _tensors(folder / WEIGHTS), _tensors(folder / BASE)
    parameters = dict(core.named_parameters())
    wrong = [
        name
        for name, value in weights.items()
        if name not in parameters or parameters[name].shape != value.shape
    ]
    if wrong:
        raise ValueError(
            f"{folder}: {len(wrong)} of {len(weights)} trained tensors do not fit this core, such "
            f"as {', '.join(wrong[:3])}; expected a core of the same sizes"
        )
    if sorted(weights) != manifest.trained:
        raise ValueError(
            f"{folder}: {WEIGHTS} holds {len(weights)} tensors, and not the "
            f"{len(manifest.trained)} that {MANIFEST} names; save the part again, or copy the "
            "folder as a whole"
        )
    ours = fingerprint(core, weights)
    other = sorted(
        name for name in base.keys() | ours.keys() if not _alike(base.get(name), ours.get(name))
    )
    if other:
        raise ValueError(
            f"{folder} was trained on other weights ({manifest.base or 'not named'}) than this "
            f"core has: {len(other)} tensors differ, such as {', '.join(other[:3])}; load that "
            "base first"
        )
    with torch.no_grad():
        for name, value in weights.items():
            parameters[name].copy_(value)


def fingerprint(core: Core, without: Iterable[str] = ()) -> dict[str, Tensor]:
    """By name and shape, up to 64 values of each of all other parameters and buffers, (values,).

    They are as precise as the core was loaded, in float32; `load_trained` allows for that.
    """
    left_out = set(without)
    if core.config.text_config.tie_word_embeddings:  # then it is the embedding once more
        left_out.add("language_model.lm_head.weight")
    return {
        f"{name} {tuple(tensor.shape)}": _some(tensor)
        for name, tensor in core.state_dict().items()
        if name not in left_out
    }


def _some(tensor: Tensor) -> Tensor:
    flat = tensor.detach().flatten()
    number = min(SAMPLES, len(flat))
    places = torch.arange(number) * (len(flat) - 1) // max(number - 1, 1)  # exact at any size
    return flat[places.to(flat.device)].float().cpu()


def _alike(one: Tensor | None, other: Tensor | None) -> bool:
    """Whether these may be the same values in different precisions."""
    if one is None or other is None or one.shape != other.shape:
        return False
    return torch.allclose(one, other, rtol=ROUNDING, atol=SMALLEST, equal_nan=True)


def _manifest(folder: Path) -> Manifest:
    file = folder / MANIFEST
    if not file.is_file():
        raise FileNotFoundError(f"no {MANIFEST} in {folder}; save_trained writes it")
    try:
        return Manifest.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise ValueError(
            f"{file} is no manifest of a trained part ({error.error_count()} faults, the first: "
            f"{error.errors()[0]['msg']}); save the part again, or copy the folder as a whole"
        ) from error


def _tensors(file: Path) -> dict[str, Tensor]:
    if not file.is_file():
        raise FileNotFoundError(f"no {file.name} in {file.parent}; save_trained writes it")
    try:
        return load_file(file)
    except SafetensorError as error:
        raise ValueError(
            f"{file} is damaged or cut off ({error}); save the part again, or copy the folder as a "
            "whole"
        ) from error
