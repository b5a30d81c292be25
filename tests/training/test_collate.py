"""Packing: what a model says of packed dialogues is what it says of each alone."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from nuthatch.mllm.chat import Encoded  # noqa: E402
from nuthatch.training.collate import (  # noqa: E402
    IGNORED,
    Packer,
    answer_weights,
    share,
    split,
)

VOCABULARY = 50


def dialogue(rng: np.random.Generator, prefix: list[int], answers: list[int]) -> Encoded:
    """After the prefix, for each answer three tokens of a user and so many of the assistant."""
    ids, said = list(prefix), [0] * len(prefix)
    for length in answers:
        ids += rng.integers(1, VOCABULARY, 3 + length).tolist()
        said += [0] * 3 + [1] * length
    return Encoded(ids, said)


@pytest.fixture
def llama():
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=128,
    )
    return transformers.LlamaForCausalLM(config).eval()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_packed_logits_are_those_of_each_dialogue_alone(llama, attention):
    llama.set_attn_implementation(attention)
    rng = np.random.default_rng(0)
    first, second = ([*rng.integers(1, VOCABULARY, n).tolist()] for n in (9, 5))
    talks = [
        [dialogue(rng, first, [2]), dialogue(rng, first, [5]), dialogue(rng, first, [1, 4])],
        [dialogue(rng, second, [3])],
        [dialogue(rng, second, [1]), dialogue(rng, second, [2])],
    ]
    groups = [share(each) for each in talks]
    batch = Packer(rows=2, length=48).batch([groups[:2], groups[2:]])
    mask = batch.attention
    if attention == "eager":
        mask = torch.where(mask, 0.0, torch.finfo(torch.float32).min)
    with torch.no_grad():
        packed = llama(batch.input_ids, attention_mask=mask, position_ids=batch.position_ids).logits
    checked = 0
    for row, members in enumerate([talks[:2], talks[2:]]):
        for number, member in enumerate(members):
            for branch, each in enumerate(member, start=1):
                with torch.no_grad():
                    alone = llama(torch.tensor([each.ids])).logits[0]
                mine = (batch.groups[row] == number) & (
                    (batch.branches[row] == 0) | (batch.branches[row] == branch)
                )
                assert batch.input_ids[row][mine].tolist() == each.ids
                assert torch.allclose(packed[row][mine], alone, atol=1e-5)
                checked += 1
    assert checked == 6


def weighted_loss(logits, labels, weights):
    """Mean of the cross-entropies under the weights: logits (B, T, V), labels and weights (B, T).

    The label of a token is predicted by the token before it, as everywhere in transformers.
    """
    targets, counts = labels[:, 1:], weights[:, 1:]
    losses = torch.nn.functional.cross_entropy(
        logits[:, :-1].transpose(1, 2).float(), targets, ignore_index=IGNORED, reduction="none"
    )
    return (losses * counts).sum() / counts.sum().clamp_min(1e-8)


def test_the_loss_of_a_packed_batch_is_that_of_the_dialogues_one_by_one(llama):
    rng = np.random.default_rng(1)
    prefix = rng.integers(1, VOCABULARY, 7).tolist()
    talks = [dialogue(rng, prefix, [n]) for n in (1, 6)]
    batch = Packer(rows=1, length=40).batch([[share(talks)]])
    with torch.no_grad():
        logits = llama(
            batch.input_ids, attention_mask=batch.attention, position_ids=batch.position_ids
        ).logits
    packed = weighted_loss(logits, batch.labels, batch.weights)
    total = weight = 0.0
    for talk in talks:
        (alone,) = Packer(rows=1, length=40).batches([share([talk])], last=True)
        with torch.no_grad():
            logits = llama(alone.input_ids, attention_mask=alone.attention).logits
        share_of = float(alone.weights.sum())
        total += float(weighted_loss(logits, alone.labels, alone.weights)) * share_of
        weight += share_of
    assert float(packed) == pytest.approx(total / weight, abs=1e-5)


def test_a_prefix_ends_before_the_token_that_predicts_an_answer():
    talks = [Encoded([1, 2, 3, 4, 5], [0, 0, 0, 1, 1]), Encoded([1, 2, 3, 7], [0, 0, 0, 1])]
    group = share(talks)
    assert group.prefix.tolist() == [1, 2]
    assert [branch.tolist() for branch in group.branches] == [[3, 4, 5], [3, 7]]


def test_every_answer_weighs_its_length_to_the_power_of_three_tenths():
    weights = answer_weights(np.array([0, 1, 1, 1, 0, 1, 0]))
    assert weights[[0, 4, 6]].tolist() == [0, 0, 0]
    assert weights[1:4].sum() == pytest.approx(3**0.3)
    assert weights[5] == pytest.approx(1)


def test_labels_stand_only_where_the_assistant_speaks():
    talk = Encoded([4, 5, 6, 7], [0, 0, 1, 1])
    batch = Packer(rows=1, length=6).batch([[share([talk])]])
    assert batch.labels.tolist() == [[IGNORED, IGNORED, 6, 7, IGNORED, IGNORED]]
    assert batch.groups.tolist() == [[0, 0, 0, 0, -1, -1]]


def test_batches_have_one_shape_lose_nothing_and_are_nearly_full():
    rng = np.random.default_rng(2)
    talks = [dialogue(rng, [], [int(n)]) for n in rng.integers(1, 60, 400)]
    packer = Packer(rows=4, length=128)
    batches = list(packer.batches((share([each]) for each in talks), last=True))
    assert {tuple(each.input_ids.shape) for each in batches} == {(4, 128)}
    assert sum(int((b.groups >= 0).sum()) for b in batches) == sum(len(t.ids) for t in talks)
    full = [float((b.groups >= 0).float().mean()) for b in batches[:-2]]
    assert np.mean(full) > 0.9


def test_a_group_too_long_for_a_row_is_split_and_a_dialogue_too_long_is_counted():
    rng = np.random.default_rng(3)
    prefix = list(range(1, 11))
    group = share([dialogue(rng, prefix, [8]) for _ in range(4)])
    parts = split(group, 35)
    assert [len(part.branches) for part in parts] == [2, 2]
    with pytest.raises(ValueError, match="21 tokens and a row holds 20"):
        split(group, 20)
    packer = Packer(rows=1, length=20)
    assert list(packer.batches([group], last=True)) == []
    assert packer.skipped == 4


def test_a_dialogue_in_which_nobody_answers_is_refused():
    with pytest.raises(ValueError, match="nothing to learn"):
        share([Encoded([1, 2], [0, 0])])
