"""Models in folders that transformers wrote, read strictly."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

WEIGHTS = ("*.safetensors", "pytorch_model*.bin")


def read(kind: Any, folder: Path, device: str, *, needs: Sequence[str] = ()) -> Any:
    """A model of this class of transformers in float32, ready to be used.

    Args:
        kind: the class, e.g. `CLIPModel`.
        folder: with `config.json` and the weights, as safetensors or `pytorch_model.bin`.
        device: where it is put.
        needs: names of other files that must be there.

    Raises:
        FileNotFoundError: a file is missing.
        RuntimeError: weights and configuration do not fit each other.
    """
    import torch

    missing = [name for name in ("config.json", *needs) if not (folder / name).is_file()]
    if not any(True for pattern in WEIGHTS for _ in folder.glob(pattern)):
        missing.append("model.safetensors")
    if missing:
        raise FileNotFoundError(f"{folder} lacks {', '.join(missing)}")
    model, report = kind.from_pretrained(
        folder,
        local_files_only=True,
        dtype=torch.float32,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # reported like the rest, and refused here
    )
    wrong = {problem: sorted(map(str, names)) for problem, names in report.items() if names}
    if wrong:
        raise RuntimeError(f"weights and configuration at {folder} do not fit: {wrong}")
    return model.eval().to(device)


def tokenizer(folder: Path) -> Any:
    """The tokenizer of a folder.

    Raises:
        OSError, ValueError: it is missing or broken.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError):
        raise
    except Exception as error:  # what the tokenizers library raises has no type of its own
        raise ValueError(f"the tokenizer in {folder} cannot be read: {error}") from error


def image_processor(folder: Path) -> Any:
    """What scales and normalises pictures for a model, by `preprocessor_config.json`.

    Raises:
        OSError, ValueError: it is missing or broken.
    """
    from transformers import AutoImageProcessor

    return AutoImageProcessor.from_pretrained(folder, local_files_only=True, backend="pil")


def digest(folder: Path, *others: str) -> str:
    """First digits of the SHA-256 over the weights, and over other files by name where they are."""
    paths = [path for pattern in WEIGHTS for path in folder.glob(pattern)]
    paths += [folder / name for name in others if (folder / name).is_file()]
    whole = hashlib.sha256()
    for path in sorted(paths):
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()[:12]
