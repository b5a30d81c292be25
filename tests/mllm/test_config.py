"""Configs that no core can have are refused at once, by name."""

import pytest
from transformers import Qwen2Config

from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.encoders.imagebind import ImageBindConfig


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"image_fit": "croop"}, "image_fit='croop', expected one of"),
        ({"senses": "image"}, "senses 'image', expected one of"),
        ({"senses": ("video",)}, r"senses \('video',\), expected one of"),
        ({"num_query_tokens": 0}, "num_query_tokens=0, expected at least 1"),
        ({"image_token_id": 9}, "both placeholders are token 9"),
        ({"text_config": {"model_type": "qwen2"}}, "kind 'qwen2'; a core speaks with a Llama"),
        ({"text_config": Qwen2Config()}, "kind 'qwen2'; a core speaks with a Llama"),
        ({"num_query_token": 4}, "'num_query_token', did you mean 'num_query_tokens'"),
        ({"audio_config": ImageBindConfig()}, "num_mel_bins=32, but the audio encoder reads 128"),
    ],
)
def test_a_config_that_no_core_can_have_is_refused(field: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CoreConfig.tiny(**field)


def test_a_config_survives_json() -> None:
    config = CoreConfig.tiny(prompt_style="v0", senses=["image"])
    assert CoreConfig(**config.to_dict()).to_dict() == config.to_dict()
    assert config.senses == ("image",)
