"""A core is a transformers model like any other: Auto classes, Trainer, LoRA, device maps."""

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor
from torch.utils.data import Dataset
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    Trainer,
    TrainingArguments,
)

from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.core import Core
from nuthatch.mllm.layout import Medium, Text, lay_out
from tests.mllm.released import released_tokenizer
from tests.mllm.tiny_cores import (
    BOS,
    IMAGE,
    PAD,
    PICTURE,
    SOUND,
    pictures,
    random_core,
    sounds,
    talking_core,
)

IDS = torch.tensor([[BOS, *PICTURE, 20, *SOUND, 30, 31]])


def logits(core: Core) -> Tensor:
    media = (one.to(core.dtype) for one in (pictures(1), sounds(1)))
    with torch.inference_mode():
        found: Tensor = core(IDS, *media).logits
    return found


def test_auto_classes_know_it(tmp_path: Path) -> None:
    core = random_core()
    core.save_pretrained(tmp_path)
    assert type(AutoConfig.from_pretrained(tmp_path)) is type(core.config)
    again = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert isinstance(again, Core)
    torch.testing.assert_close(logits(again), logits(core))
    state = again.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in core.state_dict().items())


def test_attentions_agree() -> None:
    core = random_core()
    with_sdpa = logits(core)
    core.set_attn_implementation("eager")
    assert core.bridge.qformer.config._attn_implementation == "eager"
    torch.testing.assert_close(logits(core), with_sdpa, atol=1e-4, rtol=1e-5)


PARTS = ("vision_tower", "audio_tower", "bridge", "language_model")


@pytest.mark.parametrize(
    "where",
    ["cpu", {"": "cpu"}, *(dict.fromkeys(PARTS, "cpu") | {part: "disk"} for part in PARTS)],
    ids=["one", "all", *(f"{part} on disk" for part in PARTS)],
)
def test_parts_may_lie_on_other_devices(where: object, tmp_path: Path) -> None:
    core = random_core()
    core.save_pretrained(tmp_path)
    again = Core.from_pretrained(tmp_path, device_map=where, offload_folder=str(tmp_path / "disk"))
    torch.testing.assert_close(logits(again), logits(core))


def test_every_sampled_row_has_the_frames_of_its_row() -> None:
    core = talking_core()
    video = torch.randn(5, 3, 28, 28, generator=torch.Generator().manual_seed(3))
    ids = torch.tensor([[BOS, *PICTURE, 20], [BOS, *PICTURE, 21]])
    how = {"max_new_tokens": 6, "num_beams": 3, "num_return_sequences": 2}
    together = core.generate(ids, pixel_values=video, frame_counts=torch.tensor([4, 1]), **how)
    first = core.generate(ids[:1], pixel_values=video[:4].unsqueeze(0), **how)
    second = core.generate(ids[1:], pixel_values=video[4:], **how)
    assert together.tolist() == [*first.tolist(), *second.tolist()]


def test_beams_know_media_of_different_sizes() -> None:
    torch.manual_seed(0)
    sizes = {"model_type": "projector", "num_layers": 1}
    core = Core(CoreConfig.tiny(bridge_config=sizes, senses=("image",))).eval()
    rows = [[BOS, *[IMAGE] * 15, 20], [BOS, *[IMAGE] * 5, 21]]  # three frames of 5, and one
    frames = torch.randn(4, 3, 28, 28)
    ids = torch.tensor([rows[0], [PAD] * 10 + rows[1]])
    how = {"max_new_tokens": 5, "num_beams": 2}
    mask = (ids != PAD).long()
    together = core.generate(
        ids, attention_mask=mask, pixel_values=frames, frame_counts=[3, 1], **how
    )
    first = core.generate(torch.tensor(rows[:1]), pixel_values=frames[:3].unsqueeze(0), **how)
    second = core.generate(torch.tensor(rows[1:]), pixel_values=frames[3:], **how)
    assert together[0, 17:].tolist() == first[0, 17:].tolist()
    assert together[1, 17:].tolist() == second[0, 7:].tolist()


