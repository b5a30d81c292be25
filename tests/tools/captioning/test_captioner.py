"""Captioners: BLIP through transformers on a tiny model of random weights, and a tiny core."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from nuthatch.tools.captioning import captioner
from nuthatch.tools.captioning import load as load_captioning
from nuthatch.tools.captioning.blip import BEAMS, LONGEST, SHORTEST, BlipCaptioner, Draw
from nuthatch.tools.captioning.captioner import Captioner, CoreCaptioner, merged, seed_of
from nuthatch.tools.faults import ToolUnavailable
from nuthatch.tools.weights.store import Weights
from tests.tools.tagging.lens_models import blip_model, blip_tokenizer, save_blip
from tests.training.evaluate.trials import tiny_trial

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
OTHER = np.zeros((9, 200, 3), np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_blip(tmp_path_factory.mktemp("blip"))


@pytest.fixture(scope="module")
def blip(folder: Path) -> BlipCaptioner:
    loaded = load_captioning.load(folder)
    assert isinstance(loaded, BlipCaptioner)
    return loaded


@pytest.fixture(params=["blip", "core"])
def speaker(request: pytest.FixtureRequest, blip: BlipCaptioner) -> Captioner:
    return blip if request.param == "blip" else CoreCaptioner(tiny_trial())


def test_beam_search_is_that_of_transformers_own_generate(blip):
    tokens = blip_tokenizer()(["a picture of"], return_tensors="pt")
    values = blip._processor([PICTURE], input_data_format="channels_last", return_tensors="pt")
    out = blip_model().generate(
        values["pixel_values"],
        input_ids=tokens["input_ids"],
        num_beams=BEAMS,
        min_length=SHORTEST,
        max_length=LONGEST,
    )
    expected = blip_tokenizer().decode(out[0], skip_special_tokens=True)
    assert f"[DEC] a picture of {blip.caption(PICTURE).text}" == expected


def test_the_log_probability_is_that_of_the_captions_own_tokens(blip):
    """Token by token, without a cache: the prefix and what follows the end do not count, the end
    does."""
    words = blip_tokenizer()
    values = blip._processor([PICTURE], input_data_format="channels_last", return_tensors="pt")
    end, pad = words.sep_token_id, words.pad_token_id
    written = [
        [*blip._start[0].tolist(), *words("red cup", add_special_tokens=False).input_ids, end, pad],
        [*blip._start[0].tolist(), *words("a dog on a", add_special_tokens=False).input_ids],
    ]
    with torch.inference_mode():
        seen = blip._look(PICTURE, None).expand(2, -1, -1)
        told = blip._told(torch.tensor(written), seen)
        for ids, counted, (_, mean) in zip(written, (3, 4), told, strict=True):
            found = [
                blip_model()(values["pixel_values"], torch.tensor([ids[:place]]))
                .logits[0, -1]
                .log_softmax(-1)[ids[place]]
                for place in range(4, 4 + counted)
            ]
            assert mean == pytest.approx(float(torch.stack(found).mean()), abs=1e-4)
    assert [text for text, _ in told] == ["red cup", "a dog on a"]


def test_the_prefix_is_optional_and_no_part_of_the_caption(blip):
    plain = BlipCaptioner(blip._model, blip._tokenizer, blip._processor, blip.model_id, prefix="")
    assert plain._start.tolist() == [[blip_tokenizer().convert_tokens_to_ids("[DEC]")]]
    assert plain.caption(PICTURE).text != blip.caption(PICTURE).text


def test_a_caption_is_the_same_every_time_and_of_the_picture(speaker):
    said = speaker.caption(PICTURE)
    assert said.text
    assert said.mean_logprob < 0
    speaker.caption(OTHER)
    assert speaker.caption(PICTURE) == said


def test_draws_follow_their_seed_and_more_draws_begin_with_the_same(speaker):
    few, same, more, others = (
        speaker.captions(PICTURE, n=n, seed=seed) for n, seed in ((4, 1), (4, 1), (20, 1), (4, 2))
    )
    assert few == same
    assert sum(each.times for each in few) == 4
    assert sum(each.times for each in more) == 20
    assert len(more) > len(few) > 1
    assert {each.text for each in few} <= {each.text for each in more}
    assert {each.text for each in few} != {each.text for each in others}


def test_a_seed_may_be_any_number(speaker):
    assert speaker.captions(PICTURE, n=1, seed=10**40)


def test_two_threads_do_not_disturb_each_others_draws(blip):
    with ThreadPoolExecutor(1) as pool:  # threads may round otherwise than the main one
        said = pool.map(lambda seed: blip.captions(PICTURE, n=6, seed=seed), (1, 2))
    expected = dict(zip((1, 2), said, strict=True))
    found = {}
    threads = [
        Thread(target=lambda s=seed: found.update({s: blip.captions(PICTURE, n=6, seed=s)}))
        for seed in (1, 2)
    ]
    before = torch.get_rng_state()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected
    assert (torch.get_rng_state() == before).all()


def test_draws_have_the_shares_of_the_likeliest_tokens():
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0, -torch.inf]).expand(4000, -1)
    drawn = Draw(range(4000), top_k=3)(torch.zeros(4000, 1), logits).argmax(-1)
    shares = torch.bincount(drawn, minlength=5) / 4000
    expected = [*logits[0, :3].softmax(-1).tolist(), 0, 0]
    assert shares.tolist() == pytest.approx(expected, abs=0.03)


def test_equal_captions_are_merged_the_most_frequent_first():
    draws = [("a cup", -1.0), ("a dog", -0.5), ("a cup", -1.0), ("a cow", -0.2)]
    assert [tuple(each) for each in merged(draws)] == [
        ("a cup", -1.0, 2),
        ("a cow", -0.2, 1),
        ("a dog", -0.5, 1),
    ]
    assert seed_of(0, 1) != seed_of(1, 0)


def test_what_was_seen_under_a_key_is_not_encoded_again(blip, monkeypatch):
    seen = []
    model = blip._model.vision_model
    monkeypatch.setattr(model, "forward", lambda *a, f=model.forward: seen.append(1) or f(*a))
    first = blip.caption(PICTURE, "one")
    assert blip.caption(OTHER, "one") == first
    blip.captions(PICTURE, "one", n=12, seed=0)
    assert seen == [1]
    blip.caption(OTHER, "two")
    assert seen == [1, 1]


def test_weights_that_do_not_fit_are_refused(tmp_path):
    save_blip(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["vision_model.post_layernorm.bias"]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(RuntimeError, match=r"do not fit.*post_layernorm\.bias"):
        load_captioning.load(tmp_path)


def test_an_unknown_or_missing_captioner_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        load_captioning.load(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "git"}')
    with pytest.raises(ValueError, match="known: 'blip'"):
        load_captioning.load(tmp_path)


def test_the_core_speaks_only_where_there_is_no_captioner(folder, tmp_path):
    weights = Weights(tmp_path)
    weights.put("core", tiny_trial())
    assert isinstance(captioner.captioner(weights), CoreCaptioner)
    save_blip(tmp_path / "caption")
    assert captioner.captioner(weights).model_id.startswith("blip-d16-")
    (tmp_path / "caption" / "model.safetensors").unlink()
    broken = Weights(tmp_path)
    broken.put("core", tiny_trial())
    with pytest.raises(ToolUnavailable, match="caption"):
        captioner.captioner(broken)


def test_a_captioner_that_was_put_in_is_used(blip, tmp_path):
    weights = Weights(tmp_path)
    weights.put("caption", blip)
    assert captioner.captioner(weights) is blip
