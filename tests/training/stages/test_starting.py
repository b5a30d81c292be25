"""How the eye starts: large enough, and looking at neighbours."""

import torch

from nuthatch.mllm.encoders.eva import Eva
from nuthatch.training.stages.see import core_config
from nuthatch.training.stages.starting import NEIGHBOURS, start_local, start_wide


def fresh() -> Eva:
    torch.manual_seed(0)
    tower = Eva(core_config({}).vision_config)
    start_wide(tower)
    start_local(tower)
    return tower.eval()


def test_weights_keep_the_scale_of_what_they_read() -> None:
    layer = fresh().encoder.layers[0]
    value = layer.self_attn.qkv.weight.chunk(3)[2]
    for matrix in (value, layer.mlp.fc1.weight):
        assert abs(matrix.std() * matrix.shape[1] ** 0.5 - 0.75) < 0.05
    assert layer.self_attn.qkv.bias.abs().max() == 0


def test_every_head_looks_at_one_neighbour() -> None:
    tower = fresh()
    tower.set_attn_implementation("eager")
    with torch.inference_mode():
        layers = tower(torch.randn(1, 3, 128, 128), output_attentions=True).attentions
    grid = 16
    middle = 8 * grid + 8
    heads = [head[1 + middle, 1:] for layer in layers for head in layer[0]]
    for number, looked in enumerate(heads):
        columns, rows = NEIGHBOURS[number % len(NEIGHBOURS)]
        assert int(looked.argmax()) == middle + rows * grid + columns


def test_what_layers_add_leaves_places_alone_at_first() -> None:
    tower = fresh()
    wide = 192 // 6
    with torch.inference_mode():
        states = tower(torch.randn(1, 3, 128, 128), output_hidden_states=True).hidden_states
    assert all(torch.equal(state[..., :wide], states[0][..., :wide]) for state in states[:-1])
