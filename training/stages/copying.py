"""How the language model starts: with heads that find what followed the same word before.

Most of a tool call is copied: names of tools, handles, words of the user. Copying takes two heads
in a row, one that tells each place which word stood before it, and one that looks for the word that
is being said and takes what came after it (Olsson et al., "In-context Learning and Induction
Heads", 2022). A small model finds this pair late or never. Here it starts with them, and the first
lessons (`Lessons.echo`) make them strong. These are starting values and nothing else: all of them
are trained.

The first channel of the model's width is the same for all tokens; the last channels, as many as a
head has, stay empty until the first head writes there what stood before.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import LlamaForCausalLM

SIZE = 0.02
"""Standard deviation of the words' embeddings; the channel that they share starts at 4 times it."""
BEFORE, ALIKE = 12.0, 16.0
"""Logits by which the place before stands out from those around it, and a word from all others."""
SAID = 0.1
"""Weight of what the second heads add to what is said."""
KINSHIP = 0.9
"""Cosine of the embeddings that a piece of a word starts with, after a space and without one."""


@torch.no_grad()
def start_copying(model: LlamaForCausalLM, alike: Sequence[tuple[int, int]] = ()) -> None:
    """Let one head of the first layer and two of the second copy.

    Args:
        alike: ids of tokens that mean the same (see `tokenizer.spelt_alike`): what stands after
            one of them is then also found by the other.

    Raises:
        ValueError: the model has fewer than two layers or two heads of keys and values.
    """
    config = model.config
    width, wide = config.hidden_size, config.hidden_size // config.num_attention_heads
    if config.num_hidden_layers < 2 or config.num_key_value_heads < 2:
        raise ValueError(
            f"given {config.num_hidden_layers} layers of {config.num_key_value_heads} heads, "
            "expected two of each at least"
        )
    words, before = slice(1, width - wide), slice(width - wide, width)
    generator = torch.Generator().manual_seed(0)
    table = model.model.embed_tokens.weight
    nn.init.normal_(table, std=SIZE, generator=generator)
    if alike:
        one, other = torch.tensor(alike).T
        table[other] = KINSHIP * table[one] + (1 - KINSHIP**2) ** 0.5 * table[other]
    table[:, 0] = 4 * SIZE
    table[:, before] = 0
    shared = 4 / ((16 + width - wide - 1) / width) ** 0.5  # the first channel after the norm
    rates = config.rope_parameters["rope_theta"] ** -(torch.arange(wide // 2) / (wide // 2))
    looking_back = directions(wide, width - wide - 1, generator)

    layer, attention = model.model.layers[0], model.model.layers[0].self_attn
    fast = torch.arange(wide // 4)  # rotary rates that tell places apart
    size = (BEFORE * wide**0.5 / float((1 - rates[fast].cos()).sum())) ** 0.5 / shared
    for part in (attention.q_proj, attention.k_proj, attention.v_proj):
        part.weight[:wide] = 0
    attention.k_proj.weight[fast, 0] = size
    attention.q_proj.weight[fast, 0] = size * rates[fast].cos()
    attention.q_proj.weight[fast + wide // 2, 0] = -size * rates[fast].sin()
    attention.v_proj.weight[:wide, words] = looking_back
    attention.o_proj.weight[:, :wide] = 0
    attention.o_proj.weight[before] = 0
    attention.o_proj.weight[before, :wide] = SIZE * torch.eye(wide)
    layer.mlp.down_proj.weight[before] = 0

    attention = model.model.layers[1].self_attn
    slow = torch.arange(wide // 4, wide // 2)  # those that hardly turn: they compare words
    slow = torch.cat([slow, slow + wide // 2])
    size = (ALIKE * wide**0.5 / len(slow)) ** 0.5
    for head in range(2):
        own = slice(head * wide, (head + 1) * wide)
        compared = torch.arange(head * len(slow), (head + 1) * len(slow))
        query, key = torch.zeros(wide, width), torch.zeros(wide, width)
        query[slow, words] = size * looking_back[compared]
        key[slow, before.start + compared] = size
        attention.q_proj.weight[own], attention.k_proj.weight[own] = query, key
        taken = directions(wide, width - wide - 1, generator)
        attention.v_proj.weight[own] = 0
        attention.v_proj.weight[own, words] = taken
        attention.o_proj.weight[:, own] = 0
        attention.o_proj.weight[words, own] = SAID * taken.T


def directions(number: int, width: int, generator: torch.Generator) -> Tensor:
    """(number, width): random directions of unit length, at right angles as far as they fit."""
    return nn.init.orthogonal_(torch.empty(number, width), generator=generator)
