"""Write weights shard by shard, as safetensors with the index that transformers reads."""

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

INDEX = "model.safetensors.index.json"


def write_sharded(
    folder: str | Path,
    tensors: Iterable[tuple[str, Tensor]],
    *,
    max_shard_bytes: int = 5_000_000_000,
    metadata: Mapping[str, str] | None = None,
    dtype: torch.dtype | None = None,
    allow_non_finite: bool = False,
    owned: bool = False,
) -> dict[str, Any]:
    """Write tensors, in the order in which they come, and at last the index.

    In memory are the tensors of one shard and the one that came last. The files get their names
    when all are written, the index last: a run that is killed leaves the subfolder `unfinished`,
    which the next run replaces.

    Args:
        folder: where to write; made where it is missing.
        tensors: names and tensors. Each is copied when it comes, so that tensors may share memory
            or be overwritten.
        max_shard_bytes: a new shard begins where the next tensor would take the shard beyond this;
            a single tensor may be larger.
        metadata: kept in the index and in every shard.
        dtype: what floating-point tensors are converted to; None leaves them as they are, and
            other tensors stay as they are.
        allow_non_finite: write NaN and infinity too.
        owned: the tensors are given away: one that lies alone in its memory is not copied.

    Returns:
        The index: `weight_map` from names to files, and `metadata` with `total_size` in bytes. It
        is written as `model.safetensors.index.json`, unless all fits in `model.safetensors`.

    Raises:
        FileExistsError: the folder holds weights already.
        ValueError: a name came twice, a tensor holds NaN or infinity (from the start, or because
            the type it was converted to cannot hold its values), or no tensor came.
    """
    if max_shard_bytes < 1:
        raise ValueError(f"max_shard_bytes is {max_shard_bytes}, expected 1 or more")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if there := sorted(path.name for path in folder.glob("model*.safetensors*")):
        raise FileExistsError(
            f"{folder} holds {', '.join(there[:5])} already; delete them or give another folder"
        )
    unfinished = folder / "unfinished"
    if unfinished.exists():
        shutil.rmtree(unfinished)
    unfinished.mkdir()
    try:
        header = {"format": "pt", **(metadata or {})}
        shards, size = _write_shards(
            unfinished, _checked(tensors, dtype, allow_non_finite, owned), max_shard_bytes, header
        )
        weight_map: dict[str, str] = {}
        for number, names in enumerate(shards, start=1):
            several = f"-{number:05}-of-{len(shards):05}" if len(shards) > 1 else ""
            file = f"model{several}.safetensors"
            shard = _shard(unfinished, number)
            shard.chmod(0o644)  # safetensors writes for the owner alone
            shard.rename(folder / file)
            weight_map |= dict.fromkeys(names, file)
        index = {"metadata": {"total_size": size, **(metadata or {})}, "weight_map": weight_map}
        if len(shards) > 1:
            draft = unfinished / INDEX
            draft.write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
            draft.rename(folder / INDEX)
        return index
    finally:
        shutil.rmtree(unfinished)


def _write_shards(
    folder: Path, tensors: Iterable[tuple[str, Tensor]], max_bytes: int, header: dict[str, str]
) -> tuple[list[list[str]], int]:
    """Write numbered shards; the names in each, and the bytes of all tensors."""
    shards: list[list[str]] = []
    shard: dict[str, Tensor] = {}
    shard_bytes = total = 0
    for name, tensor in tensors:
        if shard and shard_bytes + tensor.nbytes > max_bytes:
            save_file(shard, _shard(folder, len(shards) + 1), header)
            shards.append(list(shard))
            shard, shard_bytes = {}, 0
        shard[name] = tensor
        shard_bytes += tensor.nbytes
        total += tensor.nbytes
    if not shard:
        raise ValueError("given no tensors, expected at least one")
    save_file(shard, _shard(folder, len(shards) + 1), header)
    return [*shards, list(shard)], total


def _checked(
    tensors: Iterable[tuple[str, Tensor]],
    dtype: torch.dtype | None,
    allow_non_finite: bool,
    owned: bool,
) -> Iterable[tuple[str, Tensor]]:
    """Each tensor as it is to be written: a contiguous copy on the CPU, of a new name, finite."""
    seen: set[str] = set()
    for name, tensor in tensors:
        if name in seen:
            raise ValueError(f"the name {name} came twice, expected every tensor once")
        seen.add(name)
        target = dtype if dtype and tensor.is_floating_point() else tensor.dtype
        # Even where nothing changes: a view would hold on to all of what it looks at.
        alone = tensor.untyped_storage().nbytes() == tensor.nbytes and tensor.is_contiguous()
        copy = tensor.detach().to(
            "cpu", target, copy=not (alone and owned), memory_format=torch.contiguous_format
        )
        if not (allow_non_finite or _is_finite(copy)):
            cause = f"does not fit in {dtype}" if _is_finite(tensor) else "holds NaN or infinity"
            raise ValueError(
                f"{name} {cause}, expected finite numbers; "
                "take another dtype for the former, allow_non_finite=True if the latter is meant"
            )
        yield name, copy


def _is_finite(tensor: Tensor) -> bool:
    # Piece by piece, since torch.isfinite makes several copies.
    return all(bool(piece.isfinite().all()) for piece in tensor.flatten().split(1 << 20))


def _shard(folder: Path, number: int) -> Path:
    return folder / f"{number:05}.safetensors"
