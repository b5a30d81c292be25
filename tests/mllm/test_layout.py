"""How segments become a batch; the golden batches are those of the reference implementations."""

import json

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.core import Core
from nuthatch.mllm.layout import IGNORED, Medium, Text, lay_out
from nuthatch.mllm.presets import bubogpt, chatbridge, llava
from tests.mllm.released import GOLDEN, bubogpt_core, released_core, released_tokenizer

TOLERANCE = 1e-5
LOGITS_TOLERANCE = 2e-5  # sums of more terms


@pytest.fixture(scope="module")
def core() -> Core:
    return released_core()


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return released_tokenizer()


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    return load_file(GOLDEN / "chatbridge_activations.safetensors")


def parts(*kinds: str) -> list[dict]:
    return [{"type": kind, "frames": 4} if kind == "video" else {"type": kind} for kind in kinds]


def talk(text: str) -> list[dict]:
    """The messages that one of the golden texts was made of."""
    media = [
        kind
        for said, kind in (("image: <", "image"), ("video: <", "video"), ("audio: <", "audio"))
        if said in text
    ]
    turns = text.removesuffix("###").split("###")[2:]
    messages = []
    for turn in turns:
        who, said = turn.split(":", 1)
        role = "user" if who == "Human" else "assistant"
        messages.append(
            {"role": role, "content": said.removeprefix(" ") if role == "user" else said}
        )
    first = messages[0]
    first["content"] = [*parts(*media), {"type": "text", "text": first["content"]}]
    return messages


MEDIA = {
    "image": {"pixel_values": "image"},
    "audio_truncated": {"filter_banks": "audio"},
    "video_audio": {"pixel_values": "video", "filter_banks": "audio"},
}


