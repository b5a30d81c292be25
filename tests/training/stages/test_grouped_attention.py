"""Attention group by group gives what one mask over whole rows gives."""

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from nuthatch.training.collate import block_mask
from nuthatch.training.stages.grouped_attention import NAME, spans_of


def test_groups_by_themselves_are_read_as_under_one_mask():
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=30,
            hidden_size=24,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=3,
            num_key_value_heads=3,
        )
    ).eval()
    groups = torch.tensor([[0] * 5 + [1] * 4 + [-1], [0] * 7 + [1] * 2 + [-1]])
    branches = torch.tensor([[0, 0, 1, 1, 2, 0, 1, 2, 2, 0], [1, 1, 1, 2, 2, 2, 3, 0, 1, 0]])
    ids, positions = torch.randint(30, groups.shape), torch.arange(10).expand(2, -1)
    mask = block_mask(groups, branches)
    hidden = torch.zeros_like(mask, dtype=torch.float32).masked_fill(~mask, -1e9)
    with torch.no_grad():
        whole = model(ids, attention_mask=hidden, position_ids=positions).logits
        model.set_attn_implementation(NAME)
        spans = spans_of(groups, branches, torch.float32)
        by_group = model(ids, position_ids=positions, spans=spans).logits
        without = model(ids, attention_mask=hidden, position_ids=positions).logits
    real = groups >= 0
    assert torch.allclose(by_group[real], whole[real], atol=1e-5)
    assert torch.allclose(without, whole, atol=1e-6)
    assert [(s.row, s.start, s.end) for s in spans] == [
        *((0, 0, 5), (0, 5, 9), (0, 9, 10)),
        *((1, 0, 7), (1, 7, 9), (1, 9, 10)),
    ]


def test_words_that_come_one_by_one_are_read_as_with_the_usual_attention():
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=30,
            hidden_size=24,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            eos_token_id=None,
        )
    ).eval()
    prompt = torch.randint(30, (1, 6))
    said = []
    for name in ("sdpa", NAME):
        model.set_attn_implementation(name)
        said.append(model.generate(prompt, max_new_tokens=8, do_sample=False).tolist())
    assert said[0] == said[1]
