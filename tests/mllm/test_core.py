"""What a user of the core may rely on; the tiny core's queries are 6 to a medium."""

from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.core import Core
from tests.mllm.released import GOLDEN, bubogpt_core, released_core
from tests.mllm.tiny_cores import BOS, IMAGE, PAD, PICTURE, SOUND, pictures, random_core, sounds

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def core() -> Core:
    return random_core()


# -- agreement with the reference -----------------------------------------------------------------


@pytest.fixture(scope="module")
def released() -> Core:
    return released_core()


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    return load_file(GOLDEN / "chatbridge_activations.safetensors")


@torch.inference_mode()
def test_embeddings_of_pictures_and_sounds_agree_with_the_reference(
    released: Core, golden: dict[str, Tensor]
) -> None:
    seen, heard = released.embed_image(golden["image"]), released.embed_audio(golden["audio"])
    torch.testing.assert_close(seen, golden["image_embeds"], atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(heard, golden["audio_embeds"], atol=TOLERANCE, rtol=0)


@torch.inference_mode()
def test_embeddings_of_videos_agree_with_the_reference(
    released: Core, golden: dict[str, Tensor]
) -> None:
    video, expected = golden["video"], golden["video_embeds"]
    close = partial(torch.testing.assert_close, atol=TOLERANCE, rtol=0)
    close(released.embed_image(video), expected)
    mixed = torch.cat([golden["image"][:1], video[0], video[1]])
    embeds = released.embed_image(mixed, frame_counts=[1, 4, 4])
    close(embeds, torch.cat([golden["image_embeds"][:1], expected]))
    with pytest.raises(ValueError, match=r"frame counts \[1, 4\] for 9 frames"):
        released.embed_image(mixed, frame_counts=[1, 4])


@torch.inference_mode()
def test_frames_and_segments_with_embeddings_agree_with_the_reference(
    golden: dict[str, Tensor],
) -> None:
    multi = load_file(GOLDEN / "chatbridge_multi_sample.safetensors")
    temporal = {name: multi[name] for name in multi if name.endswith("temporal_pos_embeds")}
    core = released_core(temporal, frame_embeddings=True, num_audio_segments=2)
    close = partial(torch.testing.assert_close, atol=TOLERANCE, rtol=0)
    close(core.embed_image(golden["video"]), multi["video_embeds"])
    close(core.embed_audio(golden["audio"]), multi["audio_embeds"])
    with pytest.raises(ValueError, match="given 5 frames of image, expected at most 4"):
        core.embed_image(torch.zeros(1, 5, 3, 28, 28))


@torch.inference_mode()
def test_a_bridge_for_each_sense_agrees_with_the_reference() -> None:
    core, golden = bubogpt_core(), load_file(GOLDEN / "bubogpt_activations.safetensors")
    close = partial(torch.testing.assert_close, atol=TOLERANCE, rtol=0)
    close(core.embed_image(golden["vision"]), golden["vision_embeds"])
    sounds = golden["audio"].squeeze(2).transpose(2, 3)  # clips as (frames, bins)
    close(core.embed_audio(sounds), golden["audio_embeds"])


@torch.inference_mode()
@pytest.mark.parametrize(("task", "sense"), [("ti", "image"), ("ta", "audio")])
def test_loss_and_logits_of_a_caption_agree_with_the_reference(
    released: Core, golden: dict[str, Tensor], task: str, sense: str
) -> None:
    mask, labels = golden[f"stage1/{task}/attention_mask"], golden[f"stage1/{task}/labels"]
    ids = labels.masked_fill(labels < 0, 2)  # padding, after the caption
    ids[:, 0] = BOS
    ids[:, 1:7] = {"image": 97, "audio": 98}[sense]
    media = {"pixel_values": golden["image"]} if task == "ti" else {"filter_banks": golden["audio"]}
    output = released(ids, attention_mask=mask, labels=labels, **media)
    real = mask[:, -8:].bool()
    expected = golden[f"stage1/{task}/logits"]
    torch.testing.assert_close(
        output.logits[:, -8:][real], expected[real], atol=2 * TOLERANCE, rtol=0
    )
    torch.testing.assert_close(output.loss, golden[f"stage1/{task}/loss"], atol=TOLERANCE, rtol=0)


# -- parts by choice ------------------------------------------------------------------------------

CLIP = {"model_type": "clip_vision_model", "image_size": 28, "patch_size": 7, "hidden_size": 32}
CLIP |= {"intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}
PARTS = {
    "projector": ({"model_type": "projector", "num_layers": 2}, 16, 48),
    "resampler": ({"model_type": "resampler", "grid_size": 3, "num_attention_heads": 4}, 9, 27),
    "latents": ({"model_type": "latents", "num_query_tokens": 5, "num_attention_heads": 4}, 5, 15),
    "blip_2_qformer": ({**CoreConfig.tiny().bridge_config.to_dict()}, 6, 6),
}


@pytest.mark.parametrize("bridge", PARTS)
def test_the_config_chooses_the_eye_and_the_bridge(bridge: str, tmp_path: Path) -> None:
    sizes, places, places_of_three = PARTS[bridge]
    config = CoreConfig.tiny(vision_config=CLIP, bridge_config=sizes, senses=("image",))
    assert (config.num_tokens("image"), config.num_tokens("image", 3)) == (places, places_of_three)
    core = Core(config)
    ids = torch.tensor([[BOS] + [IMAGE] * places_of_three + [20, 21]])
    video = torch.randn(1, 3, 3, 28, 28)
    core(ids, pixel_values=video, labels=ids.masked_fill(ids < 20, -100)).loss.backward()
    constant = "k_proj.bias", "k_bias"  # biases of keys cancel
    still = [
        name
        for name, p in core.named_parameters()
        if not name.endswith(constant) and (p.grad is None or not p.grad.any())
    ]
    assert still == []
    core.save_pretrained(tmp_path)
    again = Core.from_pretrained(tmp_path)
    assert type(again.bridge) is type(core.bridge)
    with torch.inference_mode():
        before, after = (one.eval()(ids, video).logits for one in (core, again))
    torch.testing.assert_close(after, before)
    state = again.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in core.state_dict().items())


@torch.inference_mode()
def test_a_video_of_patches_takes_more_places_than_a_picture_beside_it() -> None:
    config = CoreConfig.tiny(vision_config=CLIP, bridge_config=PARTS["projector"][0])
    core = Core(config).eval()
    frames = torch.randn(4, 3, 28, 28)
    together = core.embed_image(frames, frame_counts=[1, 3])
    alone = [core.embed_image(frames[:1])[0], core.embed_image(frames[None, 1:])[0]]
    torch.testing.assert_close(together, torch.cat(alone))
    ids = torch.tensor([[BOS, *[IMAGE] * 16, 20, *[IMAGE] * 48]])
    assert core(ids, frames, frame_counts=[1, 3]).logits.shape == (1, 66, 96)


def test_a_core_without_ears_says_so() -> None:
    core = Core(CoreConfig.tiny(senses=("image",)))
    assert not [name for name, _ in core.named_parameters() if "audio" in name]
    with pytest.raises(ValueError, match="no ear"):
        core.embed_audio(sounds(1))


def test_a_part_of_unknown_kind_is_an_error_that_names_the_kinds() -> None:
    with pytest.raises(ValueError, match=r"bridge_config of kind 'perceiver'.*resampler"):
        CoreConfig.tiny(bridge_config={"model_type": "perceiver"})


# -- media in their places ------------------------------------------------------------------------


@torch.inference_mode()
def test_media_take_the_places_of_their_placeholders_in_order_of_appearance(core: Core) -> None:
    ids = torch.tensor([[BOS, *PICTURE, 20, *SOUND], [BOS, *PICTURE, 30, *PICTURE]])
    embeds = core.embed_inputs(ids, pictures(3), sounds(1))
    seen, heard = core.embed_image(pictures(3)), core.embed_audio(sounds(1))
    words = core.get_input_embeddings()(ids)
    close = torch.testing.assert_close
    close(embeds[0, 1:7], seen[0])
    close(embeds[0, 8:], heard[0])
    close(embeds[1, 1:7], seen[1])
    close(embeds[1, 8:], seen[2])
    close(embeds[:, [0, 7]], words[:, [0, 7]])


@torch.inference_mode()
def test_media_that_are_embedded_already_give_the_same(core: Core) -> None:
    ids = torch.tensor([[BOS, *SOUND, 20, *PICTURE]])
    embedded = torch.cat([core.embed_audio(sounds(1)), core.embed_image(pictures(1))])
    torch.testing.assert_close(
        core(ids, media_embeds=embedded).logits,
        core(ids, pixel_values=pictures(1), filter_banks=sounds(1)).logits,
    )


@pytest.mark.parametrize(
    ("media", "message"),
    [
        ({}, "6 image placeholders, but no image is given: give pixel_values"),
        (
            {"pixel_values": pictures(2)},
            "given as pixel_values takes 12",
        ),
        (
            {"pixel_values": pictures(1), "filter_banks": sounds(1)},
            "0 audio placeholders, but what is given as filter_banks takes 6",
        ),
        (
            {"media_embeds": torch.zeros(2, 6, 40)},
            "given as media_embeds takes 12",
        ),
        (
            {"media_embeds": torch.zeros(1, 6, 40), "pixel_values": pictures(1)},
            "media_embeds and raw media",
        ),
        ({"pixel_values": torch.zeros(1, 3, 30, 28)}, r"shape \(1, 3, 30, 28\), expected"),
        ({"filter_banks": torch.zeros(1, 64, 32)}, r"shape \(1, 64, 32\), expected"),
    ],
)
def test_media_that_do_not_fit_are_an_error(
    core: Core, media: dict[str, Tensor], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        core(torch.tensor([[BOS, *PICTURE]]), **media)


@torch.inference_mode()
def test_a_condition_makes_the_queries_ask_for_something_else(core: Core) -> None:
    width = core.config.bridge_config.hidden_size
    wanted = torch.randn(3, 1, width, generator=torch.Generator().manual_seed(4))
    seen = core.embed_image(pictures(3), None, wanted)
    assert not torch.allclose(seen, core.embed_image(pictures(3)), atol=1e-3)
    alone = core.embed_image(pictures(3)[1:2], None, wanted[1:2])
    torch.testing.assert_close(seen[1:2], alone)
    heard = core.embed_audio(sounds(1), wanted[:1])
    assert not torch.allclose(heard, core.embed_audio(sounds(1)), atol=1e-3)
    with_frames = core.embed_image(pictures(3), [2, 1], wanted[:2])
    torch.testing.assert_close(
        with_frames[1:], core.embed_image(pictures(3)[2:], None, wanted[1:2])
    )
    projecting = Core(CoreConfig.tiny(bridge_config={"model_type": "projector"})).eval()
    with pytest.raises(ValueError, match="a Projector takes none"):
        projecting.embed_image(pictures(3), None, wanted)


# -- forward --------------------------------------------------------------------------------------


@torch.inference_mode()
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_nothing(core: Core, side: str) -> None:
    row = torch.tensor([[BOS, *PICTURE, 20, 21, *SOUND, 22]])
    media = {"pixel_values": pictures(1), "filter_banks": sounds(1)}
    alone = core(row, **media).logits
    pads = torch.full((1, 7), PAD)
    parts = [pads, row] if side == "left" else [row, pads]
    mask = torch.cat([(part != PAD).long() for part in parts], dim=1)
    padded = core(torch.cat(parts, dim=1), attention_mask=mask, **media).logits
    torch.testing.assert_close(padded[mask.bool()], alone[0], atol=TOLERANCE, rtol=0)


@torch.inference_mode()
@pytest.mark.parametrize("padded", [False, True])
def test_tokens_with_a_cache_give_the_logits_of_one_pass(core: Core, padded: bool) -> None:
    ids = torch.tensor([[BOS, *PICTURE, 20, *SOUND, 21, 22, 23]])
    if padded:
        ids = torch.cat([torch.full((1, 3), PAD), ids], dim=1)
    mask = (ids != PAD).long()
    whole = core(ids, pictures(1), sounds(1), attention_mask=mask).logits
    cut = ids.shape[1] - 10  # between picture and sound
    first = core(ids[:, :cut], pictures(1), attention_mask=mask[:, :cut], use_cache=True)
    second = core(
        ids[:, cut:],
        filter_banks=sounds(1),
        attention_mask=mask,
        past_key_values=first.past_key_values,
    )
    both = torch.cat([first.logits, second.logits], dim=1)
    torch.testing.assert_close(both[mask.bool()], whole[mask.bool()], atol=TOLERANCE, rtol=0)


@torch.inference_mode()
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("bools", [True, False])
def test_two_questions_may_share_a_picture_under_a_4d_mask(attention: str, bools: bool) -> None:
    core = random_core()
    core.set_attn_implementation(attention)
    shared, one, other = [BOS, *PICTURE], [20, 21, 22], [30, 31]
    ids = torch.tensor([shared + one + other])
    start, stop = len(shared) + len(one), len(shared) + len(one) + len(other)
    mask = torch.ones(stop, stop, dtype=torch.bool).tril()
    mask[start:, len(shared) : start] = False  # the second question does not see the first
    places = torch.tensor([[*range(start), *range(len(shared), len(shared) + len(other))]])
    mask4d = mask[None, None]
    if not bools:
        mask4d = torch.zeros(1, 1, stop, stop).masked_fill(~mask4d, float("-inf"))
    packed = core(ids, pictures(1), attention_mask=mask4d, position_ids=places).logits
    first = core(torch.tensor([shared + one]), pictures(1)).logits
    second = core(torch.tensor([shared + other]), pictures(1)).logits
    torch.testing.assert_close(packed[:, :start], first, atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(packed[:, start:], second[:, len(shared) :], atol=TOLERANCE, rtol=0)


@torch.inference_mode()
def test_the_loss_is_the_mean_over_the_labels_alone(core: Core) -> None:
    ids = torch.tensor([[BOS, *PICTURE, 20, 21, 22]])
    labels = ids.clone()
    labels[:, :-2] = -100
    output = core(ids, pictures(1), labels=labels)
    chosen = output.logits.log_softmax(-1)[0, [-3, -2], [21, 22]]
    torch.testing.assert_close(output.loss, -chosen.mean())


def test_a_batch_without_any_label_teaches_nothing_and_says_so(core: Core) -> None:
    ids = torch.tensor([[BOS, 20, 21]])
    with pytest.warns(UserWarning, match="all -100"):
        # nothing predicts the first token
        loss = core(ids, labels=torch.tensor([[BOS, -100, -100]])).loss
    loss.backward()
    assert loss.item() == 0
    assert not any(p.grad.any() for p in core.parameters() if p.grad is not None)
    core.zero_grad()


def test_a_talk_longer_than_the_language_model_reads_is_refused(core: Core) -> None:
    most = core.config.text_config.max_position_embeddings
    long = torch.full((1, most + 1), 20)
    with pytest.raises(ValueError, match=rf"would have {most + 1} tokens.*at most {most}"):
        core(long)
    with pytest.raises(ValueError, match=rf"would have {most + 4} tokens.*fewer new tokens"):
        core.generate(long[:, :-1], max_new_tokens=4)
    past = core(long[:, :-1], use_cache=True).past_key_values
    with pytest.raises(ValueError, match="at most"):
        core(torch.tensor([[20]]), past_key_values=past)


@torch.inference_mode()
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_media_come_in_float32_whatever_the_core_computes_in(
    dtype: torch.dtype, tmp_path: Path
) -> None:
    random_core().save_pretrained(tmp_path)
    core = Core.from_pretrained(tmp_path, dtype=dtype)
    seen, heard = core.embed_image(pictures(1)), core.embed_audio(sounds(1))
    assert seen.dtype == heard.dtype == dtype
    assert torch.isfinite(seen).all()
    assert torch.isfinite(heard).all()


def test_beats_starts_by_its_own_rule_inside_the_core() -> None:
    torch.manual_seed(0)
    layer = Core(CoreConfig.embedded()).audio_tower.encoder.layers[0]
    beta = (8 * 4) ** -0.25  # DeepNet's, for 4 layers
    assert layer.fc1.weight.std().item() == pytest.approx(beta * (2 / (192 + 768)) ** 0.5, rel=0.05)
    assert layer.self_attn.q_proj.weight.std().item() == pytest.approx(192**-0.5, rel=0.05)


def test_every_part_learns_from_the_answers() -> None:
    core = random_core().train()
    ids = torch.tensor([[BOS, *PICTURE, *SOUND, 20, 21]])
    core(ids, pictures(1), sounds(1), labels=ids.masked_fill(ids < 20, -100)).loss.backward()
    without = [name for name, p in core.named_parameters() if p.grad is None]
    assert without == []


def test_gradient_checkpointing_gives_the_same_gradients() -> None:
    core = random_core().train()
    ids = torch.tensor([[BOS, *PICTURE, 20, 21]])

    def gradients() -> dict[str, Tensor]:
        core.zero_grad()
        core(ids, pictures(1), labels=ids.masked_fill(ids < 20, -100)).loss.backward()
        return {n: p.grad.clone() for n, p in core.named_parameters() if p.grad is not None}

    plain = gradients()
    core.gradient_checkpointing_enable()
    assert core.language_model.model.layers[0].gradient_checkpointing
    assert core.vision_tower.encoder.layers[0].gradient_checkpointing
    checkpointed = gradients()
    assert plain.keys() == checkpointed.keys()
    for name, gradient in plain.items():
        torch.testing.assert_close(checkpointed[name], gradient, atol=TOLERANCE, rtol=1e-4)


# -- training and files ---------------------------------------------------------------------------


def test_only_the_named_parts_are_left_to_train() -> None:
    core = random_core()
    trained = core.train_only(
        "bridge.qformer", "bridge.audio_projection", "language_model.model.norm.weight"
    )
    names = {name for name, p in core.named_parameters() if p.requires_grad}
    assert len(trained) == len(names)
    assert {".".join(name.split(".")[:2]) for name in names} == {
        "bridge.qformer",
        "bridge.audio_projection",
        "language_model.model",
    }
    assert [name for name in names if name.startswith("language_model")] == [
        "language_model.model.norm.weight"
    ]
    assert "bridge.qformer.query_tokens.audio" in names


def test_a_part_that_does_not_exist_is_an_error_that_names_those_that_do(core: Core) -> None:
    with pytest.raises(
        ValueError, match=r"'perceiver'; the parts are vision_tower.*language_model"
    ):
        core.train_only("bridge", "perceiver")
    with pytest.raises(ValueError, match="'qform'"):
        core.train_only("qform")


def test_a_core_comes_back_from_its_folder_as_it_was(core: Core, tmp_path: Path) -> None:
    core.save_pretrained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "config.json",
        "generation_config.json",
        "model.safetensors",
    ]
    again = Core.from_pretrained(tmp_path)
    assert not again.training
    assert again.config.audio_config == core.config.audio_config
    for part in ("vision_config", "bridge_config", "text_config"):
        ours, theirs = (getattr(one.config, part).to_dict() for one in (core, again))
        assert {**theirs, "dtype": None} == {**ours, "dtype": None}
    assert again.language_model.lm_head.weight is again.get_input_embeddings().weight
    state = again.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in core.state_dict().items())
    ids = torch.tensor([[BOS, *PICTURE, *SOUND, 20]])
    with torch.inference_mode():
        before, after = (one(ids, pictures(1), sounds(1)).logits for one in (core, again))
    torch.testing.assert_close(after, before, atol=0, rtol=0)


def test_weights_in_bfloat16_are_loaded_as_float32(tmp_path: Path) -> None:
    core = random_core().to(torch.bfloat16)
    core.save_pretrained(tmp_path)
    again = Core.from_pretrained(tmp_path)
    assert {parameter.dtype for parameter in again.parameters()} == {torch.float32}
    kept = Core.from_pretrained(tmp_path, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in kept.parameters()} == {torch.bfloat16}
    ids = torch.tensor([[BOS, *PICTURE, *SOUND, 20]])
    with torch.inference_mode():
        full, half = (one(ids, pictures(1), sounds(1)).logits for one in (again, kept))
    assert half.dtype == torch.bfloat16
    assert (full.log_softmax(-1) - half.float().log_softmax(-1)).abs().mean() < 0.2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state: state.pop("bridge.qformer.query_tokens.audio"),
            "missing: bridge.qformer.query_tokens",
        ),
        (lambda state: state.pop("vision_tower.post_layernorm.bias"), "missing: vision_tower.post"),
        (lambda state: state.update(extra=torch.zeros(1)), "not known: extra"),
        (
            lambda state: state.update({"bridge.llm_projection.bias": torch.zeros(7)}),
            "of another shape.*llm_projection.bias.*7.*40",
        ),
    ],
)
def test_weights_that_do_not_fit_are_an_error_that_names_them(
    core: Core, tmp_path: Path, change, message: str
) -> None:
    core.save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    change(state)
    save_file(state, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=message):
        Core.from_pretrained(tmp_path)


