"""The detector's training: targets, losses, appearance, and that it learns at all."""

from dataclasses import replace

import numpy as np
import torch

from nuthatch.tools.detection.heatmap_detector import HeatmapNetwork
from nuthatch.tools.detection.heatmap_shape import Shape
from nuthatch.tools.media.framing import Framing
from nuthatch.tools.vocabulary import CATEGORIES, canonical
from nuthatch.training.perceive.appearance import vary_appearance
from nuthatch.training.perceive.detect import (
    MEAN,
    STD,
    batch_loss,
    build_tokenizer,
    phrase,
    truth_of,
)
from nuthatch.training.perceive.detect_loss import Truth, detection_loss, targets
from nuthatch.training.recipes.perception import DetectRecipe
from nuthatch.training.world.scenes import make_scene


def truth(*objects: tuple[int, tuple[float, float, float, float]]) -> Truth:
    labels = torch.tensor([label for label, _ in objects], dtype=torch.long)
    return Truth(torch.tensor([box for _, box in objects]).reshape(-1, 4), labels)


def test_the_heat_is_one_at_the_centre_and_for_its_label_alone() -> None:
    wanted = targets([truth((1, (0.6, 0.4, 0.2, 0.2)))], grid=4, labels=3)
    assert wanted.heat.shape == (1, 16, 3)
    row, column = 1, 2  # 0.4 and 0.6 of four cells
    assert wanted.heat[0, row * 4 + column].tolist() == [0, 1, 0]
    assert (wanted.heat == 1).sum() == 1
    assert wanted.heat[..., [0, 2]].sum() == 0


def test_cells_on_an_object_learn_its_box_and_label_and_others_none() -> None:
    wanted = targets([truth((1, (0.5, 0.5, 1.0, 1.0)))], grid=8, labels=2)
    grid = wanted.labels[0].view(8, 8)
    assert (grid[2:6, 2:6] == 1).all()
    assert (grid == 1).sum() == 16
    assert wanted.boxes[0, 2 * 8 + 2].tolist() == [0.5, 0.5, 1.0, 1.0]


def test_where_two_objects_meet_the_nearer_centre_has_the_cell() -> None:
    both = truth((0, (0.5, 0.5, 1.0, 1.0)), (1, (0.4375, 0.4375, 0.1, 0.1)))
    wanted = targets([both], grid=8, labels=2)
    assert wanted.labels[0, 3 * 8 + 3] == 1
    assert wanted.labels[0, 4 * 8 + 4] == 0


def test_losses_are_near_zero_for_a_perfect_answer_and_not_for_the_wrong_label() -> None:
    wanted = targets([truth((0, (0.5, 0.5, 0.5, 0.5)))], grid=4, labels=2)
    sure = torch.where(wanted.heat == 1, 12.0, -12.0)
    sure[wanted.labels == 0] += torch.tensor([9.0, -9.0])
    right = detection_loss(sure.clamp(-12, 12), wanted.boxes, wanted)
    assert all(float(each) < 0.01 for each in right.values())
    wrong = detection_loss(sure.flip(-1).clamp(-12, 12), wanted.boxes, wanted)
    assert wrong["heat"] > 5
    assert wrong["choice"] > 5
    assert wrong["distance"] == right["distance"]


def test_a_shifted_box_costs_at_the_cells_of_its_object_alone() -> None:
    wanted = targets([truth((0, (0.5, 0.5, 0.5, 0.5)))], grid=4, labels=1)
    logits = torch.zeros(1, 16, 1)
    elsewhere, here = wanted.boxes.clone(), wanted.boxes.clone()
    elsewhere[wanted.labels < 0] += 0.2
    here[wanted.labels == 0] += torch.tensor([0.1, 0, 0, 0])
    assert detection_loss(logits, elsewhere, wanted)["overlap"] < 1e-4
    assert detection_loss(logits, here, wanted)["overlap"] > 0.5


def test_a_picture_without_any_object_still_has_a_finite_loss() -> None:
    wanted = targets([truth()], grid=4, labels=2)
    losses = detection_loss(torch.zeros(1, 16, 2), torch.full((1, 16, 4), 0.5), wanted)
    assert all(torch.isfinite(each) for each in losses.values())


def test_boxes_of_a_fresh_network_surround_their_cells() -> None:
    shape = Shape(picture_size=64, width=32, stem=8, blocks=1, heads=2, words=400)
    network = HeatmapNetwork(shape).eval()
    with torch.inference_mode():
        phrases = network.phrases(torch.tensor([[5, 6, 0], [7, 0, 0]]))
        logits, boxes = network(torch.randn(1, 3, 64, 64), phrases)
    assert logits.shape == (1, 64, 2)
    assert logits.sigmoid().max() < 0.3
    x, y, width, height = boxes[0].unbind(-1)
    centres = (torch.arange(64) % 8 + 0.5) / 8
    assert ((x - centres).abs() < width / 2).all()
    assert (width > 0.2).all()
    assert (height < 1.0).all()
    assert ((y - (torch.arange(64) // 8 + 0.5) / 8).abs() < height / 2).all()


def test_padding_of_a_phrase_does_not_change_its_vector() -> None:
    shape = Shape(picture_size=64, width=32, stem=8, blocks=1, heads=2, words=400)
    encode = HeatmapNetwork(shape).eval().phrases
    short, long = encode(torch.tensor([[5, 6]])), encode(torch.tensor([[5, 6, 0, 0]]))
    assert torch.allclose(short, long, atol=1e-5)


def test_the_truth_of_a_scene_is_all_of_its_objects() -> None:
    scene = make_scene(3)
    found = truth_of(scene)
    assert [CATEGORIES[index] for index in found.labels] == [x.category for x in scene.objects]
    x1, y1, x2, y2 = scene.objects[0].box
    expected = torch.tensor([x1 + x2, y1 + y2, 2 * (x2 - x1), 2 * (y2 - y1)]) / 256
    assert torch.allclose(found.boxes[0], expected)


def test_other_names_of_a_category_mean_it() -> None:
    rng = np.random.default_rng(0)
    for category in CATEGORIES:
        assert phrase(rng, category, share=0.0) == category
        assert canonical(phrase(rng, category, share=1.0)) == category


def test_no_name_of_a_category_has_an_unknown_token() -> None:
    tokenizer, rng = build_tokenizer(), np.random.default_rng(0)
    for category in CATEGORIES:
        for share in (0.0, 1.0):
            assert "[UNK]" not in tokenizer.encode(phrase(rng, category, share)).tokens


def test_appearance_changes_and_stays_a_picture() -> None:
    images = torch.rand(16, 3, 32, 32)
    varied = vary_appearance(images, torch.Generator().manual_seed(1))
    assert varied.shape == images.shape
    assert varied.min() >= 0
    assert varied.max() <= 1
    assert ((varied - images).abs().mean((1, 2, 3)) > 0.01).sum() > 10
    again = vary_appearance(images, torch.Generator().manual_seed(1))
    assert torch.equal(varied, again)


def test_a_few_steps_on_one_batch_lower_its_loss() -> None:
    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    shape = Shape(picture_size=64, width=32, stem=8, blocks=1, heads=2)
    config = DetectRecipe(shape=shape, batch=4)
    network = HeatmapNetwork(replace(shape, words=tokenizer.get_vocab_size())).train()
    framing = Framing({"height": 64, "width": 64}, MEAN, STD)
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    totals = []
    for _ in range(15):
        losses = batch_loss(network, tokenizer, framing, config, step=0)
        total = torch.stack(list(losses.values())).sum()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert totals[-1] < 0.8 * totals[0]
