"""What was encoded once is not encoded again."""

import threading
from pathlib import Path

import pytest
import torch

from nuthatch.mllm.feature_cache import FeatureCache


class Encoder:
    """Counts what it encodes."""

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def ask(self, cache: FeatureCache, name: str) -> float:
        def encode() -> torch.Tensor:
            self.encoded.append(name)
            return torch.tensor([float(ord(name))])

        return float(cache.get(name, encode))


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
    for _ in range(2):
        cache = FeatureCache(folder=tmp_path, weights="core 1")
        assert [encoder.ask(cache, name) for name in "ab"] == [97, 98]
    assert encoder.encoded == ["a", "b"]
    assert sorted(file.name for file in tmp_path.rglob("*.safetensors")) == [
        "a.safetensors",
        "b.safetensors",
    ]
    with pytest.raises(ValueError, match=r"features of the weights 'core 1'.*'core 2'"):
        FeatureCache(folder=tmp_path, weights="core 2")


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
