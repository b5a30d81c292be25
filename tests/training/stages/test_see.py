"""Stage `see`: what a patch is asked, that the eye learns it, and what is exported."""

import json
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file

from nuthatch.mllm.encoders.eva import Eva
from nuthatch.tools.vocabulary import CATEGORIES
from nuthatch.training.perceive.detect import build_tokenizer
from nuthatch.training.recipes.core import SeeRecipe
from nuthatch.training.recipes.schedule import Schedule
from nuthatch.training.stages.dense_detector import DenseDetector
from nuthatch.training.stages.phrase_vectors import PhraseVectors
from nuthatch.training.stages.see import (
    CATEGORIES_FILE,
    LEARNER_FILE,
    VISION_FILE,
    batch,
    core_config,
    owners,
    train,
)
from nuthatch.training.world.scenes import make_scene

TINY = {
    "image_size": 64,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}


def tiny(out: Path, **changes: object) -> SeeRecipe:
    config = SeeRecipe(
        schedule=Schedule(steps=4, lr=1e-3, save_every=2),
        vision=TINY,
        batch=2,
        crowds=1,
        names_fixed_at=2,
        watch_scenes=1,
        measure_scenes=1,
        out=out,
        export=out / "export",
    )
    return replace(config, **changes)  # type: ignore[arg-type]


def test_a_patch_belongs_to_the_category_that_most_of_its_pixels_show() -> None:
    scene = make_scene(5, size=64)
    side, grid = 8, 8
    found = owners(scene, grid).view(grid, grid)
    for row in range(grid):
        for column in range(grid):
            patch = scene.instances[row * side : (row + 1) * side, column * side :][:, :side]
            shown = [
                scene.objects[number - 1].category if number else None for number in patch.ravel()
            ]
            said = int(found[row, column])
            name = None if said == len(CATEGORIES) else CATEGORIES[said]
            assert shown.count(name) == max(shown.count(each) for each in set(shown))
    assert {int(each) for each in found.unique()} > {len(CATEGORIES)}


def test_a_batch_depends_on_its_step_alone() -> None:
    config, core, tokenizer = tiny(Path("unused")), core_config(TINY), build_tokenizer()
    once, again = (batch(config, core, tokenizer, step=3) for _ in range(2))
    other = batch(config, core, tokenizer, step=4)
    assert all(torch.equal(once[name], again[name]) for name in once)
    assert not torch.equal(once["pixels"], other["pixels"])


def test_boxes_of_a_fresh_eye_surround_their_patches() -> None:
    learner = DenseDetector(core_config(TINY).vision_config, words=400)
    with torch.inference_mode():
        logits, boxes = learner(torch.randn(1, 3, 64, 64), torch.randn(3, 32))
    assert logits.shape == (1, 64, 3)
    assert logits.sigmoid().mean() < 0.1
    x, y, width, height = boxes[0].unbind(-1)
    assert ((x - (torch.arange(64) % 8 + 0.5) / 8).abs() < width / 2).all()
    assert ((y - (torch.arange(64) // 8 + 0.5) / 8).abs() < height / 2).all()


def test_a_few_steps_on_one_batch_lower_every_loss() -> None:
    torch.manual_seed(0)
    tokenizer, core = build_tokenizer(), core_config(TINY)
    learner = DenseDetector(core.vision_config, tokenizer.get_vocab_size())
    given = batch(tiny(Path("unused"), batch=4, crowds=0), core, tokenizer, step=0)
    optimizer = torch.optim.AdamW(learner.parameters(), lr=3e-3)
    totals = []
    for _ in range(60):
        losses = learner.losses(**given)
        total = torch.stack(list(losses.values())).sum()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(losses)
    for name in ("heat", "choice", "overlap", "patch", "place"):
        assert totals[-1][name] < 0.9 * totals[0][name], name


def test_the_stage_exports_the_eye_and_its_names_which_rest_after_their_step(tmp_path) -> None:
    config = tiny(tmp_path, schedule=Schedule(steps=2, lr=1e-3, save_every=2), names_fixed_at=1)
    train(config)
    export = config.export
    categories = PhraseVectors.load(export / "categories.safetensors")
    assert categories.names == CATEGORIES
    assert categories.vectors.shape == (len(CATEGORIES), TINY["hidden_size"])
    assert torch.allclose(categories.vectors.norm(dim=-1), torch.ones(len(CATEGORIES)))

    weights = load_file(export / "vision_tower.safetensors")
    tower = Eva(core_config(TINY).vision_config)
    tower.load_state_dict({k.removeprefix("vision_tower."): v for k, v in weights.items()})
    assert {"ap50", "ap75"} <= json.loads((tmp_path / "figures.json").read_text()).keys()


def test_names_are_exported_when_they_come_to_rest_and_do_not_change_after(tmp_path) -> None:
    vectors = []
    for steps in (2, 4):
        out = tmp_path / str(steps)
        schedule = Schedule(steps=steps, lr=1e-3, warmup_steps=1, final_lr_fraction=1.0)
        train(tiny(out, schedule=schedule, names_fixed_at=2))
        vectors.append(PhraseVectors.load(out / "export" / "categories.safetensors").vectors)
    assert torch.equal(*vectors)


def test_a_further_run_starts_from_what_an_earlier_one_learned(tmp_path) -> None:
    train(tiny(tmp_path / "first"))
    first = tmp_path / "first" / "export"
    still = Schedule(steps=1, lr=1e-12)
    train(tiny(tmp_path / "more", start=first / LEARNER_FILE, schedule=still))
    before, after = (load_file(f / VISION_FILE) for f in (first, tmp_path / "more" / "export"))
    for name, tensor in before.items():
        assert torch.allclose(after[name], tensor, atol=1e-2, rtol=1e-2), name  # bfloat16 between
    names = [
        PhraseVectors.load(f / CATEGORIES_FILE).vectors for f in (first, tmp_path / "more/export")
    ]
    assert torch.equal(*names)


def test_a_run_may_take_over_names_alone(tmp_path) -> None:
    train(tiny(tmp_path / "first"))
    first = tmp_path / "first" / "export"
    train(tiny(tmp_path / "again", names=first / LEARNER_FILE))
    again = tmp_path / "again" / "export"
    names = [PhraseVectors.load(folder / CATEGORIES_FILE).vectors for folder in (first, again)]
    assert torch.equal(*names)


def test_half_of_a_batch_are_crowds() -> None:
    config, core = tiny(Path("unused"), batch=6, crowds=3), core_config(TINY)
    given = batch(config, core, build_tokenizer(), step=0)
    kinds = [len(set(labels.tolist()) - {-1}) for labels in given["labels"]]
    assert all(kind >= 4 for kind in kinds[3:])
