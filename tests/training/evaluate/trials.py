"""A tiny core of random weights, and folders that hold one."""

from functools import cache
from pathlib import Path

import torch

from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.core import Core
from nuthatch.mllm.generation.generator import Speaker
from nuthatch.mllm.processing import CoreProcessor
from tests.mllm.generation.speakers import tokenizer


@cache
def tiny_trial() -> Speaker:
    torch.manual_seed(0)
    config = CoreConfig.tiny()
    config.text_config.vocab_size = len(tokenizer())
    config.text_config.max_position_embeddings = 2048
    return Speaker(Core(config).eval(), CoreProcessor(config, tokenizer()))


def save(trial: Speaker, folder: Path) -> Path:
    trial.core.save_pretrained(folder)
    trial.processor.save_pretrained(folder)
    return folder
