"""At full size every released name lands on exactly one parameter of its shape, none is missing."""

import pytest

from nuthatch.mllm.presets import bubogpt, chatbridge, llava, llava_plus, minigpt4, qwen_vl
from nuthatch.mllm.presets.vicuna import SIZES
from tests.mllm.presets import full_size
from tests.mllm.presets.full_size import core_shapes, landed

BLIP2 = {
    **full_size.qformer(),
    "query_tokens": (1, 32, 768),
    "ln_vision.weight": (1408,),
    "ln_vision.bias": (1408,),
    "t5_proj.weight": (4096, 768),
    "t5_proj.bias": (4096,),
}


def language_model(size: str, prefix: str = "", vocabulary: int = 32001) -> dict:
    sizes = SIZES[size]
    width, inner, layers = (
        sizes[name] for name in ("hidden_size", "intermediate_size", "num_hidden_layers")
    )
    return full_size.llama(prefix, width, inner, layers, vocabulary)


@pytest.mark.parametrize("size", ["7b", "13b"])
def test_a_whole_chatbridge_file_lands_on_the_core(size: str) -> None:
    width = SIZES[size]["hidden_size"]
    released = {
        **full_size.eva("visual_encoder."),
        **full_size.beats("audio_encoder."),
        **full_size.qformer(),
        **language_model(size, "llama_model."),
        "image_query_tokens": (1, 32, 768),
        "audio_query_tokens": (1, 32, 768),
        "llama_proj.weight": (width, 768),
        "llama_proj.bias": (width,),
        "audio_trans.weight": (1408, 768),
        "audio_trans.bias": (1408,),
        "ln_vision.weight": (1408,),
        "ln_vision.bias": (1408,),
        "ln_audio.weight": (768,),
        "ln_audio.bias": (768,),
    }
    shapes, dropped = landed(released, chatbridge.SOURCES["checkpoint"])
    assert shapes == core_shapes(chatbridge.preset(size).config)
    tables, frequencies, positions = 11, SIZES[size]["num_hidden_layers"], 1
    assert len(dropped) == tables + frequencies + positions


def test_the_files_that_chatbridge_starts_from_make_up_for_a_stripped_checkpoint() -> None:
    stripped = {
        **full_size.qformer(),
        "image_query_tokens": (1, 32, 768),
        "audio_query_tokens": (1, 32, 768),
        "llama_proj.weight": (5120, 768),
        "llama_proj.bias": (5120,),
        "audio_trans.weight": (1408, 768),
        "audio_trans.bias": (1408,),
        "llama_model.model.layers.0.self_attn.rotary_emb.inv_freq": (64,),
    }
    files = {
        "eva": full_size.eva() | {"blocks.39.norm1.weight": (1408,), "head.weight": (1000, 1408)},
        "blip2": BLIP2,
        "beats": full_size.beats() | {"predictor.weight": (527, 768)},
        "vicuna": language_model("13b"),
        "checkpoint": stripped,
    }
    shapes: dict = {}
    for source, names in files.items():
        shapes |= landed(names, chatbridge.SOURCES[source])[0]
    missing = core_shapes(chatbridge.preset().config).keys() - shapes.keys()
    assert missing == chatbridge.NEVER_TRAINED.keys()


def test_bubogpts_files_land_on_its_core() -> None:
    joiner = "multimodal_joiner.modality_"
    trained = {
        **full_size.qformer(f"{joiner}qformers.audio.Qformer.bert.", width=768, text=True),
        **full_size.qformer(f"{joiner}qformers.vision.Qformer.bert."),
        f"{joiner}qformers.audio.Qformer.cls.predictions.bias": (30523,),
        f"{joiner}qformers.audio.query_tokens": (1, 32, 768),
        f"{joiner}qformers.vision.query_tokens": (1, 32, 768),
        f"{joiner}post_projectors.audio.fc.weight": (4096, 768),
        f"{joiner}post_projectors.audio.fc.bias": (4096,),
        f"{joiner}post_projectors.vision.fc.weight": (4096, 768),
        f"{joiner}post_projectors.vision.fc.bias": (4096,),
    }
    files = {
        "eva": full_size.eva(),
        "blip2": BLIP2,
        "imagebind": full_size.imagebind() | {"modality_heads.audio.0.weight": (768,)},
        "vicuna": language_model("7b"),
        "checkpoint": trained,
    }
    shapes: dict = {}
    for source, names in files.items():
        shapes |= landed(names, bubogpt.SOURCES[source])[0]
    assert shapes == core_shapes(bubogpt.preset("7b").config)


@pytest.mark.parametrize("size", ["7b", "13b"])
def test_minigpt4s_projection_is_all_its_checkpoint_needs_to_hold(size: str) -> None:
    width = SIZES[size]["hidden_size"]
    files = {
        "eva": full_size.eva(),
        "blip2": BLIP2,
        "vicuna": language_model(size),
        "checkpoint": {"llama_proj.weight": (width, 768), "llama_proj.bias": (width,)},
    }
    shapes: dict = {}
    for source, names in files.items():
        shapes |= landed(names, minigpt4.SOURCES[source])[0]
    assert shapes == core_shapes(minigpt4.preset(size).config)


@pytest.mark.parametrize("layers", [1, 2])
def test_llavas_files_land_on_its_core(layers: int) -> None:
    names = {1: ("",), 2: ("0.", "2.")}[layers]
    projector = {
        f"model.mm_projector.{name}{kind}": shape
        for name, given in zip(names, (1024, 4096), strict=False)
        for kind, shape in (("weight", (4096, given)), ("bias", (4096,)))
    }
    patches = 256 if layers == 1 else 576
    beside = {"text_model.final_layer_norm.weight": (768,), "logit_scale": ()}
    files = {
        "clip": full_size.clip(patches=patches) | beside,
        "checkpoint": language_model("7b", vocabulary=32000) | projector,
    }
    shapes: dict = {}
    for source, given in files.items():
        shapes |= landed(given, llava.SOURCES[source])[0]
    assert shapes == core_shapes(llava.preset("7b", layers).config)


def test_the_other_presets_have_the_sizes_of_their_papers() -> None:
    config, chat = llava_plus.preset()
    assert (config.num_tokens("image"), config.text_config.vocab_size) == (256, 32001)
    assert chat.stop_strings == ("###",)
    shapes = core_shapes(qwen_vl.preset().config)
    assert shapes["bridge.query"] == (256, 4096)
    assert qwen_vl.preset().config.num_tokens("image") == 256


def test_a_size_that_does_not_exist_is_an_error_that_names_those_that_do() -> None:
    with pytest.raises(ValueError, match="given size '70b', expected one of 7b, 13b"):
        chatbridge.preset("70b")  # type: ignore[arg-type]
