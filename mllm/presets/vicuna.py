"""Vicuna (Chiang et al., 2023), the language model of most presets, in its sizes and versions.

Version v0 writes turns with `###` and has a padding token of its own; v1.1 and later write USER and
ASSISTANT and end a turn with `</s>`. Weights of one under the other's prompts speak gibberish.
"""

from typing import Any, Literal

from transformers import LlamaConfig

Size = Literal["7b", "13b"]
Version = Literal["v0", "v1"]
SIZES: dict[str, dict[str, int]] = {
    "7b": {
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
    },
    "13b": {
        "hidden_size": 5120,
        "intermediate_size": 13824,
        "num_hidden_layers": 40,
        "num_attention_heads": 40,
    },
}


def vicuna(size: Size, version: Version, **changes: Any) -> LlamaConfig:
    """Sizes of a Vicuna; `changes` are fields of `LlamaConfig`.

    Raises:
        ValueError: there is no such size.
    """
    if size not in SIZES:
        raise ValueError(f"given size {size!r}, expected one of {', '.join(SIZES)}")
    sizes: dict[str, Any] = {
        **SIZES[size],
        "vocab_size": 32001 if version == "v0" else 32000,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-6,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 2,
    }
    return LlamaConfig(**(sizes | changes))


def placeholders(text: LlamaConfig) -> dict[str, int]:
    """Placeholder tokens behind the vocabulary, so that no token of the language model is lost."""
    return {"image_token_id": text.vocab_size, "audio_token_id": text.vocab_size + 1}
