"""Rows of a long measurement on disk, so that a run that stops goes on where it was.

A row is one line of JSON, appended and flushed as soon as it is known; its `index` says which case
it is. A line cut off by a kill is dropped when the file is opened again.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tqdm import tqdm

import nuthatch

Row = dict[str, Any]
Work = Callable[[Sequence[int]], list[Row]]
"""Indices of cases -> their rows, in that order."""


@dataclass(frozen=True)
class Part:
    """`count` cases that `work` measures, `batch` of them at a time.

    Batches may go to other processes, so `work` is a function of a module, or a partial of one.
    There it must see to it that torch does not take all cores.
    """

    name: str
    count: int
    work: Work
    batch: int = 8


class Records:
    """The rows of one part, by index."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[int, Row] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = path.read_bytes() if path.is_file() else b""
        kept = whole[: whole.rfind(b"\n") + 1]
        if kept != whole:
            path.write_bytes(kept)
        for line in kept.splitlines():
            row = json.loads(line)
            self.rows[row["index"]] = row

    def add(self, rows: Sequence[Row]) -> None:
        """Append rows and flush them."""
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        self.rows.update({row["index"]: row for row in rows})

    def first(self, count: int) -> list[Row]:
        """The rows of the cases below `count`, in order."""
        return [self.rows[index] for index in range(count) if index in self.rows]


def measure(parts: Sequence[Part], folder: Path, *, workers: int = 1) -> dict[str, list[Row]]:
    """Measure what `folder` does not hold yet; all rows by the name of their part.

    Args:
        workers: processes that measure side by side; 1 measures in this one.
    """
    records = {part.name: Records(folder / f"{part.name}.jsonl") for part in parts}
    todo = {part.name: list(_batches(part, records[part.name])) for part in parts}
    total = sum(part.count for part in parts)
    left = sum(len(batch) for batches in todo.values() for batch in batches)
    bar = tqdm(total=total, initial=total - left, unit="case", smoothing=0.05)
    pool = None
    if workers > 1 and left:
        # A fork would copy locks that threads of torch hold.
        pool = ProcessPoolExecutor(workers, get_context("spawn"))
    try:
        for part in parts:
            bar.set_description(part.name)
            run = pool.map if pool else map
            for rows in run(part.work, todo[part.name]):
                records[part.name].add(rows)
                bar.update(len(rows))
    finally:
        bar.close()
        if pool:
            pool.shutdown(cancel_futures=True)
    return {part.name: records[part.name].first(part.count) for part in parts}


def _batches(part: Part, records: Records) -> Iterator[list[int]]:
    missing = [index for index in range(part.count) if index not in records.rows]
    for start in range(0, len(missing), part.batch):
        yield missing[start : start + part.batch]


def fingerprint(*folders: str, also: Iterable[Path] = ()) -> str:
    """A short name of all code and weights in folders of the package, and of the files `also`."""
    digest = hashlib.sha256()
    root = Path(nuthatch.__file__).parent
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".py", ".json", ".jinja", ".png", ".txt", ".safetensors"):
                digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    for path in also:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]
