"""What was encoded once is not encoded again."""

import threading
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nuthatch.mllm.feature_cache import FeatureCache


def key(name: str) -> str:
    return sha256(name.encode()).hexdigest()


class Encoder:
    """Counts what it encodes."""

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def ask(self, cache: FeatureCache, name: str) -> float:
        def encode() -> torch.Tensor:
            self.encoded.append(name)
            return torch.tensor([float(ord(name))])

        return float(cache.get(key(name), encode))


def test_known_content_is_not_encoded_again_and_the_oldest_is_forgotten() -> None:
    cache, encoder = FeatureCache(most=2), Encoder()
    assert [encoder.ask(cache, name) for name in "abab"] == [97, 98, 97, 98]
    assert encoder.encoded == ["a", "b"]
    for name in "acab":  # b was met longest ago when c came
        encoder.ask(cache, name)
    assert encoder.encoded == ["a", "b", "c", "b"]
    cache.clear()
    encoder.ask(cache, "b")
    assert encoder.encoded == ["a", "b", "c", "b", "b"]


def test_a_folder_keeps_features_for_later_runs_of_the_same_weights(tmp_path: Path) -> None:
    encoder = Encoder()
    for folder in (tmp_path, str(tmp_path)):
        cache = FeatureCache(folder=folder, weights="core 1")
        assert [encoder.ask(cache, name) for name in "ab"] == [97, 98]
    assert encoder.encoded == ["a", "b"]
    assert {file.stem for file in tmp_path.rglob("*.safetensors")} == {key("a"), key("b")}
    with pytest.raises(ValueError, match=r"features of the weights 'core 1'.*'core 2'"):
        FeatureCache(folder=tmp_path, weights="core 2")


def test_a_folder_says_whose_features_it_holds(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="without weights; say what its features come from"):
        FeatureCache(folder=tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["", "picture", "../" * 20 + "etc", "A" * 64, "0" * 63, "0" * 65])
def test_a_file_is_named_by_a_hash_and_by_nothing_else(name: str, tmp_path: Path) -> None:
    cache = FeatureCache(folder=tmp_path, weights="core 1")
    with pytest.raises(ValueError, match="expected the 64 digits of a sha256"):
        cache.get(name, lambda: torch.zeros(1))


@pytest.mark.parametrize("fault", ["cut off", "empty", "another tensor"])
def test_a_file_that_cannot_be_read_is_made_again(fault: str, tmp_path: Path) -> None:
    def ask() -> float:
        return encoder.ask(FeatureCache(folder=tmp_path, weights="core 1"), "a")

    encoder = Encoder()
    ask()
    (file,) = tmp_path.rglob("*.safetensors")
    if fault == "another tensor":
        save_file({"weights": torch.zeros(1)}, file)
    else:
        file.write_bytes(file.read_bytes()[: 20 if fault == "cut off" else 0])
    with pytest.warns(UserWarning, match=f"{file.name} holds no features"):
        assert ask() == 97
    assert ask() == 97
    assert encoder.encoded == ["a", "a"]


def test_what_encodes_may_ask_for_others_but_not_for_itself() -> None:
    cache = FeatureCache()

    def of_another() -> torch.Tensor:
        return cache.get("b", lambda: torch.tensor([1.0])) + 1

    assert float(cache.get("a", of_another)) == 2
    with pytest.raises(RuntimeError, match="what encodes 'c' asks for it"):
        cache.get("c", lambda: cache.get("c", of_another))
    assert float(cache.get("c", of_another)) == 2


def test_threads_wait_for_the_one_that_encodes_and_others_go_on() -> None:
    cache, started, finish = FeatureCache(), threading.Event(), threading.Event()
    encoded = []

    def slow() -> torch.Tensor:
        encoded.append("slow")
        started.set()
        assert finish.wait(10)
        return torch.tensor([1.0])

    answers: list[float] = []
    threads = [
        threading.Thread(target=lambda: answers.append(float(cache.get("slow", slow))))
        for _ in range(2)
    ]
    threads[0].start()
    assert started.wait(10)
    threads[1].start()
    assert float(cache.get("other", lambda: torch.tensor([2.0]))) == 2
    finish.set()
    for thread in threads:
        thread.join(10)
    assert (answers, encoded) == ([1, 1], ["slow"])


def test_what_failed_is_tried_again() -> None:
    cache = FeatureCache()

    def fails() -> torch.Tensor:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        cache.get("a", fails)
    assert Encoder().ask(cache, "a") == 97
