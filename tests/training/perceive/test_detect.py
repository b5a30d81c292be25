"""The detector's training: targets, losses, prompts, appearance, and that it learns at all."""

import numpy as np
import pytest
import torch

from nuthatch.tools.grounding_dino import Framing, Prompter
from nuthatch.training.fit import Schedule
from nuthatch.training.perceive.appearance import vary_appearance
from nuthatch.training.perceive.detect import (
    MEAN,
    STD,
    Config,
    ask,
    batch_loss,
    build_model,
    build_tokenizer,
    truth_of,
)
from nuthatch.training.perceive.detect_loss import (
    Truth,
    dense_loss,
    dense_targets,
    matched_loss,
)
from nuthatch.training.world.scenes import make_scene

SPANS = torch.tensor([[0, 1, 1, 0, 0, 0], [0, 0, 0, 0, 1, 0]]).float()
"""Two labels in a prompt of six tokens: one of two tokens, one of one."""
READ = torch.ones(1, 6)


def truth(*objects: tuple[int, tuple[float, float, float, float]]) -> Truth:
    labels = torch.tensor([label for label, _ in objects], dtype=torch.long)
    return Truth(torch.tensor([box for _, box in objects]).reshape(-1, 4), labels, SPANS)


def test_the_heat_is_one_at_the_centre_on_the_labels_tokens_alone() -> None:
    targets = dense_targets([truth((0, (0.6, 0.4, 0.2, 0.2)))], grid=4)
    assert targets.heat.shape == (1, 16, 6)
    row, column = 1, 2  # 0.4 and 0.6 of four cells
    assert targets.heat[0, row * 4 + column].tolist() == [0, 1, 1, 0, 0, 0]
    assert (targets.heat == 1).sum() == 2


def test_cells_on_an_object_learn_its_box_and_label_and_others_none() -> None:
    targets = dense_targets([truth((1, (0.5, 0.5, 1.0, 1.0)))], grid=8)
    grid = targets.label[0].view(8, 8)
    assert (grid[2:6, 2:6] == 1).all()
    assert (grid == 1).sum() == 16
    assert targets.boxes[0, 2 * 8 + 2].tolist() == [0.5, 0.5, 1.0, 1.0]


def test_where_two_objects_meet_the_nearer_centre_has_the_cell() -> None:
    both = truth((0, (0.5, 0.5, 1.0, 1.0)), (1, (0.4375, 0.4375, 0.1, 0.1)))
    targets = dense_targets([both], grid=8)
    assert targets.label[0, 3 * 8 + 3] == 1
    assert targets.label[0, 4 * 8 + 4] == 0


def test_dense_losses_are_near_zero_for_a_perfect_answer_and_not_for_the_wrong_label() -> None:
    targets = dense_targets([truth((0, (0.5, 0.5, 0.5, 0.5)))], grid=4)
    boxes = torch.logit(targets.boxes.clamp(1e-4, 1 - 1e-4))

    def losses(heat: torch.Tensor) -> dict[str, torch.Tensor]:
        return dense_loss((heat * 24 - 12), boxes, targets, READ)

    right = losses((targets.heat == 1).float())
    assert all(float(each) < 0.01 for name, each in right.items() if name != "dense_choice")
    swapped = torch.zeros_like(targets.heat)
    swapped[..., 4] = (targets.heat[..., 1] == 1).float()
    wrong = losses(swapped)
    assert wrong["dense_class"] > 5
    assert wrong["dense_choice"] > right["dense_choice"]


def test_padding_of_a_prompt_is_never_learned() -> None:
    targets = dense_targets([truth((0, (0.5, 0.5, 0.5, 0.5)))], grid=4)
    logits = torch.zeros(1, 16, 6)
    boxes = torch.zeros(1, 16, 4)
    read = torch.tensor([[1.0, 1, 1, 1, 1, 0]])
    before = dense_loss(logits, boxes, targets, read)["dense_class"]
    logits[..., 5] = float("-inf")  # what transformers gives for padding
    assert dense_loss(logits, boxes, targets, read)["dense_class"] == before


