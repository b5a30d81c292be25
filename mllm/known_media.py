"""Media as vectors, by what they hold: what was encoded once is not encoded again."""

import threading
from collections import OrderedDict
from collections.abc import Callable

from torch import Tensor


class KnownMedia:
    """Vectors (Q, D) of the pictures and sounds that were met last, by the hash of their content.

    One core's planner and its tools share it; they may ask from several threads.
    """

    def __init__(self, most: int = 32) -> None:
        self.most = most
        self._vectors: OrderedDict[str, Tensor] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, sha256: str, encode: Callable[[], Tensor]) -> Tensor:
        """The vectors of this content; `encode` makes them where it is not known."""
        with self._lock:
            if sha256 not in self._vectors:
                self._vectors[sha256] = encode()
                if len(self._vectors) > self.most:
                    self._vectors.popitem(last=False)
            self._vectors.move_to_end(sha256)
            return self._vectors[sha256]

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._vectors.clear()
