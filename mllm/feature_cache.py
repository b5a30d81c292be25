"""Features by what they are of: what was encoded once is not encoded again.

Encoders and bridges are frozen or slow, their outputs small (a clip's queries are 49 KB at
ChatBridge's size), so planner and tools share them in memory, and training keeps them in a folder.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

WEIGHTS_FILE = "weights.txt"
TENSOR = "features"


class FeatureCache:
    """Tensors of the contents that were met last, by the hash of the content; for several threads.

    Args:
        most: contents kept in memory.
        folder: where all are kept as safetensors too, for later runs; none by default.
        weights: what the features come from, such as a hash of the weights or a name and version. A
            folder serves one kind of weights only.

    Raises:
        ValueError: the folder holds features of other weights.
    """

    def __init__(self, most: int = 32, folder: Path | None = None, weights: str = "") -> None:
        self.most = most
        self.folder = folder
        self._features: OrderedDict[str, Future[Tensor]] = OrderedDict()
        self._lock = threading.Lock()
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            written = folder / WEIGHTS_FILE
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
        `encode` raises, all of them raise, and nothing is kept.
        """
        with self._lock:
            known = self._features.get(sha256)
            future = known or Future()
            self._features[sha256] = future
            self._features.move_to_end(sha256)
            if len(self._features) > self.most:
                self._features.popitem(last=False)
        if known is None:
            try:
                future.set_result(self._made(sha256, encode))
            except BaseException as error:
                with self._lock:
                    self._features.pop(sha256, None)
                future.set_exception(error)
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
            return load_file(file)[TENSOR]
        features = encode()
        file.parent.mkdir(exist_ok=True)
        unfinished = file.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
        save_file({TENSOR: features.detach().cpu().contiguous()}, unfinished)
        unfinished.replace(file)  # whole or not at all, also where two runs write it
        return features