def test_matching_does_not_care_which_query_finds_which_object() -> None:
    there = truth((0, (0.2, 0.2, 0.2, 0.2)), (1, (0.7, 0.7, 0.3, 0.3)))
    logits = torch.full((1, 1, 3, 6), -12.0)
    logits[0, 0, 2, 1:3] = 12.0
    logits[0, 0, 0, 4] = 12.0
    boxes = torch.full((1, 1, 3, 4), 0.5)
    boxes[0, 0, 2], boxes[0, 0, 0] = there.boxes[0], there.boxes[1]
    assert all(float(each) < 0.01 for each in matched_loss(logits, boxes, [there], READ).values())
    twice = logits.clone()
    twice[0, 0, 1, 4] = 12.0
    assert matched_loss(twice, boxes, [there], READ)["matched_class"] > 1


def test_a_picture_without_any_wanted_object_still_has_a_finite_loss() -> None:
    nothing = truth()
    logits, boxes = torch.zeros(2, 1, 3, 6), torch.full((2, 1, 3, 4), 0.5)
    matched = matched_loss(logits, boxes, [nothing], READ)
    targets = dense_targets([nothing], grid=4)
    dense = dense_loss(torch.zeros(1, 16, 6), torch.zeros(1, 16, 4), targets, READ)
    assert all(torch.isfinite(each) for each in (*matched.values(), *dense.values()))


def test_prompts_name_what_is_there_and_what_is_not_in_random_order() -> None:
    scenes = [make_scene(seed) for seed in range(8)]
    rng = np.random.default_rng(0)
    there = absent = 0
    for scene in scenes * 5:
        asked = [category for _, category in ask(rng, scene, scenes)]
        assert len(asked) == len(set(asked))
        there += sum(name in scene.counts() for name in asked)
        absent += sum(name not in scene.counts() for name in asked)
    assert there > 60
    assert absent > 200


def test_the_truth_holds_the_objects_that_fit_in_the_prompt() -> None:
    scene = next(s for s in map(make_scene, range(50)) if len(s.counts()) >= 2)
    first, second, *_ = scene.counts()
    whole = truth_of(scene, [first, second], [range(1, 2), range(3, 5)], 6)
    assert len(whole.boxes) == scene.counts()[first] + scene.counts()[second]
    cut = truth_of(scene, [first, second], [range(1, 2)], 6)
    assert len(cut.boxes) == scene.counts()[first]
    x1, y1, x2, y2 = next(each for each in scene.objects if each.category == first).box
    expected = [(x1 + x2) / 256, (y1 + y2) / 256, (x2 - x1) / 128, (y2 - y1) / 128]
    assert cut.boxes[0].tolist() == pytest.approx(expected)


def test_separators_have_the_ids_that_transformers_looks_for() -> None:
    tokenizer = build_tokenizer()
    signs = ("[CLS]", "[SEP]", ".", "?")
    assert [tokenizer.token_to_id(each) for each in signs] == [101, 102, 1012, 1029]


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
    config = Config(
        schedule=Schedule(steps=1, lr=1e-3),
        picture_size=64,
        width=32,
        backbone_widths=(16, 32),
        backbone_depths=(1, 1),
        feed_forward=32,
        heads=2,
        queries=10,
        batch=2,
        matching_from=0,
    )
    tokenizer = build_tokenizer()
    model = build_model(config, tokenizer.get_vocab_size()).train()
    prompter = Prompter(tokenizer, config.text_tokens)
    framing = Framing({"height": 64, "width": 64}, MEAN, STD)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    totals = []
    for _ in range(12):
        losses = batch_loss(model, prompter, framing, config, step=0)
        total = torch.stack(list(losses.values())).sum()
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        totals.append(total.item())
    assert totals[-1] < 0.8 * totals[0]
