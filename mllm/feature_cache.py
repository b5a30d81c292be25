"""Features by what they are of: what was encoded once is not encoded again.

Encoders and bridges are frozen or slow, their outputs small (a clip's queries are 49 KB at
ChatBridge's size), so planner and tools share them in memory. A folder keeps them for later runs.
"""

import os
import re
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

WEIGHTS_FILE = "weights.txt"
TENSOR = "features"


class FeatureCache:
    """Tensors of the contents that were met last, by the hash of the content; for several threads.

    Args:
        most: contents kept in memory.
        folder: where all are kept as safetensors too, for later runs; none by default.
        weights: what the features come from, such as a hash of the weights or a name and version;
            needed with a folder, which serves one kind of weights only.

    Raises:
        ValueError: the folder holds features of other weights, or no weights are named for it.
    """

    def __init__(self, most: int = 32, folder: str | Path | None = None, weights: str = "") -> None:
        self.most = most
        self.folder = None if folder is None else Path(folder)
        self._features: OrderedDict[str, Future[Tensor]] = OrderedDict()
        self._encoding: set[tuple[str, int]] = set()  # keys, each with the thread that encodes it
        self._lock = threading.Lock()
        if self.folder is not None:
            if not weights:
                raise ValueError(
                    f"given the folder {folder} without weights; say what its features come from, "
                    "such as a name and version: those of other weights must not be taken for them"
                )
            self.folder.mkdir(parents=True, exist_ok=True)
            written = self.folder / WEIGHTS_FILE
            if not written.exists():
                written.write_text(weights, encoding="utf-8")
            elif (of := written.read_text(encoding="utf-8")) != weights:
                raise ValueError(
                    f"{folder} holds features of the weights {of!r}, but these are {weights!r}; "
                    "give another folder, or delete this one"
                )

    def get(self, sha256: str, encode: Callable[[], Tensor]) -> Tensor:
        """The features of this content; `encode` makes them where they are not known.

        Threads that ask for the same content at once wait for the one that encodes it. What
        `encode` raises, all of them raise, and nothing is kept. A file that cannot be read is
        encoded again and replaced, with a warning.

        Args:
            sha256: the hash, as 64 hexadecimal digits in lower case where there is a folder, of the
                content and of all that is done to it before it is encoded and may differ: which
                frames or segments were chosen, how a picture was made to fit.
            encode: makes the features; it may ask for others, but not for its own.

        Raises:
            ValueError: with a folder, a key that is no such hash.
            RuntimeError: `encode` asks for the features that it is to make.
        """
        if self.folder is not None and not re.fullmatch("[0-9a-f]{64}", sha256):
            raise ValueError(f"given the key {sha256!r}, expected the 64 digits of a sha256")
        mine = (sha256, threading.get_ident())
        with self._lock:
            if mine in self._encoding:
                raise RuntimeError(f"what encodes {sha256!r} asks for it; give it another key")
            known = self._features.get(sha256)
            future = known or Future()
            self._features[sha256] = future
            self._features.move_to_end(sha256)
            if len(self._features) > self.most:
                self._features.popitem(last=False)
            if known is None:
                self._encoding.add(mine)
        if known is None:
            try:
                future.set_result(self._made(sha256, encode))
            except BaseException as error:
                with self._lock:
                    self._features.pop(sha256, None)
                future.set_exception(error)
            finally:
                with self._lock:
                    self._encoding.remove(mine)
        return future.result()

    def clear(self) -> None:
        """Forget what is in memory; the folder stays."""
        with self._lock:
            self._features.clear()

    def _made(self, sha256: str, encode: Callable[[], Tensor]) -> Tensor:
        if self.folder is None:
            return encode()
        file = self.folder / sha256[:2] / f"{sha256}.safetensors"
        if file.is_file():
            try:
                return load_file(file)[TENSOR]
            except (SafetensorError, KeyError) as error:
                warnings.warn(
                    f"{file} holds no features ({error}): they are encoded again, and the file is "
                    "replaced",
                    stacklevel=3,
                )
        features = encode()
        file.parent.mkdir(exist_ok=True)
        unfinished = file.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
        save_file({TENSOR: features.detach().cpu().contiguous()}, unfinished)
        unfinished.replace(file)  # whole or not at all, also where two runs write it
        return features
