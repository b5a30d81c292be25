"""What a user of the processor may rely on; the tiny core's queries are 6 to a medium."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import CLIPImageProcessorPil, PreTrainedTokenizerFast

from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.core import Core
from nuthatch.mllm.encoders.fbank import beats_filter_bank
from nuthatch.mllm.presets import chatbridge, llava
from nuthatch.mllm.processing import CoreProcessor, expand_placeholders, fit, segments
from tests.mllm.released import released_config, released_core, released_tokenizer
from tests.mllm.tiny_cores import random_core
from tests.paths import GOLDEN

SPECIAL = ("<|pad|>", "<|bos|>", "<|2|>", "<|3|>", "<|4|>", "<|5|>", "<|6|>", "<|end|>")
MEDIA = ("<|image|>", "<|audio|>")
PICTURE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
SOUND = np.random.default_rng(1).uniform(-0.5, 0.5, 8000).astype(np.float32)


@pytest.fixture(scope="module")
def processor() -> CoreProcessor:
    names = [*SPECIAL, *MEDIA, *(chr(code) for code in range(32, 96))]
    tokenizer = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, " "))
    tokenizer.add_special_tokens([*SPECIAL, *MEDIA])
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|pad|>", eos_token="<|end|>"
    )
    return CoreProcessor(CoreConfig.tiny(), fast)


# -- text -----------------------------------------------------------------------------------------


def test_every_placeholder_becomes_as_many_as_its_medium_has_queries() -> None:
    assert expand_placeholders([1, 8, 20, 9, 8], {8: 3, 9: 3}) == [1, 8, 8, 8, 20, 9, 9, 9, 8, 8, 8]
    assert expand_placeholders([1, 8, 9], {9: 2}) == [1, 8, 9, 9]


def test_a_batch_goes_straight_into_the_core(processor: CoreProcessor) -> None:
    batch = processor(
        ["<|bos|>A<|image|><|audio|>B", "<|bos|>HELLO"], [[PICTURE], []], [[SOUND], []]
    )
    word = processor.tokenizer.convert_tokens_to_ids
    assert batch["input_ids"][0].tolist() == [1, word("A"), *[8] * 6, *[9] * 6, word("B")]
    assert batch["input_ids"][1, :9].tolist() == [0] * 9
    assert batch["attention_mask"].sum(-1).tolist() == [15, 6]
    assert batch["pixel_values"].shape == (1, 3, 28, 28)
    assert batch["filter_banks"].shape == (1, 1, 64, 32)
    core = Core(processor.config).eval()
    assert core(**batch).logits.shape == (2, 15, 96)
    assert core.generate(**batch, max_new_tokens=2, do_sample=False).shape == (2, 17)


def test_token_ids_may_be_given_in_place_of_text(processor: CoreProcessor) -> None:
    text = "<|bos|>A<|image|>B"
    ids = processor.tokenizer.encode(text, add_special_tokens=False)
    by_text, by_ids = processor([text], [[PICTURE]]), processor([ids], [[PICTURE]])
    assert torch.equal(by_text["input_ids"], by_ids["input_ids"])


def test_padding_may_stand_on_the_right(processor: CoreProcessor) -> None:
    batch = processor(["<|bos|>AB", "<|bos|>"], padding_side="right")
    assert batch["input_ids"][1].tolist() == [1, 0, 0]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert "pixel_values" not in batch
    with pytest.raises(ValueError, match="padding_side='middle'"):
        processor(["A"], padding_side="middle")


def test_media_of_all_prompts_come_one_after_the_other(processor: CoreProcessor) -> None:
    other = 255 - PICTURE
    batch = processor(
        ["<|image|><|image|>", "<|audio|>", "<|image|>"],
        [[PICTURE, other], [], [PICTURE]],
        [[], [SOUND], []],
    )
    expected = processor.pixel_values([PICTURE, other, PICTURE])
    assert torch.equal(batch["pixel_values"], expected)


@pytest.mark.parametrize(
    ("prompts", "images", "sounds", "message"),
    [
        (["A"], [[PICTURE]], [], "1 images for a prompt with 0 placeholders <|image|>"),
        (["<|image|>"], [], [], "0 images for a prompt with 1 placeholders <|image|>"),
        (["<|audio|><|audio|>"], [], [[SOUND]], "1 sounds for a prompt with 2 placeholders"),
        (["<|image|>", "A"], [[], [PICTURE]], [], "0 images for a prompt with 1 placeholders"),
        (["A", "B"], [[]], [], "2 prompts, images for 1"),
        ([""], [], [], "empty prompt"),
        (["A" * 513], [], [], "513 tokens.*at most 512"),
        (["<|image|>" * 86], [[PICTURE] * 86], [], "516 tokens.*media included"),
    ],
)
def test_prompts_and_media_that_do_not_match_are_an_error(
    processor: CoreProcessor, prompts, images, sounds, message: str
) -> None:
    with pytest.raises(ValueError, match=message.replace("|", r"\|")):
        processor(prompts, images, sounds)


# -- pictures -------------------------------------------------------------------------------------


def test_a_picture_is_scaled_to_a_square_and_normalised(processor: CoreProcessor) -> None:
    red = np.zeros((50, 20, 3), np.uint8)
    red[..., 0] = 255
    values = processor.pixel_values([red])
    mean, std = processor.config.image_mean, processor.config.image_std
    assert values.dtype == torch.float32
    for channel, amount in enumerate((1.0, 0.0, 0.0)):
        expected = (amount - mean[channel]) / std[channel]
        assert values[0, channel].numpy() == pytest.approx(expected, abs=1e-5)


def test_top_and_left_stay_top_and_left(processor: CoreProcessor) -> None:
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:20, :30] = 255
    bright = processor.pixel_values([picture])[0, 0] > 0
    assert bright[:13, :13].all()
    assert not bright[15:].any()
    assert not bright[:, 15:].any()


def test_a_file_of_a_turned_camera_is_made_upright(processor: CoreProcessor) -> None:
    upright = Image.fromarray(PICTURE)
    lying = upright.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    lying.info["exif"] = exif.tobytes()
    lying.getexif().load(exif.tobytes())
    assert torch.equal(processor.pixel_values([lying]), processor.pixel_values([upright]))


def test_an_array_and_a_grey_picture_are_read_as_rgb(processor: CoreProcessor) -> None:
    grey = Image.fromarray(PICTURE[..., 0])
    as_rgb = np.repeat(PICTURE[..., :1], 3, axis=2)
    assert torch.equal(processor.pixel_values([grey]), processor.pixel_values([as_rgb]))


@pytest.mark.parametrize(
    "image", [PICTURE[..., 0], PICTURE.astype(np.float32), PICTURE[:0], PICTURE.transpose(2, 0, 1)]
)
def test_an_array_that_is_no_picture_is_an_error(processor: CoreProcessor, image) -> None:
    with pytest.raises(ValueError, match=r"expected \(height, width, 3\) uint8 RGB"):
        processor.pixel_values([image])


# -- sounds ---------------------------------------------------------------------------------------


def test_a_sound_becomes_a_normalised_filter_bank_padded_with_zeros(
    processor: CoreProcessor,
) -> None:
    bank = processor.filter_banks([SOUND[:4000]])[0, 0]
    expected = beats_filter_bank(torch.from_numpy(SOUND[:4000]), 32)
    torch.testing.assert_close(bank[: len(expected)], expected)
    assert (bank[len(expected) :] == 0).all()
    assert len(expected) == 23


def test_sounds_of_any_length_and_precision_fit_in_one_batch(processor: CoreProcessor) -> None:
    sounds = [SOUND[:1], SOUND.astype(np.float64), np.tile(SOUND, 5)]
    assert processor.filter_banks(sounds).shape == (3, 1, 64, 32)


@pytest.mark.parametrize(
    ("sound", "message"),
    [
        (SOUND[:0], r"shape \(0,\)"),
        (SOUND.reshape(2, -1), r"shape \(2, 4000\)"),
        ((SOUND * 2**15).astype(np.int16), "type int16, expected"),
        (np.full(500, np.nan, np.float32), "NaN"),
    ],
)
def test_a_sound_that_cannot_be_heard_is_an_error(
    processor: CoreProcessor, sound, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        processor.filter_banks([sound])


@pytest.mark.parametrize(
    "case",
    json.loads((GOLDEN / "audio_segments.json").read_text())["cases"],
    ids=lambda case: f"{case['n_frames']} frames, {case['sample_num']} segments",
)
def test_the_segments_that_are_heard_are_the_references(case: dict) -> None:
    # The value of a frame is its number, counted from 1 so that padding differs from the first.
    bank = torch.arange(1.0, case["n_frames"] + 1).unsqueeze(1).expand(-1, 64)
    heard = segments(bank, 1024, case["sample_num"])
    assert list(heard.shape) == case["shape"]
    assert (heard[:, 0, 0] - 1).tolist() == case["first_frame"]
    assert (heard[..., 0] != 0).sum(-1).tolist() == case["nonzero_frames"]


# -- files ----------------------------------------------------------------------------------------


def test_a_processor_comes_back_from_its_cores_folder(
    processor: CoreProcessor, tmp_path: Path
) -> None:
    Core(processor.config).save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again = CoreProcessor.from_pretrained(tmp_path)
    prompt, media = ["<|bos|>A<|image|><|audio|>"], ([[PICTURE]], [[SOUND]])
    before, after = processor(prompt, *media), again(prompt, *media)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    Core.from_pretrained(tmp_path)


def test_a_folder_without_a_tokenizer_is_an_error(processor: CoreProcessor, tmp_path: Path) -> None:
    processor.config.save_pretrained(tmp_path)
    with pytest.raises(OSError, match="tokenizer"):
        CoreProcessor.from_pretrained(tmp_path)


@torch.inference_mode()
def test_a_video_is_the_list_of_its_frames(processor: CoreProcessor) -> None:
    core = random_core()
    frames = [np.full((10, 20, 3), shade, np.uint8) for shade in (0, 90, 180, 250)]
    batch = processor([[1, 8, 20], [1, 8]], [[frames], [frames[0]]])
    assert batch["pixel_values"].shape == (5, 3, 28, 28)
    assert batch["frame_counts"].tolist() == [4, 1]
    assert (batch["input_ids"][0] == 8).sum() == 6, "a Q-Former's queries, whatever the frames"
    together = core.embed_inputs(batch["input_ids"], batch["pixel_values"], None, None, [4, 1])
    video = core.embed_image(batch["pixel_values"][:4].unsqueeze(0))
    torch.testing.assert_close(together[0, 1:7], video[0])
    with pytest.raises(ValueError, match="video without frames"):
        processor([[1, 8]], [[[]]])


def test_how_a_picture_is_made_a_square() -> None:
    stripes = np.zeros((10, 30, 3), np.uint8)
    stripes[:, :10], stripes[:, 20:] = (255, 0, 0), (0, 0, 255)
    picture = Image.fromarray(stripes)
    ways = ("stretch", "crop", "pad")
    stretched, cropped, padded = (fit(picture, 30, how, (9, 9, 9)) for how in ways)
    red, black, blue, grey = (255, 0, 0), (0, 0, 0), (0, 0, 255), (9, 9, 9)
    assert [stretched.getpixel((x, 1)) for x in (0, 15, 29)] == [red, black, blue]
    assert [cropped.getpixel((x, 1)) for x in (5, 15, 25)] == [black, black, black]
    assert [padded.getpixel((15, y)) for y in (0, 9, 15, 25)] == [grey, grey, black, grey]
    assert [padded.getpixel((x, 15)) for x in (0, 29)] == [red, blue]


@pytest.mark.parametrize("shape", [(427, 640), (640, 427), (224, 224), (30, 300)])
def test_the_middle_of_a_picture_is_cut_as_clip_cuts_it(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(2).integers(0, 256, (*shape, 3), dtype=np.uint8)
    theirs = CLIPImageProcessorPil()(Image.fromarray(noise), return_tensors="np")["pixel_values"]
    config = CoreConfig.tiny(image_fit="crop")
    config.vision_config.image_size = 224
    ours = CoreProcessor(config, PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE())))
    np.testing.assert_allclose(ours.pixel_values([noise]).numpy(), theirs, atol=1e-5)


# -- talks of published systems -------------------------------------------------------------------


@pytest.fixture(scope="module")
def published() -> tuple[Core, CoreProcessor]:
    core = released_core()
    return core, CoreProcessor(core.config, released_tokenizer())


def asked(*media: dict, text: str = "What is this?") -> list[dict]:
    return [{"role": "user", "content": [*media, {"type": "text", "text": text}]}]


def test_talks_with_their_media_go_straight_into_a_published_core(
    published: tuple[Core, CoreProcessor],
) -> None:
    core, processor = published
    video = {"type": "video", "video": [PICTURE] * 3}
    sound = {"type": "audio", "audio": SOUND}
    talks = [asked({"type": "image", "image": PICTURE}), asked(video, sound), asked()]
    batch = processor.batch(talks, chatbridge.CHAT)
    assert batch["frame_counts"].tolist() == [1, 3]
    assert batch["pixel_values"].shape[0] == 4
    assert batch["filter_banks"].shape[0] == 1
    written = core.generate(**batch, max_new_tokens=3, do_sample=False)
    assert written.shape == (3, batch["input_ids"].shape[1] + 3)
    alone = processor.batch(talks[:1], chatbridge.CHAT)
    again = core.generate(**alone, max_new_tokens=3, do_sample=False)
    assert again[0, -3:].tolist() == written[0, -3:].tolist()


def test_talks_to_learn_from_have_labels(published: tuple[Core, CoreProcessor]) -> None:
    core, processor = published
    talk = [*asked({"type": "audio", "audio": SOUND}), {"role": "assistant", "content": "A cat."}]
    batch = processor.batch([talk], chatbridge.CHAT, to_learn=True)
    assert (batch["labels"] >= 0).any()
    assert core(**batch).loss > 0


def test_media_in_an_order_that_weights_never_saw_are_put_into_the_one_they_saw(
    published: tuple[Core, CoreProcessor],
) -> None:
    video, sound = {"type": "video", "video": [PICTURE]}, {"type": "audio", "audio": SOUND}
    one, other = (
        published[1].batch([asked(*media)], chatbridge.CHAT)["input_ids"].tolist()
        for media in ((video, sound), (sound, video))
    )
    assert one == other


def test_the_published_layout_is_an_argument(published: tuple[Core, CoreProcessor]) -> None:
    talks = [asked(text="What is this, and where does it come from?"), asked()]
    repaired = published[1].batch(talks, chatbridge.CHAT)
    faulty = published[1].batch(talks, chatbridge.CHAT, reference_quirks=True)
    begin = published[1].tokenizer.bos_token_id
    assert (repaired["attention_mask"][repaired["input_ids"] == begin] == 1).all()
    assert faulty["attention_mask"][1, 0] == 0
    assert faulty["input_ids"][1, 0] == begin


def test_a_talk_in_the_style_of_another_vicuna_is_refused(
    published: tuple[Core, CoreProcessor],
) -> None:
    config = released_config(prompt_style="v0")
    processor = CoreProcessor(config, published[1].tokenizer)
    with pytest.raises(ValueError, match="style 'v1' for a core that was trained with 'v0'"):
        processor.batch([asked()], llava.chat())
    assert "input_ids" in processor.batch([asked()], chatbridge.CHAT)


def test_a_part_without_its_medium_is_an_error(published: tuple[Core, CoreProcessor]) -> None:
    with pytest.raises(ValueError, match="holds no medium; expected for instance"):
        published[1].batch([asked({"type": "image"})], chatbridge.CHAT)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"prompts": "hi there"}, "no list of prompts"),
        ({"prompts": []}, "no list of prompts"),
        (
            {"prompts": ["<|image|>"], "images": [["cat.png"]]},
            "type str, expected a PIL picture",
        ),
        ({"prompts": ["<|audio|>"], "sounds": [[(SOUND, 16000)]]}, "expected samples alone"),
        ({"prompts": ["<|audio|>"], "sounds": [[SOUND * 32768]]}, "divide 16-bit samples"),
        ({"prompts": ["<|audio|>"], "sounds": [[SOUND * np.nan]]}, "mend or leave out what is NaN"),
    ],
)
def test_what_cannot_be_prepared_says_what_to_do(
    processor: CoreProcessor, given: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        processor(**given)
