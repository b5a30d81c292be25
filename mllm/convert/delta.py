"""Weights published as what is to be added to others, such as Vicuna's (v0 and v1.1)."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from nuthatch.mllm.convert.reading import open_checkpoint
from nuthatch.mllm.convert.writing import write_sharded

SHARD_BYTES = 500_000_000
BESIDE = ("config.json", "generation_config.json", "tokenizer*", "special_tokens_map.json")


def apply_delta(
    base: str | Path,
    delta: str | Path,
    out: str | Path,
    *,
    dtype: torch.dtype | None = None,
    progress: Callable[[Iterable[str]], Iterable[str]] = iter,
) -> None:
    """Write base + delta as shards, in the precision of the delta, summed in float32.

    Where the delta has more rows (new tokens), its own rows are the weights.

    Args:
        base: file or folder of the weights that the delta was made for.
        delta: file or folder of the differences.
        out: the folder to write; the delta's config and tokenizer are copied into it.
        dtype: what weights are converted to.
        progress: wraps the names while they are written, such as `tqdm`.

    Raises:
        CheckpointError: a file is damaged.
        ValueError: names or shapes do not fit.
    """
    old, new = open_checkpoint(base), open_checkpoint(delta)
    buffers = {name for name in old if name.endswith("inv_freq")}
    if wrong := (set(old) - buffers) ^ {name for name in new if not name.endswith("inv_freq")}:
        raise ValueError(
            f"{len(wrong)} names are in one of base and delta only, such as "
            f"{', '.join(sorted(wrong)[:5])}; are both of the same model and size?"
        )

    def tensors() -> Iterator[tuple[str, Tensor]]:
        for name in progress([name for name in new.names() if not name.endswith("inv_freq")]):
            theirs, added = old.read(name), new.read(name)
            rows = len(theirs)
            if theirs.shape[1:] != added.shape[1:] or rows > len(added):
                raise ValueError(
                    f"{name} is {tuple(theirs.shape)} in base and {tuple(added.shape)} in delta"
                )
            whole = added.float()
            whole[:rows] += theirs.float()
            yield name, whole.to(added.dtype)

    write_sharded(out, tensors(), max_shard_bytes=SHARD_BYTES, dtype=dtype, owned=True)
    folder = Path(delta) if Path(delta).is_dir() else Path(delta).parent
    for pattern in BESIDE:
        for file in folder.glob(pattern):
            shutil.copyfile(file, Path(out) / file.name)
