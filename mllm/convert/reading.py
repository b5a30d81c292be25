"""Read released checkpoints tensor by tensor, whatever they are stored in.

Opening a file learns where each of its tensors lies: from the table of contents of a torch file
(a zip), from the header of a safetensors file. Reading copies the bytes of one tensor. Nothing is
mapped into memory: torch and safetensors map a file privately and writably, which Linux refuses for
a file larger than the machine's memory, and pages of a mapping count as memory in use.
"""

import json
import pickle
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

_SAFETENSORS_DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
}


class CheckpointError(ValueError):
    """A file is there but does not hold the weights it should; says which file and what to do."""


@dataclass(frozen=True)
class _Stored:
    """Where a tensor lies in its file; without an offset the file can only be loaded whole."""

    file: Path
    dtype: torch.dtype
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int | None  # bytes from the start of the file
    checksum: int = 0  # CRC-32 of the tensor's bytes, 0 where the file has none


class Checkpoint(Mapping[str, Tensor]):
    """Tensors by name, read when asked for; made by `open_checkpoint`.

    A mapping: `name in checkpoint`, `len(checkpoint)` and `checkpoint[name]` (the same as `read`)
    work, and iterating reads nothing. Only the tensors that the caller keeps are in memory, except
    for files in torch's format of before 2020, which are loaded whole, one at a time.

    Attributes:
        config: settings found with the weights: the dictionary `cfg` or `config` of a torch file,
            the `config.json` of a folder; of several files, later keys replace earlier ones. Empty
            where there are none.
        ignored: names at the top of torch files beside the weights and the settings, such as
            `optimizer`.
    """

    def __init__(
        self, stored: dict[str, _Stored], config: dict[str, Any], ignored: tuple[str, ...]
    ) -> None:
        self.config = config
        self.ignored = ignored
        self._stored = stored
        self._loaded: tuple[Path, dict[str, Tensor]] | None = None

    def __contains__(self, name: object) -> bool:
        return name in self._stored

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)

    def names(self) -> list[str]:
        """The names of all tensors, file by file."""
        return list(self._stored)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor, without reading it. Raises KeyError for an unknown name."""
        return self._stored[name].shape

    def dtype(self, name: str) -> torch.dtype:
        """Type of a tensor's elements, without reading it. Raises KeyError for an unknown name."""
        return self._stored[name].dtype

    def file(self, name: str) -> Path:
        """The file that holds a tensor. Raises KeyError for an unknown name."""
        return self._stored[name].file

    def read(self, name: str) -> Tensor:
        """A tensor on the CPU, contiguous, as stored; the caller's own, apart from the file.

        Raises:
            KeyError: there is no tensor of this name.
            CheckpointError: the file has become shorter since it was opened, or the bytes do not
                have the checksum that a torch file gives for a tensor that shares no memory.
        """
        stored = self._stored[name]
        if stored.offset is None:
            return self._load_whole(stored.file)[name].detach().clone().contiguous()
        if 0 in stored.shape:
            return torch.empty(stored.shape, dtype=stored.dtype)
        # NumPy's memory: torch's own is aligned, and glibc then wastes several tensors' worth.
        data = np.empty(_span(stored.shape, stored.stride) * stored.dtype.itemsize, np.uint8)
        with stored.file.open("rb") as file:
            file.seek(stored.offset)
            if file.readinto(data.data) != len(data):
                raise _damaged(stored.file, f"it ends before {name} does")
        if stored.checksum and zlib.crc32(data.data) != stored.checksum:
            raise _damaged(stored.file, f"the bytes of {name} do not have the checksum given there")
        elements = torch.from_numpy(data).view(stored.dtype)
        return elements.as_strided(stored.shape, stored.stride).contiguous()

    __getitem__ = read

    def _load_whole(self, path: Path) -> dict[str, Tensor]:
        if self._loaded is None or self._loaded[0] != path:
            self._loaded = None  # let go of one file before the next is loaded
            self._loaded = (path, _weights(path, _unpickle(path, "cpu"))[0])
        return self._loaded[1]