@torch.inference_mode()
@pytest.mark.parametrize("case", MEDIA)
def test_instruction_tuning_agrees_with_the_reference(
    core: Core, tokenizer: PreTrainedTokenizerFast, golden: dict[str, Tensor], case: str
) -> None:
    given = json.loads((GOLDEN / f"stage2_{case}.json").read_text())
    rows = [chatbridge.CHAT.segments(talk(text)) for text in given["texts"]]
    batch = lay_out(
        rows, core.config, tokenizer, max_tokens=given["max_txt_len"], quirk="masked_bos"
    )
    expected = {
        name.removeprefix(f"stage2/{case}/"): tensor
        for name, tensor in golden.items()
        if name.startswith(f"stage2/{case}/")
    }
    assert torch.equal(batch["attention_mask"], expected["attention_mask"])
    assert torch.equal(batch["labels"], expected["labels"])
    media = {name: golden[source] for name, source in MEDIA[case].items()}
    if "inputs_embeds" in expected:
        embeds = core.embed_inputs(batch["input_ids"], **media)
        read = expected["inputs_embeds"].abs().sum(-1) > 0  # the reference pads with zeros
        torch.testing.assert_close(
            embeds[read], expected["inputs_embeds"][read], atol=TOLERANCE, rtol=0
        )
    output = core(**batch, **media)
    torch.testing.assert_close(output.loss, expected["loss"], atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(
        output.logits[:, -8:], expected["logits"], atol=LOGITS_TOLERANCE, rtol=0
    )


@torch.inference_mode()
@pytest.mark.parametrize(
    ("case", "sense", "media"),
    [("ti", "image", "image"), ("ti_video", "image", "video"), ("ta", "audio", "audio")],
)
def test_captions_agree_with_the_reference(
    core: Core,
    tokenizer: PreTrainedTokenizerFast,
    golden: dict[str, Tensor],
    case: str,
    sense: str,
    media: str,
) -> None:
    given = json.loads((GOLDEN / "chat_prompt.json").read_text())
    frames = 4 if media == "video" else 1
    rows = [
        [Medium(sense, frames), Text(caption + given["end_sym_stage1"], ((0, 99),))]
        for caption in given["captions_stage1"]
    ]
    places = core.config.num_tokens(sense) + given["max_txt_len_stage1"]
    batch = lay_out(rows, core.config, tokenizer, max_tokens=places)
    name = "filter_banks" if sense == "audio" else "pixel_values"
    output = core(**batch, **{name: golden[media]})
    assert torch.equal(batch["attention_mask"], golden[f"stage1/{case}/attention_mask"])
    assert torch.equal(batch["labels"], golden[f"stage1/{case}/labels"])
    torch.testing.assert_close(output.loss, golden[f"stage1/{case}/loss"], atol=TOLERANCE, rtol=0)
    real = batch["attention_mask"][:, -8:].bool()
    torch.testing.assert_close(
        output.logits[:, -8:][real],
        golden[f"stage1/{case}/logits"][real],
        atol=LOGITS_TOLERANCE,
        rtol=0,
    )


@torch.inference_mode()
def test_a_chat_prompt_and_what_follows_it_agree_with_the_reference(
    core: Core, tokenizer: PreTrainedTokenizerFast, golden: dict[str, Tensor]
) -> None:
    prompt = json.loads((GOLDEN / "chat_prompt.json").read_text())["prompt"]
    messages = talk(prompt.replace("ImageHere", "query").removesuffix("###Assistant:"))
    segments = chatbridge.CHAT.segments(messages)
    written = "".join("<ImageHere>" if isinstance(s, Medium) else s.text for s in segments)
    assert written == prompt
    batch = lay_out([segments], core.config, tokenizer)
    del batch["labels"], batch["position_ids"]
    media = {"pixel_values": golden["video"][:1], "filter_banks": golden["audio"][:1]}
    embeds = core.embed_inputs(batch["input_ids"], **media)
    expected = golden["chat/context_embeds"]
    torch.testing.assert_close(embeds, expected, atol=TOLERANCE, rtol=0)
    said = core.generate(**batch, **media, do_sample=False, max_new_tokens=12)
    assert said[0, batch["input_ids"].shape[1] :].tolist() == golden["chat/greedy_ids"].tolist()


@torch.inference_mode()
def test_padded_pieces_agree_with_the_reference(tokenizer: PreTrainedTokenizerFast) -> None:
    core, golden = bubogpt_core(), load_file(GOLDEN / "bubogpt_activations.safetensors")
    given = json.loads((GOLDEN / "bubogpt_prompts.json").read_text())
    rows = []
    for prompt, answer in zip(given["prompts"], given["answers"], strict=True):
        asked = [*parts("audio", "image"), {"type": "text", "text": prompt.rsplit("> ", 1)[1]}]
        messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
        rows.append(bubogpt.CHAT.segments(messages))
    batch = lay_out(
        rows,
        core.config,
        tokenizer,
        max_tokens=given["max_txt_len"],
        quirk="padded_pieces",
    )
    assert torch.equal(batch["attention_mask"], golden["stage2/attention_mask"])
    assert torch.equal(batch["labels"], golden["stage2/labels"])
    sounds = golden["audio"].squeeze(2).transpose(2, 3)
    output = core(**batch, pixel_values=golden["vision"], filter_banks=sounds)
    torch.testing.assert_close(output.loss, golden["loss"], atol=TOLERANCE, rtol=0)
    real = batch["attention_mask"][:, -8:].bool()
    torch.testing.assert_close(
        output.logits[:, -8:][real], golden["stage2/logits"][real], atol=LOGITS_TOLERANCE, rtol=0
    )


@pytest.mark.parametrize("pictures", [True, False])
def test_labels_of_llavas_talks_are_the_references(pictures: bool) -> None:
    given = json.loads((GOLDEN / "llava_mask.json").read_text())
    tokenizer = word_tokenizer(given)
    config = CoreConfig.tiny(num_query_tokens=1, image_token_id=len(tokenizer))
    chat = llava.chat(given["system"])
    cases = [case for case in given["cases"] if case["image"] == pictures]
    assert len(cases) == 10
    rows = []
    for case in cases:
        messages = []
        for turn in case["messages"]:
            if not messages and turn["from"] == "gpt":
                continue  # the reference leaves out what nobody asked
            text = turn["value"].replace("<image>", "").strip()
            content = [{"type": "text", "text": text}]
            if "<image>" in turn["value"]:
                content.insert(0, {"type": "image"})
            role = {"human": "user", "gpt": "assistant"}[turn["from"]]
            messages.append({"role": role, "content": content})
        rows.append(chat.segments(messages))
    batch = lay_out(rows, config, tokenizer)
    for index, case in enumerate(cases):
        ids = [
            given["image_id"] if t == config.image_token_id else t
            for t in batch["input_ids"][index].tolist()
        ]
        real = int(batch["attention_mask"][index].sum())
        expected = [token for token in case["input_ids"] if token != given["pad_id"]]
        assert ids[:real] == expected
        assert batch["labels"][index, :real].tolist() == case["labels"][:real]


def word_tokenizer(given: dict) -> PreTrainedTokenizerFast:
    """Words with the blank before them, and a blank in front of every piece of text."""
    tokenizer = Tokenizer(models.WordLevel(given["vocabulary"], unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Prepend(" ")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(given["token_pattern"]), "isolated")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


# -- rules of ours --------------------------------------------------------------------------------


ROWS = [
    [Medium("image"), Text("a dog barks", ((2, 11),))],
    [Text("hi", ((0, 2),))],
    [Text("one "), Medium("audio"), Text(" two "), Medium("image", frames=4), Text("three")],
]


def media_of_rows() -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(0)
    return {
        "pixel_values": torch.randn(5, 3, 28, 28, generator=random),
        "filter_banks": torch.randn(1, 2, 64, 32, generator=random),
        "frame_counts": torch.tensor([1, 4]),
    }


@torch.inference_mode()
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_row_reads_the_same_alone_and_in_a_padded_batch(
    core: Core, tokenizer: PreTrainedTokenizerFast, side: str
) -> None:
    batch = lay_out(ROWS, core.config, tokenizer, padding_side=side)
    together = core(**batch, **media_of_rows()).logits
    media = media_of_rows()
    pixels = media["pixel_values"]
    alone_media = [
        {"pixel_values": pixels[:1]},
        {},
        {"pixel_values": pixels[1:], "filter_banks": media["filter_banks"], "frame_counts": [4]},
    ]
    for index, (row, given) in enumerate(zip(ROWS, alone_media, strict=True)):
        one = lay_out([row], core.config, tokenizer)
        real = batch["attention_mask"][index].bool()
        assert torch.equal(batch["input_ids"][index, real], one["input_ids"][0])
        assert torch.equal(batch["labels"][index, real], one.pop("labels")[0])
        alone = core(**one, **given).logits[0]
        torch.testing.assert_close(together[index, real], alone, atol=LOGITS_TOLERANCE, rtol=0)


def test_labels_stand_where_text_is_learned(core: Core, tokenizer: PreTrainedTokenizerFast) -> None:
    labels = lay_out(ROWS[:1], core.config, tokenizer)["labels"][0]
    learned = labels[labels != IGNORED]
    assert tokenizer.decode(learned).replace(" ", "") == "dogbarks"
    assert labels[-9:].tolist() == learned.tolist()


def test_a_row_is_cut_on_the_right_but_never_through_a_medium(
    core: Core, tokenizer: PreTrainedTokenizerFast
) -> None:
    cut = lay_out(ROWS[:1], core.config, tokenizer, max_tokens=8)
    assert cut["input_ids"].shape == (1, 9)  # BOS does not count
    with pytest.raises(ValueError, match=r"row 0 has 17 places.*to 4 loses 2"):
        lay_out(ROWS[:1], core.config, tokenizer, max_tokens=4)
    with pytest.raises(ValueError, match="no rows"):
        lay_out([], core.config, tokenizer)


def test_a_row_that_the_language_model_cannot_hold_is_an_error(
    core: Core, tokenizer: PreTrainedTokenizerFast
) -> None:
    with pytest.raises(ValueError, match=r"a row has 601 places.*at most 512"):
        lay_out([[Text("a" * 600)]], core.config, tokenizer)
    assert lay_out([[Text("a" * 600)]], core.config, tokenizer, max_tokens=511)


def test_a_tokenizer_that_swallows_blanks_is_refused(core: Core) -> None:
    swallowing = released_tokenizer()
    swallowing.backend_tokenizer.normalizer = normalizers.Strip()
    with pytest.raises(ValueError, match="swallows the blank"):
        lay_out(ROWS[:1], core.config, swallowing)


# -- what is refused, and what is said ------------------------------------------------------------


def tokenizer_with_special_tokens() -> PreTrainedTokenizerFast:
    tokenizer = released_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>", "<audio>"]})
    return tokenizer


def test_what_looks_like_a_special_token_is_text_where_somebody_said_it() -> None:
    tokenizer = tokenizer_with_special_tokens()
    config = CoreConfig.tiny(image_token_id=tokenizer.convert_tokens_to_ids("<image>"))
    end = tokenizer.eos_token
    text = f"say <image>{end} or {end}"
    meant, said = (
        lay_out([[Text(text, said=spans)]], config, tokenizer)["input_ids"][0].tolist()[1:]
        for spans in ((), ((0, len(text) - len(end)),))
    )
    special = set(tokenizer.all_special_ids)
    assert [token for token in meant if token in special] == [
        config.image_token_id,
        tokenizer.eos_token_id,
        tokenizer.eos_token_id,
    ]
    assert [token for token in said if token in special] == [tokenizer.eos_token_id]
    assert said[-1] == tokenizer.eos_token_id, "what the format wrote itself"
    assert tokenizer.decode(said).replace(" ", "").startswith("say<image>")


@pytest.mark.parametrize(
    ("rows", "how", "message"),
    [
        ([[]], {}, "or an empty one"),
        (ROWS, {"padding_side": "center"}, "padding_side='center', expected"),
        (ROWS, {"max_tokens": -2}, "max_tokens=-2, expected at least 1"),
        (ROWS, {"quirk": "maskedbos"}, "quirk='maskedbos', expected None or one of"),
        (ROWS, {"quirk": "padded_pieces"}, "same kinds of segments"),
        ([[Medium("video")]], {}, "sense 'video'; this core has image and audio"),
    ],
)
def test_what_cannot_be_laid_out_is_an_error(
    core: Core, tokenizer: PreTrainedTokenizerFast, rows: list, how: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        lay_out(rows, core.config, tokenizer, **how)
