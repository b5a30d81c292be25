import argparse
import json
import pickle
import struct
import subprocess
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from nuthatch.mllm.convert.reading import CheckpointError, open_checkpoint

MEBIBYTE = 2**20


def weights() -> dict[str, Tensor]:
    torch.manual_seed(0)
    table = torch.randn(6, 4)
    return OrderedDict(
        {
            "vit.weight": table,
            "vit.half": torch.randn(3).half(),
            "qformer.brain": torch.randn(2, 5).bfloat16(),
            "qformer.parameter": nn.Parameter(torch.randn(3)),
            "llm.scalar": torch.tensor(7),
            "llm.flags": torch.tensor([True, False]),
            "llm.nothing": torch.zeros(3, 0),
        }
    )


def plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().contiguous() for name, tensor in tensors.items()}


def split(tensors: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    names = list(tensors)
    return {
        "1-of-2": {n: tensors[n] for n in names[:3]},
        "2-of-2": {n: tensors[n] for n in names[3:]},
    }


def write_index(index: Path, shards: dict[str, dict[str, Tensor]]) -> None:
    files = {name: shard for shard, tensors in shards.items() for name in tensors}
    index.write_text(json.dumps({"metadata": {}, "weight_map": files}))


def zip_file(folder: Path) -> Path:
    torch.save(weights(), folder / "eva.pth")
    return folder / "eva.pth"


def file_without_checksums(folder: Path) -> Path:
    torch.serialization.set_crc32_options(False)
    try:
        return zip_file(folder)
    finally:
        torch.serialization.set_crc32_options(True)


def legacy_file(folder: Path) -> Path:
    torch.save(weights(), folder / "old.pt", _use_new_zipfile_serialization=False)
    return folder / "old.pt"


def safetensors_file(folder: Path) -> Path:
    save_file(plain(weights()), folder / "core.safetensors", {"format": "pt"})
    return folder / "core.safetensors"


def torch_file_with_another_name(folder: Path) -> Path:
    torch.save(weights(), folder / "core.safetensors")
    return folder / "core.safetensors"


def safetensors_folder(folder: Path) -> Path:
    save_file(plain(weights()), folder / "model.safetensors")
    return folder


def bin_folder(folder: Path) -> Path:
    torch.save(weights(), folder / "pytorch_model.bin")
    return folder


def safetensors_shards(folder: Path) -> Path:
    shards = {f"model-{part}.safetensors": value for part, value in split(weights()).items()}
    for file, tensors in shards.items():
        save_file(plain(tensors), folder / file)
    write_index(folder / "model.safetensors.index.json", shards)
    return folder


def bin_shards(folder: Path) -> Path:
    shards = {f"pytorch_model-{part}.bin": value for part, value in split(weights()).items()}
    for file, tensors in shards.items():
        torch.save(tensors, folder / file)
    write_index(folder / "pytorch_model.bin.index.json", shards)
    return folder


def legacy_shards(folder: Path) -> Path:
    for file in (bin_shards(folder)).glob("*.bin"):
        tensors = torch.load(file, weights_only=True)
        torch.save(tensors, file, _use_new_zipfile_serialization=False)
    return folder


def index_alone(folder: Path) -> Path:
    return safetensors_shards(folder) / "model.safetensors.index.json"


@pytest.mark.parametrize(
    "written",
    [
        zip_file,
        file_without_checksums,
        legacy_file,
        safetensors_file,
        torch_file_with_another_name,
        safetensors_folder,
        bin_folder,
        safetensors_shards,
        bin_shards,
        legacy_shards,
        index_alone,
    ],
)
def test_the_same_weights_come_out_of_every_kind_of_checkpoint(
    tmp_path: Path, written: Callable[[Path], Path]
) -> None:
    checkpoint = open_checkpoint(written(tmp_path))
    expected = weights()
    assert sorted(checkpoint.names()) == sorted(expected) == sorted(checkpoint)
    assert len(checkpoint) == len(expected)
    assert checkpoint.config == {}
    assert checkpoint.ignored == ()
    for name in checkpoint:
        tensor = checkpoint.read(name)
        assert tensor.dtype == checkpoint.dtype(name) == expected[name].dtype
        assert tuple(tensor.shape) == checkpoint.shape(name) == tuple(expected[name].shape)
        assert tensor.equal(expected[name])
        assert tensor.equal(checkpoint[name])
        assert not tensor.requires_grad
    assert "vit" not in checkpoint
    with pytest.raises(KeyError):
        checkpoint.read("vit")


def test_names_come_file_by_file(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(bin_shards(tmp_path))
    files = [checkpoint.file(name).name for name in checkpoint]
    assert files == sorted(files)
    assert set(files) == {"pytorch_model-1-of-2.bin", "pytorch_model-2-of-2.bin"}


@pytest.mark.parametrize("new_format", [True, False])
def test_views_of_one_storage_are_read_as_what_they_show(tmp_path: Path, new_format: bool) -> None:
    table = torch.arange(24.0).reshape(4, 6)
    views = {
        "whole": table,
        "turned": table.t(),
        "window": table[1:3, 2:4],
        "column": table[:, 5],
        "repeated": torch.ones(1).expand(5),
    }
    torch.save(views, tmp_path / "views.pt", _use_new_zipfile_serialization=new_format)
    checkpoint = open_checkpoint(tmp_path / "views.pt")
    for name, view in views.items():
        read = checkpoint.read(name)
        assert read.equal(view)
        assert read.is_contiguous()
        assert read.untyped_storage().nbytes() == view.numel() * 4
    checkpoint.read("whole").zero_()
    assert checkpoint.read("whole").equal(table)


@pytest.mark.parametrize("key", ["model", "state_dict"])
@pytest.mark.parametrize("new_format", [True, False])
def test_weights_below_the_top_are_found_and_the_rest_is_named(
    tmp_path: Path, key: str, new_format: bool
) -> None:
    top = {
        "cfg": {"encoder_layers": 12},
        key: weights(),
        "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}},
        "epoch": 3,
    }
    torch.save(top, tmp_path / "full.pth", _use_new_zipfile_serialization=new_format)
    checkpoint = open_checkpoint(tmp_path / "full.pth")
    assert sorted(checkpoint) == sorted(weights())
    assert checkpoint.config == {"encoder_layers": 12}
    assert checkpoint.ignored == ("optimizer", "epoch")


def test_a_folders_config_is_read(tmp_path: Path) -> None:
    (bin_folder(tmp_path) / "config.json").write_text('{"hidden_size": 5120}')
    assert open_checkpoint(tmp_path).config == {"hidden_size": 5120}


def test_later_files_replace_tensors_and_settings_of_earlier_ones(tmp_path: Path) -> None:
    first = {"cfg": {"layers": 2, "width": 8}, "model": {"a": torch.zeros(2), "b": torch.zeros(2)}}
    second = {"config": {"layers": 3}, "model": {"a": torch.ones(3)}, "epoch": 1}
    torch.save(first, tmp_path / "first.pth")
    torch.save(second, tmp_path / "second.pth")
    checkpoint = open_checkpoint([tmp_path / "first.pth", str(tmp_path / "second.pth")])
    assert checkpoint.read("a").tolist() == [1, 1, 1]
    assert checkpoint.names() == ["b", "a"]  # file by file
    assert checkpoint.file("a") == tmp_path / "second.pth"
    assert checkpoint.config == {"layers": 3, "width": 8}
    assert checkpoint.ignored == ("epoch",)


def test_a_file_saved_on_a_gpu_is_read_without_one(tmp_path: Path) -> None:
    rewrite(zip_file(tmp_path), "data.pkl", lambda data: data.replace(CPU, CUDA))
    assert open_checkpoint(tmp_path / "eva.pth").read("vit.weight").equal(weights()["vit.weight"])


CPU, CUDA = b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:3"


def rewrite(path: Path, member: str, change: Callable[[bytes], bytes]) -> None:
    """Change one member of a torch file; its checksum follows."""
    with zipfile.ZipFile(path) as archive:
        data = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in data.items():
            if name.endswith(".format_version"):  # of files whose padding torch may compute
                continue
            new = change(value) if name.endswith(member) else value
            assert new != value or not name.endswith(member)
            archive.writestr(name, new)


class Program:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("this ran",))


def cut(path: Path, size: int) -> Path:
    path.write_bytes(path.read_bytes()[:size])
    return path


def saved(top: object, **options: Any) -> Callable[[Path], Path]:
    def written(folder: Path) -> Path:
        torch.save(top, folder / "some.pth", **options)
        return folder / "some.pth"

    return written


def content(data: bytes, name: str = "some.bin") -> Callable[[Path], Path]:
    def written(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return written


def header(entries: str, data: bytes = b"") -> Callable[[Path], Path]:
    return content(struct.pack("<Q", len(entries)) + entries.encode() + data)


def script(folder: Path) -> Path:
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), folder / "script.pt")
    return folder / "script.pt"


