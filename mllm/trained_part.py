"""The trained part of a core alone, and which base it belongs to.

ChatBridge trains 110 million of 14 billion parameters; a checkpoint of those is 0.4 GB and not 30.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from nuthatch.mllm.core import Core

WEIGHTS, MANIFEST = "trained.safetensors", "manifest.json"
SAMPLES = 64
"""Values of a tensor that a fingerprint looks at."""


def save_trained(core: Core, folder: str | Path, base: str = "") -> None:
    """Write the parameters that require gradients, and a manifest of the others.

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
    manifest = {
        "base": base,
        "base_fingerprint": fingerprint(core, trained.keys()),
        "trained": sorted(trained),
        "parameters": sum(p.numel() for p in trained.values()),
    }
    text = json.dumps(manifest, indent=1)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def load_trained(core: Core, folder: str | Path) -> None:
    """Put what `save_trained` wrote into a core of the same base.

    Raises:
        FileNotFoundError: the folder holds no trained part.
        ValueError: the core's other weights are not those that the part was trained with, or the
            part does not fit.
    """
    folder = Path(folder)
    if not (folder / MANIFEST).is_file():
        raise FileNotFoundError(f"no {MANIFEST} in {folder}; save_trained writes it")
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    weights = load_file(folder / WEIGHTS)
    parameters = dict(core.named_parameters())
    wrong = [
        name
        for name, value in weights.items()
        if name not in parameters or parameters[name].shape != value.shape
    ]
    if wrong or sorted(weights) != manifest["trained"]:
        raise ValueError(
            f"{folder}: {len(wrong)} of {len(weights)} trained tensors do not fit this core, such "
            f"as {', '.join(wrong[:3])}; expected a core of the same sizes"
        )
    if fingerprint(core, weights.keys()) != manifest["base_fingerprint"]:
        raise ValueError(
            f"{folder} was trained on other weights ({manifest['base'] or 'not named'}) than this "
            "core has; load that base first"
        )
    with torch.no_grad():
        for name, value in weights.items():
            parameters[name].copy_(value)


def fingerprint(core: Core, without: Iterable[str] = ()) -> str:
    """A hash of the names, the shapes and some values of all other parameters and buffers.

    Values count in bfloat16, so that the precision of loading does not matter.
    """
    left_out = set(without)
    digest = hashlib.sha256()
    for name, tensor in sorted(core.state_dict().items()):
        if name in left_out or name.endswith("lm_head.weight"):  # may be the embedding once more
            continue
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(_some(tensor))
    return digest.hexdigest()


def _some(tensor: Tensor) -> bytes:
    flat = tensor.detach().flatten()
    places = torch.linspace(0, len(flat) - 1, min(SAMPLES, len(flat))).long()
    values = flat[places.to(flat.device)].cpu().to(torch.bfloat16)
    return values.view(torch.int16).numpy().tobytes()
