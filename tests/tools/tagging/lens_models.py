"""A tiny CLIP and a tiny BLIP of random weights, in folders as transformers writes them."""

from functools import cache
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import torch
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    CLIPConfig,
    CLIPModel,
    CLIPTokenizer,
)
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

SIDE, ROOM = 16, 64
_VISION = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": SIDE,
    "patch_size": 8,
}


def clip_tokenizer() -> CLIPTokenizer:
    """Reads letter by letter."""
    letters = [*ascii_lowercase, *(f"{each}</w>" for each in ascii_lowercase)]
    words = {each: number for number, each in enumerate(letters)}
    words |= {"<|startoftext|>": len(words), "<|endoftext|>": len(words) + 1}
    return CLIPTokenizer(vocab=words, merges=[])


@cache
def clip_model() -> CLIPModel:
    torch.manual_seed(0)
    words = clip_tokenizer()
    text = {
        "vocab_size": len(words),
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": ROOM,
        "bos_token_id": words.bos_token_id,
        "eos_token_id": words.eos_token_id,
        "pad_token_id": words.pad_token_id,
    }
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=_VISION, projection_dim=12))
    return _lively(model).eval()


def save_clip(folder: Path) -> Path:
    clip_model().save_pretrained(folder)
    clip_tokenizer().save_pretrained(folder)
    CLIPImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
    ).save_pretrained(folder)
    return folder


_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_WORDS = ("a", "picture", "of", "cup", "dog", "red", "big", "on", "the", "table", "and", "two")


def blip_tokenizer() -> BertTokenizer:
    return BertTokenizer(
        vocab={word: number for number, word in enumerate((*_SPECIAL, *_WORDS, "[DEC]"))}
    )


@cache
def blip_model() -> BlipForConditionalGeneration:
    torch.manual_seed(1)
    words = blip_tokenizer()
    text = {
        "vocab_size": len(words),
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 40,
        "bos_token_id": words.convert_tokens_to_ids("[DEC]"),
        "sep_token_id": words.sep_token_id,
        "pad_token_id": words.pad_token_id,
        "eos_token_id": words.sep_token_id,
    }
    model = BlipForConditionalGeneration(BlipConfig(text_config=text, vision_config=_VISION))
    return _lively(model).eval()


def save_blip(folder: Path) -> Path:
    blip_model().save_pretrained(folder)
    blip_tokenizer().save_pretrained(folder)
    BlipImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    return folder


def _lively(model: Any) -> Any:
    """Weights large enough that inputs make a difference."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(0, 0.4)
    return model