def open_checkpoint(path: str | Path | Sequence[str | Path]) -> Checkpoint:
    """Find out what a checkpoint holds, without reading the tensors.

    Args:
        path: a torch file (`.pth`, `.pt`, `.bin`; told by its content, not by its name), a
            safetensors file, or a folder with `model.safetensors` or `pytorch_model.bin`, whole or
            in shards with an index. Or several of these, of which later ones replace the tensors
            of earlier ones. In a torch file the weights may lie under `model` or `state_dict`.

    Raises:
        FileNotFoundError: the path, or a shard that an index names, is not there.
        CheckpointError: a file is damaged, is not a checkpoint, would run code when loaded, holds
            other things where tensors are expected, or contradicts the index.
    """
    paths = [path] if isinstance(path, str | Path) else list(path)
    if not paths:
        raise ValueError("given no path, expected at least one checkpoint")
    parts = [_open(Path(each)) for each in paths]
    if empty := [str(each) for each, part in zip(paths, parts, strict=True) if not part]:
        raise CheckpointError(f"{_some(empty)} holds no tensors; give a file or folder of weights")
    return _merged(parts)


def _merged(parts: Sequence[Checkpoint]) -> Checkpoint:
    stored: dict[str, _Stored] = {}
    config: dict[str, Any] = {}
    ignored: dict[str, None] = {}
    for part in parts:
        for name in part:
            stored.pop(name, None)  # so that a replaced tensor stands with the others of its file
        stored |= part._stored
        config |= part.config
        ignored |= dict.fromkeys(part.ignored)
    return Checkpoint(stored, config, tuple(ignored))


def _open(path: Path) -> Checkpoint:
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; give a checkpoint's file or folder")
    if path.is_dir():
        return _folder(path)
    return _shards(path) if path.name.endswith(".index.json") else _file(path)


def _folder(folder: Path) -> Checkpoint:
    whole = ("model.safetensors", "pytorch_model.bin")
    wanted = [folder / (name + end) for name in whole for end in ("", ".index.json")]
    found = [path for path in wanted if path.is_file()]
    if not found:
        held = _some(sorted(path.name for path in folder.iterdir())) or "nothing"
        raise FileNotFoundError(
            f"{folder} holds {held}; expected {' or '.join(path.name for path in wanted)}; if the "
            "weights have another name, give the file itself"
        )
    settings = folder / "config.json"
    config = _json(settings, settings.read_bytes()) if settings.is_file() else {}
    return _merged([_open(found[0]), Checkpoint({}, config, ())])


def _shards(index: Path) -> Checkpoint:
    """The shards that an index names; a tensor in two of them must be the same in both."""
    files = _json(index, index.read_bytes()).get("weight_map")
    if not isinstance(files, dict) or not all(isinstance(file, str) for file in files.values()):
        raise _damaged(index, "it has no weight_map from names to files")
    shards = sorted(set(files.values()))
    if absent := [shard for shard in shards if not (index.parent / shard).is_file()]:
        raise FileNotFoundError(
            f"{index} names {len(shards)} shards, and not beside it: {_some(absent)}; fetch these"
        )
    mixed = "these are not of one checkpoint: fetch all of them again"
    holders: dict[str, Checkpoint] = {}
    parts = [_file(index.parent / shard) for shard in shards]
    for shard, part in zip(shards, parts, strict=True):
        if lacking := [name for name, file in files.items() if file == shard and name not in part]:
            raise CheckpointError(f"{index} says that {shard} holds {_some(lacking)}; {mixed}")
        for name in part:
            holder = holders.setdefault(name, part)
            same_type = holder.dtype(name) == part.dtype(name)
            if not same_type or (holder is not part and not holder[name].equal(part[name])):
                raise CheckpointError(f"{holder.file(name)} and {shard} differ in {name}; {mixed}")
    return _merged(parts)


