"""Devices: which there are, how much memory models take, and whether an error says it ran out."""

import errno
import gc
import os
import sys
from functools import cache
from pathlib import Path

from nuthatch.messages import shown
from nuthatch.tools.faults import ToolUnavailable, described

PROCESSOR_SHARE = 0.5
GPU_SHARE = 0.8
"""What models may take of a device's memory; the rest is for what they compute with."""
_NO_MEMORY = ("can't allocate memory", "_STATUS_ALLOC_FAILED")  # torch on processors, its libraries


def footprint(model: object) -> dict[str, int]:
    """Bytes of the parameters and buffers of a loaded model, by device; empty: none were found.

    Looks into the model's attributes, since a back end wraps its network; shared tensors count
    once.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return {}
    seen: set[int] = set()
    counted: set[int] = set()
    sizes: dict[str, int] = {}

    def visit(thing: object, depth: int) -> None:
        if id(thing) in seen or depth > 4:
            return
        seen.add(id(thing))
        if isinstance(thing, torch.nn.Module):
            for tensor in (*thing.parameters(), *thing.buffers()):
                if tensor.layout is not torch.strided:  # Whisper's sparse mask of heads: no storage
                    continue
                storage = tensor.untyped_storage()
                if storage.data_ptr() not in counted:
                    counted.add(storage.data_ptr())
                    device = str(tensor.device)
                    sizes[device] = sizes.get(device, 0) + storage.nbytes()
        elif isinstance(thing, dict):
            for value in thing.values():
                visit(value, depth + 1)
        elif isinstance(thing, list | tuple):
            for value in thing:
                visit(value, depth + 1)
        else:
            visit(getattr(thing, "__dict__", {}), depth)

    visit(model, 0)
    return sizes


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, whoever raised it."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True  # the latter is torch's, for every kind of GPU
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(w in described(error) for w in _NO_MEMORY)


def roomiest_gpu() -> tuple[str, int]:
    """The GPU with most free memory, and how much; "": there is none."""
    try:
        import torch
    except ImportError:
        return "", 0
    if not torch.cuda.is_available():
        return "", 0
    free = {f"cuda:{i}": torch.cuda.mem_get_info(i)[0] for i in range(torch.cuda.device_count())}
    return max(free.items(), key=lambda item: item[1])


@cache
def budget(device: str) -> int:
    """Bytes of a device that models may take.

    Raises:
        ToolUnavailable: there is no such GPU; the message says what is there.
    """
    if device.startswith("cuda"):
        import torch

        here = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
        if device not in here:
            built = "" if torch.backends.cuda.is_built() else ", which is built without CUDA"
            raise ToolUnavailable(
                f"there is no device '{shown(device)}' here: torch {torch.__version__}{built} sees "
                f'{", ".join(["cpu", *here])}. Give device="cpu", or "auto" for a GPU where '
                "there is one; `nuthatch doctor` lists the devices",
                "dependency_missing",
            )
        return int(torch.cuda.get_device_properties(device).total_memory * GPU_SHARE)
    whole = _memory()
    limit = Path("/sys/fs/cgroup/memory.max")  # of a container
    text = limit.read_text().strip() if limit.is_file() else ""
    return int((min(whole, int(text)) if text.isdigit() else whole) * PROCESSOR_SHARE)


def _memory() -> int:
    """Bytes of this machine's memory; 8 GiB where nobody says."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not POSIX
        pass
    try:
        import psutil
    except (ImportError, AttributeError):  # it takes some of the system for granted too
        return 8 << 30
    return int(psutil.virtual_memory().total)


def give_back() -> None:
    """Give memory back that nobody holds any more."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
