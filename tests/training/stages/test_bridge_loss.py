"""The bridge's targets: who answers for what; its losses: near zero when all is said right."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from nuthatch.training.stages.bridge_loss import (
    Wanted,
    bridge_losses,
    directions,
    distances_in_meaning,
    distances_in_picture,
    logits,
    match,
    places,
    prediction_cost,
    presence,
)

VECTORS = torch.eye(4)  # four names, at right angles


def wanted(*rows: list[tuple[int, tuple[float, float, float, float]]]) -> Wanted:
    most = max(1, *map(len, rows))
    names = torch.full((len(rows), most), -1)
    boxes = torch.full((len(rows), most, 4), 0.5)
    for index, row in enumerate(rows):
        for place, (name, box) in enumerate(row):
            names[index, place] = name
            boxes[index, place] = torch.tensor(box)
    return Wanted(names, boxes)


def perfect(owner: Tensor, given: Wanted) -> tuple[Tensor, Tensor]:
    """What queries say when they are right: exact vectors and boxes, zero for nothing."""
    index = owner.clamp_min(0)
    vectors = VECTORS[given.names.gather(1, index).clamp_min(0)] * (owner >= 0)[..., None]
    return vectors, given.boxes.gather(1, index[..., None].expand(-1, -1, 4))


def test_thirty_two_places_stand_in_rows_of_five_and_six():
    anchors = places(32)
    assert anchors.shape == (32, 2)
    assert [int((anchors[:, 1] == y).sum()) for y in anchors[:, 1].unique()] == [5, 6, 5, 6, 5, 5]
    assert anchors.min() > 0.05
    assert anchors.max() < 0.95
    assert places(6).shape == (6, 2)


def test_what_is_there_goes_to_the_nearest_place():
    given = wanted([(0, (0.1, 0.1, 0.1, 0.1)), (1, (0.9, 0.9, 0.2, 0.2))], [])
    owner = match(distances_in_picture(given, places(32)), given)
    assert (owner[0] == 0).nonzero().tolist() == [[0]]
    assert (owner[0] == 1).nonzero().tolist() == [[31]]
    assert (owner[1] == -1).all()


def test_two_at_one_place_go_to_two_queries():
    given = wanted([(0, (0.5, 0.5, 0.1, 0.1)), (0, (0.5, 0.5, 0.1, 0.1))])
    owner = match(distances_in_picture(given, places(32)), given)
    assert sorted(owner[0][owner[0] >= 0].tolist()) == [0, 1]


def test_a_sound_goes_to_the_direction_nearest_to_its_name():
    anchors = directions(8, 4)
    given = wanted([(2, (0.5, 0.5, 1, 1))])
    owner = match(distances_in_meaning(given, anchors, VECTORS), given)
    assert int((owner[0] == 0).nonzero()) == int((anchors @ VECTORS[2]).argmax())


def test_predictions_draw_what_is_there_to_the_query_that_says_it():
    given = wanted([(1, (0.2, 0.2, 0.1, 0.1))])
    said = torch.zeros(1, 3, 4)
    said[0, 2] = VECTORS[1]
    boxes = torch.full((1, 3, 4), 0.5)
    assert int(prediction_cost(said, boxes, given, VECTORS)[0, :, 0].argmin()) == 2
    boxes[0, 0] = torch.tensor([0.2, 0.2, 0.1, 0.1])
    cost = prediction_cost(torch.zeros(1, 3, 4), boxes, given, VECTORS)
    assert int(cost[0, :, 0].argmin()) == 0


def test_all_said_right_costs_next_to_nothing_and_each_error_its_own_loss():
    given = wanted([(0, (0.3, 0.3, 0.2, 0.2)), (3, (0.8, 0.6, 0.3, 0.2))], [])
    owner = match(distances_in_picture(given, places(6)), given)
    vectors, boxes = perfect(owner, given)
    right = bridge_losses(vectors, boxes, owner, given, VECTORS)
    assert all(float(loss) < 0.05 for loss in right.values())

    shifted = bridge_losses(vectors, boxes + 0.2, owner, given, VECTORS)
    assert shifted["box"] > 0.5
    assert shifted["overlap"] > 0.2
    assert shifted["name"] == right["name"]

    other = functional.normalize(torch.ones(4), dim=0)
    confused = bridge_losses(vectors.roll(1, -1), boxes, owner, given, VECTORS)
    assert confused["name"] > 1
    assert confused["present"] > 1
    ghosts = bridge_losses(vectors + other * (owner < 0)[..., None], boxes, owner, given, VECTORS)
    assert ghosts["apart"] > 0.3
    assert ghosts["box"] == right["box"]


def test_boxes_of_empty_queries_cost_nothing():
    given = wanted([(0, (0.3, 0.3, 0.2, 0.2))])
    owner = match(distances_in_picture(given, places(6)), given)
    vectors, boxes = perfect(owner, given)
    boxes[owner < 0] = 7.0
    losses = bridge_losses(vectors, boxes, owner, given, VECTORS)
    assert losses["box"] < 1e-5
    assert losses["overlap"] < 1e-5


def test_nothing_there_still_gives_finite_losses():
    given = wanted([], [])
    owner = match(distances_in_picture(given, places(6)), given)
    losses = bridge_losses(torch.zeros(2, 6, 4), torch.zeros(2, 6, 4), owner, given, VECTORS)
    assert all(torch.isfinite(loss) for loss in losses.values())


def test_a_name_must_be_given_more_than_half_way_to_be_there():
    said = torch.zeros(1, 2, 4)
    said[0, 1] = 0.6 * VECTORS[2]
    assert (presence(said, VECTORS) > 0).tolist() == [[False, False, True, False]]
    assert logits(said, VECTORS).argmax(-1).tolist() == [[4, 2]]
    assert presence(0.5 * said, VECTORS).max() < 0


@pytest.mark.parametrize("queries", [6, 32])
def test_directions_are_the_same_every_time_and_of_unit_length(queries):
    assert torch.equal(directions(queries, 16), directions(queries, 16))
    assert torch.allclose(directions(queries, 16).norm(dim=-1), torch.ones(queries))
