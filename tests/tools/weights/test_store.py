"""Weights: where they lie, what they need before a model may judge, how they share memory."""

import json
import pickle
import shutil
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import save_file

from nuthatch.tools.faults import ToolUnavailable
from nuthatch.tools.weights.devices import footprint
from nuthatch.tools.weights.released import LOCK, RELEASED
from nuthatch.tools.weights.store import EMBEDDED, LOADERS, Weights


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The shipped sound tagger in a folder of the caller's."""
    shutil.copytree(EMBEDDED / "tag_sound", tmp_path / "tag_sound")
    return tmp_path


def test_a_calibration_of_other_weights_is_refused(copied: Path) -> None:
    table = copied / "tag_sound" / "calibration.json"
    table.write_text(json.dumps(json.loads(table.read_text()) | {"weights": "0123456789ab"}))
    with pytest.raises(ToolUnavailable, match="measured with weights 0123456789ab"):
        Weights(copied).get("tag_sound")


def test_a_file_that_was_cut_off_is_an_error_that_names_the_weights(copied: Path) -> None:
    weights = copied / "tag_sound" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    (copied / "tag_sound" / "calibration.json").unlink()
    with pytest.raises(ToolUnavailable, match=r"'tag_sound' at .* cannot be loaded"):
        Weights(copied).get("tag_sound")


def test_weights_without_a_calibration_load_and_nothing_is_known_of_their_scores(
    copied: Path,
) -> None:
    (copied / "tag_sound" / "calibration.json").unlink()
    assert Weights(copied).get("tag_sound").calibration == {}


@pytest.mark.parametrize("name", ["detect", "tag", "tag_sound"])
def test_the_shipped_calibrations_were_measured_with_the_shipped_weights(name: str) -> None:
    measured_with = json.loads((EMBEDDED / name / "calibration.json").read_text())["weights"]
    assert Weights().status(name).sha256.startswith(measured_with)


# -- places ---------------------------------------------------------------------------------------


def test_one_name_can_be_given_a_folder_of_its_own_the_others_stay(copied: Path) -> None:
    weights = Weights(folders={"tag_sound": copied / "tag_sound"})
    assert weights.status("tag_sound").path == copied / "tag_sound"
    assert weights.status("tag").path == EMBEDDED / "tag"
    assert weights.get("tag_sound").config == Weights().get("tag_sound").config


def test_a_released_name_stands_for_its_folder_in_the_weights_home(tmp_path: Path) -> None:
    weights = Weights(folders={"segment": "sam-vit-b"}, home=tmp_path)
    status = weights.status("segment")
    assert (status.path, status.present) == (tmp_path / "sam-vit-b", False)
    with pytest.raises(
        ToolUnavailable, match=r"weights --fetch sam-vit-b; .*sam_vit_b_01ec64\.pth"
    ):
        weights.get("segment")


def test_released_weights_are_here_when_all_of_their_files_are(tmp_path: Path) -> None:
    weights = Weights(folders={"detect": "grounding-dino-tiny"}, home=tmp_path)
    folder = tmp_path / "grounding-dino-tiny"
    folder.mkdir()
    entry = RELEASED["grounding-dino-tiny"]
    for path, _, _ in entry.files:
        assert not weights.status("detect").present
        (folder / path).write_bytes(b"x")
    assert weights.status("detect").present


def test_a_folder_with_a_lock_is_whole_when_what_the_lock_wants_is_there(copied: Path) -> None:
    folder = copied / "tag_sound"
    (folder / LOCK).write_text(json.dumps({"wanted": ["config.json", "more.safetensors"]}))
    assert not Weights(copied).status("tag_sound").present


def test_released_weights_live_where_nuthatch_weights_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUTHATCH_WEIGHTS", str(tmp_path / "mine"))
    status = Weights(folders={"segment": "sam-vit-h"}).status("segment")
    assert status.path == tmp_path / "mine" / "sam-vit-h"


