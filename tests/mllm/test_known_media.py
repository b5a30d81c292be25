"""Media that were encoded once are not encoded again."""

import torch

from nuthatch.mllm.known_media import KnownMedia


def test_known_content_is_not_encoded_again_and_the_oldest_is_forgotten():
    known, encoded = KnownMedia(most=2), []

    def get(name: str) -> float:
        def encode() -> torch.Tensor:
            encoded.append(name)
            return torch.tensor([float(ord(name))])

        return float(known.get(name, encode))

    assert [get(name) for name in "abab"] == [97, 98, 97, 98]
    assert encoded == ["a", "b"]
    get("a")
    get("c")  # b was met longest ago
    get("a")
    get("b")
    assert encoded == ["a", "b", "c", "b"]
    known.clear()
    get("b")
    assert encoded[-1:] == ["b"]
    assert len(encoded) == 5
