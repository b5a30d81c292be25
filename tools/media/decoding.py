"""Decoders that may hang, crash or fill the memory run in a process that can be ended.

What a file claims is not to be trusted, nor are the many decoders of rare formats. The process
(`nuthatch.tools.media.decoder_process`) is kept for the next file; it is ended when its time is up.
"""

import atexit
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nuthatch.tools.media.types import MediaError

SECONDS = 15.0  # for any file
BYTES_A_SECOND = 16 * 2**20  # a large file may take longer: one more second for so many bytes
_IDLE = 2  # processes that are kept
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from nuthatch.tools.media.decoder_process import serve; serve()"
)

Job = Literal["image", "audio", "video"]


class Decoded(NamedTuple):
    """What a decoder found: facts about the medium, and its arrays."""

    facts: dict[str, Any]
    arrays: list[NDArray[Any]]


def decode(job: Job, file: bytes | Path, name: str, **options: Any) -> Decoded:
    """Decode a file in another process, by the function of `decoder_process` for `job`.

    Raises:
        MediaError: what the decoder said, or `limit_exceeded`: it took too long or too much memory.
    """
    try:
        size = len(file) if isinstance(file, bytes) else file.stat().st_size
    except OSError as error:
        raise MediaError("asset_not_found", f"{name} cannot be read: {error.strerror}") from error
    request = {"job": job, "name": name, "options": options}
    if isinstance(file, Path):
        request["path"] = os.path.abspath(file)
    decoder = _DECODERS.take()
    decoded = decoder.run(
        request, file if isinstance(file, bytes) else b"", SECONDS + size / BYTES_A_SECOND
    )
    _DECODERS.give_back(decoder)
    if refusal := decoded.facts.get("error"):
        raise MediaError(refusal["code"], refusal["message"])
    return decoded


class _Decoder:
    """One process; requests and answers are a line of JSON each, then the bytes it announces."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    @classmethod
    def start(cls) -> "_Decoder":
        """
        Raises:
            OSError: no process can be started.
        """
        process = subprocess.Popen(
            [sys.executable, "-c", _START, json.dumps([*map(str, sys.path)])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libraries in C write there about damaged files
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        return cls(process)

    def run(self, request: dict[str, Any], data: bytes, seconds: float) -> Decoded:
        """
        Raises:
            MediaError: the process was ended, or ended by itself.
        """
        expired = threading.Event()

        def end() -> None:
            expired.set()
            self.process.kill()

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            return self._exchange(request, data)
        except (OSError, ValueError) as error:  # the pipe was closed, in the midst of an answer too
            raise self._ended(request["name"], seconds if expired.is_set() else None) from error
        except BaseException:  # an interrupt: what is on its way would answer the next request
            self.close()
            raise
        finally:
            timer.cancel()

    def _exchange(self, request: dict[str, Any], data: bytes) -> Decoded:
        given, answers = self.process.stdin, self.process.stdout
        assert given is not None
        assert answers is not None
        given.write(json.dumps({**request, "bytes": len(data)}).encode() + b"\n")
        given.write(data)
        given.flush()
        facts = json.loads(answers.readline())
        arrays = []
        for shape, kind in facts.pop("arrays", ()):
            array = np.empty(shape, kind)
            buffer = memoryview(array.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
            if answers.readinto(buffer) != array.nbytes:  # type: ignore[attr-defined]
                raise ValueError("the answer ends before its arrays do")
            arrays.append(array)
        return Decoded(facts, arrays)

    def _ended(self, name: str, seconds: float | None) -> MediaError:
        self.close()
        if seconds is not None:
            return MediaError(
                "limit_exceeded",
                f"{name} was not decoded within {seconds:.0f} s; it is damaged, or too large: "
                "scale it down or cut it",
            )
        status = self.process.returncode
        if status == 1:  # an exception of Python before the first request
            return MediaError(
                "dependency_missing",
                f"decoding {name} needs a process of its own, and {sys.executable} cannot start it",
            )
        return MediaError(
            "unsupported_media",
            f"{name} broke its decoder (exit status {status}); it is damaged: save it again",
        )

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except OSError:  # what was not written yet cannot be written any more
                continue


class _Decoders:
    """Idle decoders of this process; after a fork those of the parent are left to the parent."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._idle: list[_Decoder] = []

    def take(self) -> _Decoder:
        """
        Raises:
            MediaError: no process can be started.
        """
        if self._owner != os.getpid():
            self._forget()
        with self._lock:
            while self._idle:
                decoder = self._idle.pop()
                if decoder.process.poll() is None:
                    return decoder
                decoder.close()  # somebody else ended it
        try:
            return _Decoder.start()
        except OSError as error:
            raise MediaError(
                "dependency_missing",
                f"decoding needs a process of its own, and {sys.executable or 'Python'} cannot be "
                f"started: {error.strerror}",
            ) from error

    def give_back(self, decoder: _Decoder) -> None:
        with self._lock:
            if len(self._idle) < _IDLE:
                self._idle.append(decoder)
                return
        decoder.close()

    def close(self) -> None:
        """End all idle ones."""
        if self._owner == os.getpid():
            while self._idle:
                self._idle.pop().close()


_DECODERS = _Decoders()
atexit.register(_DECODERS.close)
