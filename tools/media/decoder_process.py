"""The process in which `nuthatch.tools.media.decoding` has files decoded: one after the other.

Its memory is limited where the system can (Linux): each file may take `MEMORY` bytes.
"""

import importlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nuthatch.messages import shown
from nuthatch.tools.media.decoding import Decoded
from nuthatch.tools.media.types import MediaError

MEMORY = 2**30
JOBS = {
    "image": ("nuthatch.tools.media.image_files", "decode_image"),
    "audio": ("nuthatch.tools.media.audio_files", "decode_audio"),
    "video": ("nuthatch.tools.media.video_files", "decode_video"),
}
"""Modules and their functions (file, name, **options) -> `Decoded`."""


def serve() -> None:
    """Decode what is asked for on standard input, until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # libraries may print
    while line := requests.readline():
        request = json.loads(line)
        data = requests.read(request["bytes"])
        limit_memory()
        facts, arrays = decoded(request, data)
        described = [(array.shape, array.dtype.str) for array in arrays]
        answers.write(json.dumps({**facts, "arrays": described}).encode() + b"\n")
        for array in arrays:
            answers.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        answers.flush()
        del request, data, facts, arrays


def decoded(request: dict[str, Any], data: bytes) -> Decoded:
    """The answer to one request; an error is an answer too."""
    name = request["name"]
    file = Path(request["path"]) if "path" in request else data
    try:
        module, function = JOBS[request["job"]]
        run: Callable[..., Decoded] = getattr(importlib.import_module(module), function)
        return run(file, name, **request["options"])
    except MediaError as error:
        code, message = error.code, error.message
    except MemoryError:
        code = "limit_exceeded"
        message = f"{name} takes more than {MEMORY:,} bytes of memory to decode; scale it down"
    except Exception as error:  # decoders have no common type for what they stumble over
        code = "unsupported_media"
        message = f"{name} is damaged or cut off ({shown(error)}); save it again"
    return Decoded({"error": {"code": code, "message": message}}, [])


def limit_memory() -> None:
    """Let this process have `MEMORY` bytes more than it has now, where the system knows a limit."""
    try:
        import resource

        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except (ImportError, OSError):
        return
    data = next((line for line in status.splitlines() if line.startswith("VmData:")), None)
    if data is None:
        return
    most = int(data.split()[1]) * 1024 + MEMORY
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (most if hard < 0 else min(most, hard), hard))
