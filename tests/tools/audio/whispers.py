"""Whispers with tiny random weights, and the forms in which released ones lie on disk."""

from dataclasses import asdict
from pathlib import Path

import torch
from whisper.model import ModelDimensions, Whisper

from nuthatch.tools.audio.whisper_miniature import ENGLISH_VOCABULARY, MiniatureWhisper

MULTILINGUAL = 51865
# " dog", " cat", " the", ".", then end, start, no speech and no timestamps.
TOKENS = (3290, 3797, 262, 13, 50256, 50257, 50361, 50362)


def dimensions(vocabulary: int = MULTILINGUAL, text_layers: int = 2) -> ModelDimensions:
    return ModelDimensions(
        n_mels=80,
        n_audio_ctx=1500,
        n_audio_state=8,
        n_audio_head=2,
        n_audio_layer=2,
        n_vocab=vocabulary,
        n_text_ctx=16,
        n_text_state=8,
        n_text_head=2,
        n_text_layer=text_layers,
    )


def tiny(vocabulary: int = MULTILINGUAL, text_layers: int = 2, seed: int = 0) -> Whisper:
    """Of the package's class."""
    torch.manual_seed(seed)
    model = Whisper(dimensions(vocabulary, text_layers))
    torch.nn.init.normal_(model.decoder.positional_embedding)
    return model.eval()


def tiny_miniature(seed: int = 0) -> MiniatureWhisper:
    """With windows of 2 s and the words dog, cat and the."""
    torch.manual_seed(seed)
    dims = ModelDimensions(**{**asdict(dimensions(ENGLISH_VOCABULARY, 1)), "n_audio_ctx": 50})
    model = MiniatureWhisper(dims, TOKENS)
    torch.nn.init.normal_(model.decoder.positional_embedding)
    return model.eval()


def release(model: Whisper, file: Path) -> Path:
    """Write the package's `.pt`, in half precision as released; returns the folder."""
    file.parent.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.half() for name, tensor in model.state_dict().items()}
    torch.save({"dims": asdict(model.dims), "model_state_dict": state}, file)
    return file.parent
