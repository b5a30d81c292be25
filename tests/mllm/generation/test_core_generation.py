"""The core generates: rows with media and without, beams, where it stops."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from nuthatch.mllm.core import Core
from tests.mllm.tiny_cores import (
    AUDIO,
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


@pytest.fixture(scope="module")
def talker() -> Core:
    return talking_core()


MIXED = [[BOS, *PICTURE, 20, *SOUND], [BOS, 30, 31], [BOS, *PICTURE, *PICTURE, 40], [BOS, *SOUND]]


def left_padded(rows: list[list[int]]) -> dict[str, Tensor]:
    length = max(len(row) for row in rows)
    ids = torch.tensor([[PAD] * (length - len(row)) + row for row in rows])
    return {"input_ids": ids, "attention_mask": (ids != PAD).long()}


def media_of(rows: list[int]) -> dict[str, Tensor]:
    """The media of these rows of MIXED: pictures 0 | | 1 2 | and sounds 0 | | | 1."""
    seen = [one for row in rows for one in ([0], [], [1, 2], [])[row]]
    heard = [one for row in rows for one in ([0], [], [], [1])[row]]
    media = {"pixel_values": pictures(3)[seen], "filter_banks": sounds(2)[heard]}
    return {name: tensor for name, tensor in media.items() if len(tensor)}


@pytest.mark.parametrize("use_cache", [True, False])
def test_rows_with_and_without_media_generate_together_what_they_generate_alone(
    talker: Core, use_cache: bool
) -> None:
    how = {"max_new_tokens": 8, "do_sample": False, "use_cache": use_cache}
    together = talker.generate(**left_padded(MIXED), **media_of([0, 1, 2, 3]), **how)
    new = together[:, -8:]
    assert len({tuple(row) for row in new.tolist()}) == 4, "the rows tell nothing apart"
    for index, row in enumerate(MIXED):
        alone = talker.generate(**left_padded([row]), **media_of([index]), **how)
        assert new[index].tolist() == alone[0, len(row) :].tolist()


@pytest.mark.parametrize("embedded", [False, True])
def test_every_beam_of_a_row_has_the_media_of_its_row(talker: Core, embedded: bool) -> None:
    how = {"max_new_tokens": 6, "do_sample": False, "num_beams": 3}

    def media(rows: list[int]) -> dict[str, Tensor]:
        given = media_of(rows)
        if not embedded or not given:
            return given
        seen = iter(talker.embed_image(given["pixel_values"])) if "pixel_values" in given else None
        heard = iter(talker.embed_audio(given["filter_banks"])) if "filter_banks" in given else None
        senses = [token for row in rows for token in MIXED[row] if token in (IMAGE, AUDIO)][::6]
        return {"media_embeds": torch.stack([next(seen if s == IMAGE else heard) for s in senses])}

    together = talker.generate(**left_padded(MIXED), **media([0, 1, 2, 3]), **how)[:, -6:]
    for index, row in enumerate(MIXED):
        alone = talker.generate(**left_padded([row]), **media([index]), **how)
        assert together[index].tolist() == alone[0, len(row) :].tolist()


def test_generation_stops_at_the_end_token(talker: Core) -> None:
    inputs = left_padded([[BOS, 30, 31]])
    written = talker.generate(**inputs, max_new_tokens=4, do_sample=False)
    assert written.shape[1] == 3 + 4
    end = int(written[0, 3])
    ended = talker.generate(**inputs, max_new_tokens=4, do_sample=False, eos_token_id=end)
    assert ended.shape[1] == 3 + 1
    assert talker.generation_config.eos_token_id == 7


def test_a_placeholder_is_never_generated(tmp_path: Path) -> None:
    core = random_core()
    with torch.no_grad():  # the head is tied to the embeddings, so a long one is a likely one
        core.get_input_embeddings().weight[[IMAGE, AUDIO]] *= 100
    core.save_pretrained(tmp_path)
    for one in (core, Core.from_pretrained(tmp_path)):
        torch.manual_seed(0)
        inputs = left_padded([[BOS, 30, 31]])
        written = one.generate(**inputs, max_new_tokens=50, do_sample=True, num_return_sequences=3)
        assert not torch.isin(written[:, 3:], torch.tensor([IMAGE, AUDIO])).any()