def test_weights_that_are_pickled_are_not_read(core: Core, tmp_path: Path) -> None:
    core.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(core.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(OSError, match="safetensors"):
        Core.from_pretrained(tmp_path)


def test_the_vocabulary_can_grow(tmp_path: Path) -> None:
    core = random_core()
    core.resize_token_embeddings(101)
    assert core.config.text_config.vocab_size == 101
    assert core.language_model.lm_head.weight is core.get_input_embeddings().weight
    ids = torch.tensor([[BOS, *PICTURE, 100]])
    output = core(ids, pictures(1), labels=ids.masked_fill(ids < 20, -100))
    assert output.logits.shape == (1, 8, 101)
    core.save_pretrained(tmp_path)
    assert len(Core.from_pretrained(tmp_path).get_input_embeddings().weight) == 101


def test_the_embedded_core_is_as_small_as_promised() -> None:
    with torch.device("meta"):
        core = Core(CoreConfig.embedded())
    assert sum(parameter.numel() for parameter in core.parameters()) <= 13_000_000
    assert core.language_model.lm_head.weight is core.get_input_embeddings().weight
    assert core.vision_tower.embeddings.num_positions == 257


def test_the_default_is_chatbridge_13b() -> None:
    with torch.device("meta"):
        core = Core(CoreConfig(text_config={"hidden_size": 5120, "num_hidden_layers": 0}))
    state = {name: tuple(value.shape) for name, value in core.state_dict().items()}
    assert state["bridge.qformer.query_tokens.audio"] == (1, 32, 768)
    assert state["bridge.llm_projection.weight"] == (5120, 768)
    assert state["bridge.audio_projection.weight"] == (1408, 768)
    assert state["vision_tower.embeddings.position_embedding"] == (1, 257, 1408)
    assert state["bridge.qformer.encoder.layer.10.crossattention.attention.key.weight"] == (
        768,
        1408,
    )
    assert core.config.num_mel_bins == 64
    assert core.config.segment_frames == 1024
