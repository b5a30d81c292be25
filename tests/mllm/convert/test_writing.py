import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from nuthatch.mllm.convert.reading import open_checkpoint
from nuthatch.mllm.convert.writing import write_sharded

MEBIBYTE = 2**20


def tensors() -> Iterator[tuple[str, Tensor]]:
    torch.manual_seed(0)
    for number in range(5):
        yield f"layer.{number}", torch.randn(10, 10)  # 400 bytes
    yield "positions", torch.arange(4)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_fits_in_one_file_is_written_as_one(tmp_path: Path) -> None:
    index = write_sharded(tmp_path / "new" / "core", tensors(), metadata={"source": "a paper"})
    assert files(tmp_path / "new" / "core") == {"model.safetensors"}
    assert index["weight_map"] == {name: "model.safetensors" for name, _ in tensors()}
    assert index["metadata"] == {"total_size": 2032, "source": "a paper"}
    with safe_open(tmp_path / "new" / "core" / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt", "source": "a paper"}


def test_shards_stay_below_their_limit_and_hold_what_came_in(tmp_path: Path) -> None:
    index = write_sharded(tmp_path, tensors(), max_shard_bytes=800)
    shards = [f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]
    assert files(tmp_path) == {*shards, "model.safetensors.index.json"}
    assert json.loads((tmp_path / "model.safetensors.index.json").read_text()) == index
    assert list(index["weight_map"].values()) == [shards[i] for i in (0, 0, 1, 1, 2, 2)]
    for shard in shards:
        assert sum(tensor.nbytes for tensor in load_file(tmp_path / shard).values()) <= 800
    checkpoint = open_checkpoint(tmp_path)
    assert sorted(checkpoint) == sorted(name for name, _ in tensors())
    for name, tensor in tensors():
        assert checkpoint.read(name).equal(tensor)


def test_a_tensor_larger_than_a_shard_has_one_of_its_own(tmp_path: Path) -> None:
    index = write_sharded(tmp_path, tensors(), max_shard_bytes=1)
    assert len(set(index["weight_map"].values())) == 6


def test_floating_point_is_converted_and_nothing_else(tmp_path: Path) -> None:
    index = write_sharded(tmp_path, tensors(), dtype=torch.bfloat16)
    written = load_file(tmp_path / "model.safetensors")
    for name, tensor in tensors():
        kept = name == "positions"
        assert written[name].dtype == (torch.int64 if kept else torch.bfloat16)
        assert written[name].equal(tensor if kept else tensor.bfloat16())
    assert index["metadata"]["total_size"] == 5 * 200 + 32


def test_views_and_buffers_that_are_used_again_are_written_as_they_were(tmp_path: Path) -> None:
    def views() -> Iterator[tuple[str, Tensor]]:
        table = torch.arange(12.0).reshape(3, 4)
        yield "table", table
        yield "turned", table.t()
        yield "part", table[1:, :2]
        table.zero_()
        yield "zeros", table

    write_sharded(tmp_path, views())
    written = load_file(tmp_path / "model.safetensors")
    table = torch.arange(12.0).reshape(3, 4)
    expected = {"table": table, "turned": table.t(), "part": table[1:, :2], "zeros": 0 * table}
    assert written.keys() == expected.keys()
    assert all(written[name].equal(tensor) for name, tensor in expected.items())


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_tensor_that_is_not_finite_is_named_unless_it_may_be(tmp_path: Path, bad: float) -> None:
    tensor = torch.zeros(3, 2**20)
    tensor[2, -1] = bad
    given = [("good", torch.ones(2)), ("bad.weight", tensor)]
    with pytest.raises(ValueError, match=r"bad\.weight holds NaN or infinity"):
        write_sharded(tmp_path, given)
    assert files(tmp_path) == set()
    write_sharded(tmp_path, given, allow_non_finite=True)
    assert load_file(tmp_path / "model.safetensors")["bad.weight"].allclose(tensor, equal_nan=True)


def test_a_value_too_large_for_the_new_type_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"large does not fit in torch\.float16"):
        write_sharded(tmp_path, [("large", torch.tensor([70_000.0]))], dtype=torch.float16)


def test_names_that_come_twice_and_nothing_at_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"layer\.0 came twice"):
        write_sharded(tmp_path, [*tensors(), *tensors()], max_shard_bytes=400)
    with pytest.raises(ValueError, match="no tensors"):
        write_sharded(tmp_path, [])
    with pytest.raises(ValueError, match="max_shard_bytes is 0"):
        write_sharded(tmp_path, tensors(), max_shard_bytes=0)
    assert files(tmp_path) == set()


@pytest.mark.parametrize("name", ["model.safetensors", "model.safetensors.index.json"])
def test_weights_that_are_there_are_not_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")
    with pytest.raises(FileExistsError, match=f"{name} already"):
        write_sharded(tmp_path, tensors())
    assert files(tmp_path) == {name}


KILLED = """
import os, sys, torch
from nuthatch.mllm.convert.writing import write_sharded

def tensors():
    yield "first", torch.ones(100)
    yield "second", torch.ones(100)
    yield "third", torch.ones(100)
    os.kill(os.getpid(), 9)

write_sharded(sys.argv[1], tensors(), max_shard_bytes=400)
"""


def test_a_killed_run_leaves_nothing_that_looks_complete_nor_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True)
    assert killed.returncode == -9
    assert files(tmp_path) == {"config.json", "unfinished"}
    assert len(files(tmp_path / "unfinished")) == 2
    with pytest.raises(FileNotFoundError):
        open_checkpoint(tmp_path)
    write_sharded(tmp_path, tensors())
    assert files(tmp_path) == {"config.json", "model.safetensors"}


PEAK = """
import sys
from pathlib import Path
import torch
from nuthatch.mllm.convert.writing import write_sharded

def status(key):
    line = next(l for l in open("/proc/self/status") if l.startswith(key))
    return int(line.split()[1]) * 1024

def tensors(count):
    for number in range(count):
        yield str(number), torch.full((4, 1 << 20), float(number))  # 16 MiB

write_sharded(Path(sys.argv[1]) / "small", [("a", torch.ones(1 << 18))])
before = status("VmRSS")
Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
index = write_sharded(Path(sys.argv[1]) / "large", tensors(16), max_shard_bytes=64 << 20)
print(len(set(index["weight_map"].values())), status("VmHWM") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of resident memory is Linux's")
def test_writing_four_shards_takes_the_memory_of_one_and_of_the_tensor_in_hand(
    tmp_path: Path,
) -> None:
    """Counted: everything resident at its highest, with memory that is freed given back at once.

    Without that, what glibc keeps of freed tensors counts too, which varies.
    """
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(tmp_path)],
        env=os.environ | {"MALLOC_MMAP_THRESHOLD_": str(MEBIBYTE)},
        capture_output=True,
        text=True,
        check=True,
    )
    shards, peak = map(int, done.stdout.split())
    assert shards == 4
    assert peak <= (64 + 2 * 16 + 16) * MEBIBYTE  # the tensor in hand, as it came and as a copy
