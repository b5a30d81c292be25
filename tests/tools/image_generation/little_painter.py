"""A Stable Diffusion XL of 64 pixels with random weights, in the files that diffusers releases."""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
)

WORDS = ("a", "red", "cup", "cat", "on", "table", "of", "snow")
WIDTH = 32  # of both text encoders
TIME = 8  # of each number beside the prompt: sizes, crops


def save_base(folder: Path, seed: int = 0) -> Path:
    """The pipeline from words to pictures."""
    torch.manual_seed(seed)
    pipeline = StableDiffusionXLPipeline(
        vae=_vae(),
        text_encoder=CLIPTextModel(_text()),
        text_encoder_2=CLIPTextModelWithProjection(_text()),
        tokenizer=CLIPTokenizer(*_words(), model_max_length=77),
        tokenizer_2=CLIPTokenizer(*_words(), pad_token="!", model_max_length=77),
        unet=_unet(2 * WIDTH, 6),
        scheduler=_scheduler(),
    )
    return _save(pipeline, folder)


def save_refiner(folder: Path, seed: int = 1, **parts: Any) -> Path:
    """The pipeline that finishes them: one text encoder, and it is told how fair they shall be."""
    torch.manual_seed(seed)
    own = {"vae": _vae(), "text_encoder_2": CLIPTextModelWithProjection(_text())}
    pipeline = StableDiffusionXLImg2ImgPipeline(
        **own | parts,
        text_encoder=None,
        tokenizer=None,
        tokenizer_2=CLIPTokenizer(*_words(), pad_token="!", model_max_length=77),
        unet=_unet(WIDTH, 5),
        scheduler=_scheduler(),
        requires_aesthetics_score=True,
        force_zeros_for_empty_prompt=False,
    )
    return _save(pipeline, folder)


def _save(pipeline: Any, folder: Path) -> Path:
    pipeline.save_pretrained(folder)
    for name in ("tokenizer", "tokenizer_2"):  # as released: two files of words, no tokenizer.json
        if getattr(pipeline, name) is not None:
            vocabulary, merges = _words()
            (folder / name / "tokenizer.json").unlink()
            (folder / name / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
            lines = ["#version: 0.2", *(" ".join(pair) for pair in merges), ""]
            (folder / name / "merges.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder


def _words() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Letters, and the merges that make whole words of them."""
    merges: dict[tuple[str, str], None] = {}
    for word in WORDS:
        parts = [*word[:-1], f"{word[-1]}</w>"]
        while len(parts) > 1:
            merges[parts[0], parts[1]] = None
            parts[:2] = ["".join(parts[:2])]
    letters = [chr(code) for code in range(33, 127)]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(m) for m in merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return {token: number for number, token in enumerate(dict.fromkeys(tokens))}, list(merges)


def _text() -> CLIPTextConfig:
    vocabulary, _ = _words()
    return CLIPTextConfig(
        vocab_size=len(vocabulary),
        bos_token_id=vocabulary["<|startoftext|>"],
        eos_token_id=vocabulary["<|endoftext|>"],
        pad_token_id=vocabulary["<|endoftext|>"],
        hidden_size=WIDTH,
        projection_dim=WIDTH,
        intermediate_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        hidden_act="gelu",
    )


def _vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8, 8),
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        sample_size=64,
        force_upcast=True,
    )


def _unet(words: int, numbers: int) -> UNet2DConditionModel:
    """Widths of the prompt, and how many numbers it gets beside that."""
    return UNet2DConditionModel(
        block_out_channels=(8, 16),
        norm_num_groups=4,
        layers_per_block=1,
        sample_size=32,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 2),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=TIME,
        projection_class_embeddings_input_dim=numbers * TIME + WIDTH,
        cross_attention_dim=words,
    )


def _scheduler() -> EulerDiscreteScheduler:
    return EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        timestep_spacing="leading",
        steps_offset=1,
    )