def test_lora_finds_its_modules_by_name() -> None:
    core = random_core().double()  # so that rounding, which varies with threads, cannot show
    before = logits(core)
    tuned = get_peft_model(core, LoraConfig(r=2, target_modules=r".*language_model.*q_proj"))
    adapted = {name for name, p in tuned.named_parameters() if p.requires_grad}
    assert len(adapted) == 2 * 2
    assert all("language_model" in name for name in adapted)
    torch.testing.assert_close(logits(tuned), before, atol=1e-9, rtol=0)
    media = {"pixel_values": pictures(1).double(), "filter_banks": sounds(1).double()}
    tuned(IDS, **media, labels=IDS).loss.backward()
    assert all(p.grad is not None for p in tuned.parameters() if p.requires_grad)


def test_lora_as_its_users_write_it() -> None:
    core = random_core()
    config = LoraConfig(
        r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM", modules_to_save=["bridge"]
    )
    tuned = get_peft_model(core, config)
    media = {"pixel_values": pictures(1), "filter_banks": sounds(1)}
    tuned(input_ids=IDS, **media, labels=IDS).loss.backward()
    trained = {name for name, p in tuned.named_parameters() if p.grad is not None}
    assert any("lora_A" in name for name in trained)
    assert any("bridge.modules_to_save" in name for name in trained)
    assert tuned.generate(input_ids=IDS, **media, max_new_tokens=2).shape[1] == IDS.shape[1] + 2


def test_a_part_may_be_compiled() -> None:
    core = random_core()
    expected = logits(core)
    core.bridge = torch.compile(core.bridge, backend="eager")
    torch.testing.assert_close(logits(core), expected)


@torch.inference_mode()
def test_embedded_tokens_may_be_given_in_place_of_tokens_and_media() -> None:
    core = talking_core()
    media = {"pixel_values": pictures(1), "filter_banks": sounds(1)}
    embeds = core.embed_inputs(IDS, *media.values())
    torch.testing.assert_close(core(inputs_embeds=embeds).logits, core(IDS, **media).logits)
    how = {"max_new_tokens": 4, "do_sample": False}
    written = core.generate(inputs_embeds=embeds, attention_mask=torch.ones_like(IDS), **how)
    assert written[0].tolist() == core.generate(IDS, **media, **how)[0, IDS.shape[1] :].tolist()
    for given in ({}, {"input_ids": IDS, "inputs_embeds": embeds}):
        with pytest.raises(ValueError, match="exactly one of them"):
            core(**given)


def test_placeholders_that_get_an_embedding_are_never_generated(tmp_path: Path) -> None:
    core = Core(CoreConfig.tiny(image_token_id=96, audio_token_id=97))
    assert core.generation_config.suppress_tokens is None
    core.resize_token_embeddings(98)
    core.save_pretrained(tmp_path)
    again = Core.from_pretrained(tmp_path)
    (tmp_path / "generation_config.json").unlink()
    for each in (core, again, Core.from_pretrained(tmp_path)):
        assert each.generation_config.suppress_tokens == [96, 97]


class Talks(Dataset):
    """A picture each, and what is said of it."""

    def __init__(self) -> None:
        self.pictures = pictures(4)

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> tuple[Tensor, str]:
        return self.pictures[index], f"picture {'abcd'[index]}" + "!" * index


def test_the_trainer_needs_no_subclass(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = random_core().config
    config.text_config.vocab_size = 99
    core, tokenizer = Core(config), released_tokenizer()

    def collate(samples: list[tuple[Tensor, str]]) -> dict[str, Tensor]:
        rows = [[Medium("image"), Text(said, ((0, len(said)),))] for _, said in samples]
        seen = torch.stack([picture for picture, _ in samples])
        return {**lay_out(rows, core.config, tokenizer), "pixel_values": seen}

    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        per_device_train_batch_size=2,
        max_steps=30,
        learning_rate=1e-2,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        remove_unused_columns=False,
        disable_tqdm=True,
        use_cpu=True,
    )
    trainer = Trainer(core, arguments, data_collator=collate, train_dataset=Talks())
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses[-1] < losses[0] / 2