@pytest.mark.parametrize(
    ("name", "where", "message"),
    [
        ("detect", "grounding-dino-tny", "did you mean 'grounding-dino-tiny'"),
        ("detect", "sam-vit-b", "is for 'segment', not 'detect'; for it: grounding-dino-tiny"),
    ],
)
def test_a_place_that_means_nothing_is_refused_at_once(name: str, where: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Weights(folders={name: where})


def test_a_file_in_the_place_of_a_folder_is_refused(copied: Path) -> None:
    with pytest.raises(ValueError, match="give the folder that holds it"):
        Weights(folders={"tag_sound": copied / "tag_sound" / "model.safetensors"})


def test_a_folder_that_is_not_there_is_told_when_the_tool_is_called(tmp_path: Path) -> None:
    with pytest.raises(ToolUnavailable, match=r"expected config\.json or model_index\.json"):
        Weights(folders={"tag": tmp_path / "none"}).get("tag")


def test_what_has_no_miniature_says_what_to_fetch() -> None:
    with pytest.raises(ToolUnavailable, match=r"--fetch \S+, then Weights\(folders="):
        Weights().get("generate_image")


def test_weights_that_nobody_can_load_are_no_bug_of_the_tool(copied: Path) -> None:
    (copied / "tag_sound").rename(copied / "theirs")
    with pytest.raises(ToolUnavailable, match="nobody knows how to load 'theirs'"):
        Weights(copied).get("theirs")


def test_settings_cross_to_another_process_and_models_stay(copied: Path) -> None:
    weights = Weights(folders={"tag_sound": copied / "tag_sound"}, budget_bytes=7)
    weights.put("model", object())
    other = pickle.loads(pickle.dumps(weights))
    assert other.status("tag_sound").path == copied / "tag_sound"
    assert (other.budget_bytes, other.loaded) == (7, [])


def test_hidden_files_are_no_weights(copied: Path) -> None:
    folder = copied / "tag_sound"
    before = Weights(copied).status("tag_sound")
    (folder / ".cache").mkdir()
    shutil.copy(folder / "model.safetensors", folder / ".cache")
    assert Weights(copied).status("tag_sound") == before


def test_a_name_is_offered_when_it_was_put_in_given_a_place_or_lies_in_the_preset() -> None:
    weights = Weights(folders={"caption": "blip-large"})
    assert weights.offers("caption_many")  # although nothing was fetched
    assert weights.offers("describe_attributes")
    assert weights.offers("transcribe")
    assert not weights.offers("generate_image")
    weights.put("generate_image", object())
    assert weights.offers("generate_image")


def test_pickled_hub_weights_count_where_there_are_no_others(copied: Path) -> None:
    folder = copied / "tag_sound"
    (folder / "pytorch_model.bin").write_bytes(b"12345")
    assert all(file.suffix == ".safetensors" for file in Weights(copied).status("tag_sound").files)
    (folder / "model.safetensors").unlink()
    status = Weights(copied).status("tag_sound")
    assert (status.present, status.bytes) == (True, 5)


# -- in memory ------------------------------------------------------------------------------------


BACK_ENDS = "back_ends_of_this_test"


class Net(torch.nn.Module):
    """A thousand numbers, 4,000 bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.many = torch.nn.Parameter(torch.zeros(1000))


class BackEnd:
    """As back ends are: the network is in an attribute of an attribute."""

    def __init__(self, *nets: Net) -> None:
        self.inner = {"nets": list(nets)}


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three models of 4,000 bytes each."""
    for name in ("detect", "segment", "tag"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
        save_file({"many": torch.zeros(1000)}, tmp_path / name / "model.safetensors")
        monkeypatch.setitem(LOADERS, name, f"{BACK_ENDS}:load_{name}")
    module = ModuleType(BACK_ENDS)
    for name in ("detect", "segment", "tag"):
        setattr(module, f"load_{name}", lambda folder, device: BackEnd(Net().to(device)))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return tmp_path


def test_the_size_of_a_model_is_that_of_its_parameters_shared_ones_counted_once() -> None:
    net = Net()
    tied = Net()
    tied.many = net.many
    assert footprint(BackEnd(net)) == {"cpu": 4000}
    assert footprint(BackEnd(net, tied, Net())) == {"cpu": 8000}
    assert footprint(object()) == {}


def test_sparse_buffers_such_as_whispers_mask_of_heads_do_not_hinder_the_count() -> None:
    net = Net()
    net.register_buffer("heads", torch.eye(3).to_sparse())
    assert footprint(BackEnd(net)) == {"cpu": 4000}


def test_the_least_recently_used_goes_when_the_budget_is_full(shelf: Path) -> None:
    weights = Weights(shelf, budget_bytes=9000)
    first = weights.get("detect")
    weights.get("segment")
    assert weights.used_bytes == 8000
    assert weights.get("detect") is first
    weights.get("tag")
    assert weights.loaded == ["detect", "tag"]


def test_a_model_larger_than_the_budget_is_alone(shelf: Path) -> None:
    weights = Weights(shelf, budget_bytes=10)
    weights.get("detect")
    weights.get("tag")
    assert weights.loaded == ["tag"]


def test_what_the_caller_put_in_is_never_evicted_nor_retired(shelf: Path) -> None:
    weights = Weights(shelf, budget_bytes=10)
    mine = BackEnd()
    weights.put("segment", mine, size_bytes=10**9)
    weights.get("detect")
    weights.retire("segment")
    weights.make_room()
    assert weights.get("segment") is mine
    assert weights.loaded == ["segment"]
    assert weights.fingerprint("segment") == "given"


def test_names_that_share_weights_share_one_model(shelf: Path) -> None:
    weights = Weights(shelf)
    assert weights.get("describe_attributes") is weights.get("tag")
    assert weights.loaded == ["describe_attributes", "tag"]
    assert weights.used_bytes == 4000
    weights.retire("describe_attributes")
    assert weights.loaded == []


def test_two_names_given_one_folder_share_it_and_a_name_can_be_given_its_own(shelf: Path) -> None:
    shutil.copytree(shelf / "tag", shelf / "other")
    weights = Weights(shelf, {"describe_attributes": shelf / "other"})
    assert weights.get("describe_attributes") is not weights.get("tag")
    both = Weights(shelf, {"tag": shelf / "other", "describe_attributes": shelf / "other"})
    assert both.get("describe_attributes") is both.get("tag")


def test_a_model_given_for_a_shared_name_serves_its_other_names(shelf: Path) -> None:
    weights, mine = Weights(shelf), BackEnd()
    weights.put("tag", mine)
    assert weights.get("describe_attributes") is mine
    weights.put("describe_attributes", BackEnd())
    assert weights.get("tag") is mine
    assert weights.get("describe_attributes") is not mine


def test_threads_that_ask_at_once_get_one_model(
    shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(4)
    weights = Weights(shelf)

    def ask(name: str) -> object:
        together.wait()
        return weights.get(name)

    with ThreadPoolExecutor(4) as pool:
        models = list(pool.map(ask, ["tag", "describe_attributes"] * 2))
    assert len({id(model) for model in models}) == 1


def tight(
    monkeypatch: pytest.MonkeyPatch, weights: Weights, error: Exception, holder: str
) -> list[str]:
    """Loading "tag" ends with `error` while `holder` is in memory; gives the devices tried."""
    tried: list[str] = []

    def load(folder: Path, device: str) -> BackEnd:
        tried.append(device)
        if holder in weights.loaded:
            raise error
        return BackEnd(Net())

    monkeypatch.setattr(sys.modules[BACK_ENDS], "load_tag", load)
    return tried


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        OSError(12, "Cannot allocate memory"),
    ],
    ids=["python", "gpu", "processor", "mapping"],
)
def test_when_memory_runs_out_the_others_go_and_it_is_tried_once_more(
    shelf: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    weights = Weights(shelf)
    weights.get("detect")
    tried = tight(monkeypatch, weights, error, "detect")
    weights.get("tag")
    assert (len(tried), weights.loaded) == (2, ["tag"])


def test_when_that_does_not_help_the_fault_is_typed_and_the_next_call_works(
    shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = Weights(shelf)
    weights.put("mine", BackEnd())
    tried = tight(monkeypatch, weights, MemoryError(), "mine")
    with pytest.raises(ToolUnavailable, match="does not fit in the memory of cpu") as failed:
        weights.get("tag")
    assert (failed.value.code, len(tried)) == ("out_of_memory", 2)
    tight(monkeypatch, weights, MemoryError(), "nobody")
    assert isinstance(weights.get("tag"), BackEnd)


@pytest.mark.parametrize(
    ("free", "device"),
    [(10**6, "cuda:1"), (5000, "cpu")],
    ids=["with room", "without"],
)
def test_auto_takes_the_roomiest_gpu_or_else_the_processor(
    shelf: Path, monkeypatch: pytest.MonkeyPatch, free: int, device: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: ((free if index else 0), 0))
    weights = Weights(shelf, device="auto", budget_bytes=10**9)
    tried = tight(monkeypatch, weights, MemoryError(), "nobody")
    weights.get("tag")
    assert tried == [device]


def test_auto_is_the_processor_where_there_is_no_gpu(
    shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    weights = Weights(shelf, device="auto")
    tried = tight(monkeypatch, weights, MemoryError(), "nobody")
    weights.get("tag")
    assert tried == ["cpu"]


def test_a_budget_is_for_each_device(shelf: Path) -> None:
    weights = Weights(shelf, budget_bytes=5000)
    weights.get("detect")
    weights.device = "meta"  # a device that every machine has
    weights.get("tag")
    assert weights.loaded == ["detect", "tag"]
    weights.get("segment")
    assert weights.loaded == ["detect", "segment"]


@pytest.mark.parametrize("changed", ["model.safetensors", "model-2.safetensors"])
def test_the_hash_of_several_files_changes_with_each_of_them(shelf: Path, changed: str) -> None:
    save_file({"more": torch.zeros(10)}, shelf / "tag" / "model-2.safetensors")
    before = Weights(shelf).fingerprint("tag")
    save_file({"more": torch.ones(10)}, shelf / "tag" / changed)
    assert Weights(shelf).fingerprint("tag") != before


def test_a_pickle_in_the_place_of_weights_is_a_fault_of_the_weights_not_a_bug(
    shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save({"model": print}, shelf / "tag" / "model.pth")

    def load(folder: Path, device: str) -> object:
        return torch.load(folder / "model.pth", weights_only=True)

    monkeypatch.setattr(sys.modules[BACK_ENDS], "load_tag", load)
    with pytest.raises(ToolUnavailable, match=r"'tag' at .* cannot be loaded"):
        Weights(shelf).get("tag")


LONG = "x" * 8000


@pytest.mark.parametrize(
    "attempt",
    [
        lambda: Weights(device=LONG),
        lambda: Weights(device="cuda:" + "9" * 8000),
        lambda: Weights(folders={"detect": LONG}),
        lambda: Weights(folders={LONG: "grounding-dino-tiny"}),
        lambda: Weights().get(LONG),
        lambda: Weights(f"/tmp/{LONG}").get("detect"),
        lambda: Weights(folders={"detect": f"/tmp/{LONG}"}).get("detect"),
    ],
)
def test_messages_show_little_of_what_was_given(attempt: Callable[[], object]) -> None:
    with pytest.raises((ValueError, ToolUnavailable)) as raised:
        attempt()
    assert "x" * 80 not in str(raised.value)
    assert "9" * 80 not in str(raised.value)


@pytest.mark.parametrize("device", ["", "gpu", "cuda:", "CPU", "cpu\n", "cuda:-1"])
def test_what_is_no_device_is_refused_at_once(device: str) -> None:
    with pytest.raises(ValueError, match="expected 'cpu', 'cuda', one such as 'cuda:1', or 'auto'"):
        Weights(device=device)


def test_what_a_model_lacks_is_told_without_loading_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = Weights()
    assert weights.lack("detect") == ""
    assert "not at" in Weights(tmp_path).lack("detect")
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "(torch): pip install 'nuthatch[vision]'" in weights.lack("detect")
    assert "(torch): pip install 'nuthatch[audio]'" in weights.lack("tag_sound")
    weights.put("detect", object())
    assert weights.lack("detect") == ""
    assert not weights.loaded[1:]