def packed(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "download.zip", "w") as archive:
        archive.write(zip_file(folder), "eva.pth")
    return folder / "download.zip"


def big_endian(folder: Path) -> Path:
    rewrite(path := zip_file(folder), "/byteorder", lambda data: b"big")
    return path


def too_little_data(folder: Path) -> Path:
    rewrite(path := zip_file(folder), "/data/0", lambda data: data[:-1])
    return path


def shard_lacks(folder: Path) -> Path:
    path = safetensors_shards(folder) / "model-2-of-2.safetensors"
    save_file({"llm.scalar": torch.tensor(7)}, path)
    return folder


def also_in_second_shard(tensor: Tensor) -> Callable[[Path], Path]:
    def written(folder: Path) -> Path:
        path = safetensors_shards(folder) / "model-2-of-2.safetensors"
        save_file(plain(split(weights())["2-of-2"]) | {"vit.weight": tensor}, path)
        return folder

    return written


def index_names_twice(folder: Path) -> Path:
    index = safetensors_shards(folder) / "model.safetensors.index.json"
    text = index.read_text().replace('"vit.half"', '"vit.weight"')
    index.write_text(text)
    return folder


SPARSE = torch.ones(2).to_sparse()
F32 = '"dtype":"F32","shape":[2],"data_offsets"'
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 30000000000\n"
DIFFER = r"model-1-of-2.* and model-2-of-2.* differ in vit\.weight"
PAGE = b"\n<!DOCTYPE html><html><title>Google Drive - Virus scan warning</title></html>"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("written", "message"),
    [
        (lambda f: cut(zip_file(f), 900), r"eva\.pth \(900 bytes\) is cut short or damaged"),
        (lambda f: cut(legacy_file(f), 900), r"old\.pt \(900 bytes\) is cut short or damaged"),
        (lambda f: cut(safetensors_file(f), 40), r"its header should have [\d,]+ bytes"),
        (lambda f: cut(safetensors_file(f), -1), r"should have [\d,]+ bytes"),
        (too_little_data, r"vit\.weight lies outside"),
        (content(b""), "is empty"),
        (content(bytes(5000)), "begins with b'.x00"),
        (content(LFS), "Git LFS pointer"),
        (content(LFS, "model.safetensors.index.json"), "Git LFS pointer"),
        (content(PAGE), "web page"),
        (content(b"<HTML><head>"), "web page"),
        (content(PAGE, "pytorch_model.bin.index.json"), "web page"),
        (content(pickle.dumps({"a": 1})), "cut short or damaged"),
        (saved({"model": {}, "x": Program()}), "holds print, .*run code"),
        (saved({"x": Program()}, _use_new_zipfile_serialization=False), "run code"),
        (saved({"args": argparse.Namespace(lr=1)}), r"argparse\.Namespace.*run code"),
        (script, "TorchScript.*run code"),
        (packed, r"zip of eva\.pth.*unpack it"),
        (big_endian, "big-endian"),
        (saved([torch.ones(2)]), "holds a list; expected a dictionary of tensors"),
        (saved({"epoch": 3}), r"'epoch' \(int\).*no plain tensors"),
        (saved({"model": {"a": torch.ones(1), "b": 0.5}}), r"'b' \(float\)"),
        (saved({"a": SPARSE}), "sparse or quantized"),
        (saved({"a": SPARSE}, _use_new_zipfile_serialization=False), "no plain tensors"),
        (saved({"model": {}, "state_dict": {}}), "both 'model' and 'state_dict'"),
        (saved({}), "holds no tensors"),
        (header("{}"), "holds no tensors"),
        (header("[{}]"), "begins with"),
        (header("{'a'}"), "cut short or damaged"),
        (header(f'{{"a":{{{F32}:[0,4]}}}}', bytes(4)), "describes a as"),
        (header(f'{{"a":{{{F32}:[-8,0]}}}}'), "describes a as"),
        (header('{"a":{"dtype":"Q4"}}'), "describes a as"),
        (header(f'{{"a":{{{F32}:[0,8]}},"a":{{{F32}:[0,8]}}}}', bytes(8)), "gives a twice"),
        (shard_lacks, r"model-2-of-2\.safetensors holds qformer\.parameter, llm\."),
        (also_in_second_shard(torch.zeros(6, 4)), DIFFER),
        (also_in_second_shard(weights()["vit.weight"].double()), DIFFER),
        (index_names_twice, r"gives vit\.weight twice"),
        (content(b"{}", "model.safetensors.index.json"), "no weight_map"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_refused_by_name(
    tmp_path: Path,
    written: Callable[[Path], Path],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = written(tmp_path)
    with pytest.raises(CheckpointError, match=f"(?s){tmp_path}.*{message}"):
        open_checkpoint(path)
    assert capsys.readouterr().out == ""  # no program ran


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth does not exist"):
        open_checkpoint(tmp_path / "nowhere.pth")
    with pytest.raises(FileNotFoundError, match=r"holds nothing; expected model\.safetensors or"):
        open_checkpoint(tmp_path)
    zip_file(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"holds eva\.pth; .*give the file itself"):
        open_checkpoint(tmp_path)
    (safetensors_shards(tmp_path) / "model-2-of-2.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"2 shards, and not .*: model-2-of-2\.safetensors"):
        open_checkpoint(tmp_path)
    with pytest.raises(ValueError, match="given no path"):
        open_checkpoint([])


def test_a_tensor_in_two_shards_is_taken_when_it_is_the_same(tmp_path: Path) -> None:
    tensor = weights()["vit.weight"]
    assert open_checkpoint(also_in_second_shard(tensor)(tmp_path)).read("vit.weight").equal(tensor)


@pytest.mark.parametrize("end", [0, -8])
def test_a_hole_in_the_data_is_noticed_when_it_is_read(tmp_path: Path, end: int) -> None:
    """As a download leaves it that has reserved the file's whole size."""
    tensor = torch.arange(1.0, 5000.0)
    torch.save({"whole": tensor, "fine": torch.ones(2)}, tmp_path / "holes.pth")
    data = (tmp_path / "holes.pth").read_bytes()
    values = tensor.numpy().tobytes()
    hole = values[:end] if end else values
    assert data.count(hole) == 1
    (tmp_path / "holes.pth").write_bytes(data.replace(hole, bytes(len(hole))))
    checkpoint = open_checkpoint(tmp_path / "holes.pth")
    assert checkpoint.read("fine").equal(torch.ones(2))
    with pytest.raises(CheckpointError, match=r"holes\.pth.*whole do not have the checksum"):
        checkpoint.read("whole")


def test_a_file_that_shrinks_after_it_was_opened_is_noticed(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(safetensors_file(tmp_path))
    cut(tmp_path / "core.safetensors", -1)
    with pytest.raises(CheckpointError, match=r"core\.safetensors.*it ends before"):
        [checkpoint.read(name) for name in checkpoint]


PEAK = """
import sys
from pathlib import Path
import torch
from nuthatch.mllm.convert.reading import open_checkpoint

def status(key):
    line = next(l for l in open("/proc/self/status") if l.startswith(key))
    return int(line.split()[1]) * 1024

torch.ones(1 << 18).sum()  # what torch sets up when it is first used
before = status("VmRSS")
Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
checkpoint = open_checkpoint(sys.argv[1])
total = sum(checkpoint.read(name).nbytes for name in checkpoint)
print(total, status("VmHWM") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of resident memory is Linux's")
@pytest.mark.parametrize("kind", ["bin", "safetensors"])
def test_reading_four_shards_takes_the_memory_of_two_tensors(tmp_path: Path, kind: str) -> None:
    """Counted: everything resident (anonymous memory and pages of mapped files), at its highest.

    Two tensors, as the loop still holds the last one while the next is read.
    """
    stem = "model" if kind == "safetensors" else "pytorch_model"
    shards: dict[str, dict[str, Tensor]] = {}
    for number in range(4):
        tensors = {f"{number}.{i}": torch.full((4, MEBIBYTE), float(i)) for i in range(4)}
        shards[f"{stem}-{number}.{kind}"] = tensors
        path = tmp_path / f"{stem}-{number}.{kind}"
        save_file(tensors, path) if kind == "safetensors" else torch.save(tensors, path)
    write_index(tmp_path / f"{stem}.{kind}.index.json", shards)
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(tmp_path)], capture_output=True, text=True, check=True
    )
    total, peak = map(int, done.stdout.split())
    assert total == 4 * 64 * MEBIBYTE
    assert peak <= 2 * 16 * MEBIBYTE + 16 * MEBIBYTE