def _file(path: Path) -> Checkpoint:
    with path.open("rb") as file:
        head = file.read(512)
    _refuse_page_or_pointer(path, head)
    if head.startswith(b"PK"):
        return _zip_file(path)
    if head[8:9] == b"{":
        return _safetensors_file(path)
    if head.startswith(b"\x80"):  # the pickle of torch's format of before 2020
        weights, config, ignored = _weights(path, _unpickle(path, "cpu"))
        stored = {
            name: _Stored(path, tensor.dtype, tuple(tensor.shape), tensor.stride(), None)
            for name, tensor in weights.items()
        }
        return Checkpoint(stored, config, ignored)
    raise CheckpointError(
        f"{path} {f'begins with {head[:12]!r}' if head else 'is empty'}; expected a file of torch "
        "or of safetensors; if it was downloaded, fetch it again"
    )


def _safetensors_file(path: Path) -> Checkpoint:
    size = path.stat().st_size
    with path.open("rb") as file:
        start = 8 + int.from_bytes(file.read(8), "little")
        if start > size:
            raise _damaged(path, f"its header should have {start - 8:,} bytes")
        header = _json(path, file.read(start - 8))
    header.pop("__metadata__", None)
    stored: dict[str, _Stored] = {}
    end = 0
    for name, entry in header.items():
        try:
            dtype, shape = _SAFETENSORS_DTYPES[entry["dtype"]], tuple(entry["shape"])
            first, last = entry["data_offsets"]
            stride = torch.empty(shape, device="meta").stride()
            fits = first >= 0 and last - first == _span(shape, stride) * dtype.itemsize
        except (LookupError, RuntimeError, TypeError, ValueError):
            fits = False
        if not fits:
            raise _damaged(path, f"it describes {name} as {entry}, which is not understood")
        stored[name] = _Stored(path, dtype, shape, stride, start + first)
        end = max(end, last)
    if start + end != size:
        raise _damaged(path, f"it should have {start + end:,} bytes")
    return Checkpoint(stored, {}, ())


def _zip_file(path: Path) -> Checkpoint:
    records = _zip_records(path)
    weights, config, ignored = _weights(path, _unpickle(path, "meta"))
    stored: dict[str, _Stored] = {}
    for name, tensor in weights.items():
        shape, stride, itemsize = tuple(tensor.shape), tensor.stride(), tensor.dtype.itemsize
        record = getattr(tensor.untyped_storage(), "_checkpoint_offset", None)
        if record is None:
            raise RuntimeError("this torch does not say where tensors lie; install a newer one")
        size, crc = records.get(record, (-1, 0))
        first, length = tensor.storage_offset() * itemsize, _span(shape, stride) * itemsize
        if first + length > size:
            raise _damaged(path, f"{name} lies outside of what it holds")
        checksum = crc if length == size else 0  # it is that of the whole record
        stored[name] = _Stored(path, tensor.dtype, shape, stride, record + first, checksum)
    return Checkpoint(stored, config, ignored)


