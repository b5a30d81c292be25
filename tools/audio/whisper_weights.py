"""Whisper's weights on disk: the package's `.pt`, a hub folder, and the miniature's own folder.

Every form is read strictly: each tensor has its place and each place its tensor. No pickles.
"""

import hashlib
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
import whisper
from safetensors.torch import load_file, save_file
from torch import Tensor
from whisper.model import ModelDimensions, Whisper

from nuthatch.tools.audio.whisper_miniature import MiniatureWhisper

State = dict[str, Tensor]

_POSITIONS = "encoder.positional_embedding"  # sinusoids, which every model makes anew
_PARTS = {
    "self_attn.q_proj": "attn.query",
    "self_attn.k_proj": "attn.key",
    "self_attn.v_proj": "attn.value",
    "self_attn.out_proj": "attn.out",
    "self_attn_layer_norm": "attn_ln",
    "encoder_attn.q_proj": "cross_attn.query",
    "encoder_attn.k_proj": "cross_attn.key",
    "encoder_attn.v_proj": "cross_attn.value",
    "encoder_attn.out_proj": "cross_attn.out",
    "encoder_attn_layer_norm": "cross_attn_ln",
    "fc1": "mlp.0",
    "fc2": "mlp.2",
    "final_layer_norm": "mlp_ln",
}
"""Parts of a layer: transformers' name -> the package's."""
_WHOLE = {
    "encoder.embed_positions.weight": _POSITIONS,
    "encoder.layer_norm": "encoder.ln_post",
    "decoder.embed_positions.weight": "decoder.positional_embedding",
    "decoder.embed_tokens": "decoder.token_embedding",
    "decoder.layer_norm": "decoder.ln",
}
"""Parts outside of the layers; all others have one name."""


def read(folder: Path) -> tuple[Whisper, str]:
    """The model in `folder`, and its name for evidence.

    One of: a `.pt` file under the package's name for it, which tells the heads that follow the
    speech (`base.pt`); `config.json` and `model.safetensors` as transformers writes them; the same
    as `save` writes them.

    Raises:
        FileNotFoundError: the folder holds none.
        ValueError: it holds several, or one that is not understood.
        RuntimeError: the tensors do not fit the sizes.
    """
    config, released = folder / "config.json", sorted(folder.glob("*.pt"))
    if config.is_file():
        settings = json.loads(config.read_text("utf-8"))
        if settings.get("model_type") != "whisper":
            raise ValueError(
                f"{config} is of a {settings.get('model_type')!r}, expected model_type 'whisper'"
            )
        file = folder / "model.safetensors"
        state = load_file(file)
        build = _miniature if "tokens" in settings else _of_the_hub
        return build(settings, state), f"whisper {folder.name} {_digest(file)}"
    if len(released) != 1:
        kind = FileNotFoundError if not released else ValueError
        raise kind(f"{folder} holds {len(released)} .pt files and no config.json; expected one")
    return _released(released[0]), f"whisper {released[0].stem} {_digest(released[0])}"


def save(model: MiniatureWhisper, folder: Path) -> None:
    """Write the miniature: `config.json` and `model.safetensors` (bf16)."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"model_type": "whisper", "dims": asdict(model.dims), "tokens": list(model.tokens)}
    (folder / "config.json").write_text(json.dumps(settings) + "\n", encoding="utf-8")
    state = {name: tensor.bfloat16().contiguous() for name, tensor in model.state_dict().items()}
    state.pop(_POSITIONS)
    save_file(state, folder / "model.safetensors")


def _miniature(settings: dict[str, Any], state: State) -> Whisper:
    model = MiniatureWhisper(_dimensions(settings["dims"]), settings["tokens"])
    model.load_state_dict({_POSITIONS: model.encoder.positional_embedding, **state})
    return model


def _released(file: Path) -> Whisper:
    """The package's own format: sizes and tensors in one file."""
    held = torch.load(file, map_location="cpu", weights_only=True)
    if not isinstance(held, dict) or not {"dims", "model_state_dict"} <= held.keys():
        raise ValueError(f"{file} holds no 'dims' and 'model_state_dict', as Whisper's files do")
    model = Whisper(_dimensions(held["dims"]))
    model.load_state_dict(held["model_state_dict"])
    heads = whisper._ALIGNMENT_HEADS.get(file.stem)
    if heads is not None:
        model.set_alignment_heads(heads)
    return model


def _of_the_hub(settings: dict[str, Any], state: State) -> Whisper:
    """Transformers' names and sizes to the package's."""
    model = Whisper(
        ModelDimensions(
            n_mels=settings["num_mel_bins"],
            n_audio_ctx=settings["max_source_positions"],
            n_audio_state=settings["d_model"],
            n_audio_head=settings["encoder_attention_heads"],
            n_audio_layer=settings["encoder_layers"],
            n_vocab=settings["vocab_size"],
            n_text_ctx=settings["max_target_positions"],
            n_text_state=settings["d_model"],
            n_text_head=settings["decoder_attention_heads"],
            n_text_layer=settings["decoder_layers"],
        )
    )
    renamed = {
        _renamed(name): tensor for name, tensor in state.items() if name != "proj_out.weight"
    }
    model.load_state_dict(renamed)
    return model


def _renamed(name: str) -> str:
    """`model.encoder.layers.0.fc1.bias` -> `encoder.blocks.0.mlp.0.bias`."""
    name = name.removeprefix("model.")
    for theirs, ours in _WHOLE.items():
        if name == theirs or name.startswith(f"{theirs}."):
            return ours + name.removeprefix(theirs)
    side, layers, rest = name.partition(".layers.")
    if not layers:
        return name
    number, _, part = rest.partition(".")
    part, _, kind = part.rpartition(".")
    return f"{side}.blocks.{number}.{_PARTS.get(part, part)}.{kind}"


def _dimensions(given: dict[str, Any]) -> ModelDimensions:
    """
    Raises:
        ValueError: a size is missing, unknown, or no positive number.
    """
    names = {each.name for each in fields(ModelDimensions)}
    if set(given) != names or not all(type(n) is int and n > 0 for n in given.values()):
        raise ValueError(f"given sizes {given}, expected positive numbers for {sorted(names)}")
    return ModelDimensions(**given)


def _digest(file: Path) -> str:
    with file.open("rb") as held:
        return hashlib.file_digest(held, "sha256").hexdigest()[:8]