def _zip_records(path: Path) -> dict[int, tuple[int, int]]:
    """Where the data of each member of a torch file begins, to its size in bytes and its CRC-32."""
    records: dict[int, tuple[int, int]] = {}
    order: str = sys.byteorder
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            for member in members:
                file.seek(member.header_offset + 26)
                name_length, extra_length = struct.unpack("<HH", file.read(4))
                start = member.header_offset + 30 + name_length + extra_length
                records[start] = (member.file_size, member.CRC)
                if member.filename.endswith("/byteorder"):
                    file.seek(start)  # not by `archive`, which insists on a checksum
                    order = file.read(member.file_size).decode()
    except (zipfile.BadZipFile, struct.error, NotImplementedError, OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    names = [member.filename for member in members]
    if any(name.endswith("/constants.pkl") for name in names):
        raise _would_run_code(path, "a TorchScript program")
    packed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
    if packed or not any(name.endswith("/data.pkl") for name in names):
        raise CheckpointError(
            f"{path} is a {'compressed ' if packed else ''}zip of {_some(names)}, expected one "
            "that torch wrote; unpack it and give the checkpoint inside"
        )
    if order != sys.byteorder:  # torch crashes when it is to swap bytes that it does not read
        raise CheckpointError(f"{path} holds {order}-endian numbers; convert it on such a machine")
    return records


def _unpickle(path: Path, device: str) -> object:
    """What `torch.save` was given, its tensors on a device; "meta" reads none of them."""
    try:
        with path.open("rb") as file:  # a path that ends in .safetensors would be read as such
            return torch.load(file, map_location=device, weights_only=True)
    except (pickle.UnpicklingError, struct.error, AttributeError) as error:
        if refused := re.search(r"GLOBAL (\S+)", str(error)):
            raise _would_run_code(path, refused[1]) from None
        raise _damaged(path, "its pickle cannot be understood") from error
    except NotImplementedError as error:
        raise CheckpointError(
            f"{path} holds sparse or quantized tensors; save plain ones"
        ) from error
    except (AssertionError, EOFError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise _damaged(path, str(error).partition("\n")[0] or repr(error)) from error


def _weights(path: Path, top: object) -> tuple[dict[str, Tensor], dict[str, Any], tuple[str, ...]]:
    """The tensors by name, the settings beside them, and the names of everything else."""
    expected = "expected a dictionary of tensors, or one under 'model' or 'state_dict'"
    if not isinstance(top, dict):
        raise CheckpointError(f"{path} holds a {type(top).__name__}; {expected}")
    nested = [key for key in ("model", "state_dict") if isinstance(top.get(key), dict)]
    if len(nested) == 2:
        raise CheckpointError(f"{path} has both 'model' and 'state_dict'; save one of them apart")
    weights = top[nested[0]] if nested else top
    wrong = [
        f"{name!r} ({type(value).__name__})"
        for name, value in weights.items()
        if not (isinstance(name, str) and isinstance(value, Tensor))
        or value.layout != torch.strided
        or value.is_quantized
    ]
    if wrong:
        raise CheckpointError(f"{path} holds {_some(wrong)}: no plain tensors; {expected}")
    others = {key: value for key, value in top.items() if key not in nested} if nested else {}
    config: dict[str, Any] = {}
    for key in ("cfg", "config"):
        if isinstance(others.get(key), dict):
            config |= others.pop(key)
    return weights, config, tuple(map(str, others))


def _json(path: Path, text: bytes) -> dict[str, Any]:
    """A JSON object, of a file or of a part of it, in which no name occurs twice."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            names = [name for name, _ in pairs]
            raise _damaged(path, f"it gives {max(names, key=names.count)} twice")
        return result

    _refuse_page_or_pointer(path, text[:512])
    try:
        parsed = json.loads(text, object_pairs_hook=once)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(parsed, dict):
        raise CheckpointError(f"{path} holds a JSON {type(parsed).__name__}, expected an object")
    return parsed


def _refuse_page_or_pointer(path: Path, head: bytes) -> None:
    if head.startswith(b"version https://git-lfs"):
        raise CheckpointError(
            f"{path} is a Git LFS pointer, not the file it stands for; run `git lfs pull` beside it"
        )
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise CheckpointError(
            f"{path} is a web page (of a login, a warning or an error: an editor shows which) that "
            "was saved in place of the file; fetch the file itself"
        )


def _damaged(path: Path, what: str) -> CheckpointError:
    size = path.stat().st_size
    return CheckpointError(
        f"{path} ({size:,} bytes) is cut short or damaged: {what}; fetch it again"
    )


def _would_run_code(path: Path, what: str) -> CheckpointError:
    return CheckpointError(
        f"{path} holds {what}, not only tensors: loading it would run code, so it is not read; ask "
        "for it as safetensors, or save its tensors anew on a machine where it may run"
    )


def _span(shape: tuple[int, ...], stride: tuple[int, ...]) -> int:
    """Elements from the first to the last of a tensor, both counted."""
    axes = zip(shape, stride, strict=True)
    return 0 if 0 in shape else 1 + sum((size - 1) * step for size, step in axes)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
