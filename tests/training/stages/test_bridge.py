"""Stage `bridge`: batches of both senses, queries that learn, and what stage `join` composes."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from nuthatch.mllm.core import Core
from nuthatch.tools.vocabulary import CATEGORIES, SOUNDS
from nuthatch.training.recipes.core import BridgeRecipe
from nuthatch.training.recipes.schedule import Schedule
from nuthatch.training.stages import listen, see
from nuthatch.training.stages.bridge import (
    Bridge,
    batch,
    core_config,
    joining_linear,
    train,
)
from nuthatch.training.stages.bridge_quality import hearing_figures, seeing_figures
from nuthatch.training.stages.phrase_vectors import centred, sound_vectors
from nuthatch.training.stages.see import framing_of
from nuthatch.training.world.scenes import make_scene
from nuthatch.training.world.sounds import make_sound

TINY = {
    "vision_config": {
        "image_size": 64,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    },
    "audio_config": {
        "embed_dim": 16,
        "encoder_layers": 1,
        "encoder_embed_dim": 32,
        "encoder_ffn_embed_dim": 64,
        "encoder_attention_heads": 2,
    },
    "bridge_config": {
        "hidden_size": 48,
        "intermediate_size": 96,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "encoder_hidden_size": 32,
    },
}


def tiny(out: Path, **changes: object) -> BridgeRecipe:
    config = BridgeRecipe(
        see=out / "see",
        listen=out / "listen",
        schedule=Schedule(steps=3, lr=1e-3, save_every=2),
        core=TINY,
        scenes=3,
        crowds=1,
        clips=2,
        sound_every=2,
        watch_scenes=1,
        watch_clips=1,
        measure_scenes=2,
        measure_clips=2,
        out=out / "bridge",
        export=out / "bridge" / "export",
    )
    return replace(config, **changes)  # type: ignore[arg-type]


@pytest.fixture
def learner() -> Bridge:
    torch.manual_seed(0)
    categories = centred(CATEGORIES, torch.randn(len(CATEGORIES), 96))
    return Bridge(core_config(TINY), categories, sound_vectors(categories))


def test_batches_are_pictures_and_now_and_then_sounds():
    core, config = core_config(TINY), tiny(Path("unused"), sound_every=3)
    senses = [("audio" if "audio" in batch(config, core, step) else "image") for step in range(6)]
    assert senses == ["image", "image", "audio", "image", "image", "audio"]


def test_a_batch_of_pictures_names_all_that_they_show():
    core, config = core_config(TINY), tiny(Path("unused"))
    given = batch(config, core, 0)
    for row, seed in enumerate(range(10_000_000, 10_000_002)):
        scene = make_scene(seed, size=64)
        names = [CATEGORIES[name] for name in given["names"][row] if name >= 0]
        assert names == [each.category for each in scene.objects]
        x1, y1, x2, y2 = scene.objects[0].box
        middle = torch.tensor([(x1 + x2) / 128, (y1 + y2) / 128])
        assert torch.allclose(given["boxes"][row, 0, :2], middle)


def test_a_batch_of_sounds_names_the_events_and_when_they_are_heard():
    core, config = core_config(TINY), tiny(Path("unused"), pairs=1.0, background=0.0)
    given = batch(config, core, 1)
    clip = make_sound(2_000_000_002, "train", events=2)
    assert [list(SOUNDS)[name] for name in given["names"][0]] == list(clip.events)
    middle, height, length = given["boxes"][0, 0, [0, 3, 2]].tolist()
    assert height == 1
    assert 0 <= middle - length / 2 <= middle + length / 2 <= len(clip.samples) / 64_000


def test_matching_by_anchors_ends_at_its_step():
    core, config = core_config(TINY), tiny(Path("unused"), anchors_until=2)
    assert [bool(batch(config, core, step)["by_anchors"]) for step in (0, 1, 2)] == [1, 1, 0]


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("anchors_until", [0, 9])
def test_a_few_steps_on_one_batch_lower_its_loss(learner, step, anchors_until):
    given = batch(tiny(Path("unused"), anchors_until=anchors_until), core_config(TINY), step)
    trained = [p for p in learner.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=2e-3)
    totals = []
    for _ in range(40):
        total = torch.stack(list(learner.losses(**given).values())).sum()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert totals[-1] < 0.7 * totals[0]


def test_each_layer_answers_and_the_last_one_is_what_the_core_passes_on(learner):
    pictures = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        answers = learner.answers(pictures, "image")
        passed_on = learner.qformer(learner.features(pictures, "image"), "image")
    assert len(answers) == TINY["bridge_config"]["num_hidden_layers"]
    assert torch.allclose(answers[-1][0], learner.itc(passed_on), atol=1e-5)
    assert not torch.allclose(answers[-2][0], answers[-1][0], atol=1e-2)


def test_eye_and_ear_stay_as_they_are(learner):
    given = batch(tiny(Path("unused")), core_config(TINY), 1)
    torch.stack(list(learner.losses(**given).values())).sum().backward()
    assert all(p.grad is None for p in learner.audio_tower.parameters())
    assert all(p.grad is None for p in learner.vision_tower.parameters())
    assert learner.audio_projection.weight.grad.abs().sum() > 0
    assert learner.qformer.query_tokens["audio"].grad.abs().sum() > 0
    assert learner.qformer.query_tokens["image"].grad is None


def test_perfect_answers_get_perfect_figures(learner):
    """Answers made from the truth, in place of a trained bridge."""
    core, vectors = core_config(TINY), learner.image_vectors
    scenes = [make_scene(seed, "calibrate", size=64) for seed in range(4)]
    given, boxes = torch.zeros(4, 32, 96), torch.zeros(4, 32, 4)
    for row, scene in enumerate(scenes):
        for query, thing in enumerate(scene.objects):
            given[row, query] = vectors[CATEGORIES.index(thing.category)]
            boxes[row, query, :2] = torch.tensor(thing.centre) / 64
    figures = seeing_figures(lambda *_: (given, boxes), framing_of(core), vectors, 4)
    assert set(figures.values()) == {1.0}

    heard = torch.zeros(3, 32, 96)
    for row in range(3):
        for query, event in enumerate(make_sound(row, "calibrate", events=2).events):
            heard[row, query] = learner.audio_vectors[list(SOUNDS).index(event)]
    read = lambda clips: torch.zeros(len(clips), 1)  # noqa: E731
    figures = hearing_figures(lambda *_: (heard, boxes), read, learner.audio_vectors, 3)
    assert set(figures.values()) == {1.0}
    silent = hearing_figures(lambda *_: (0 * heard, boxes), read, learner.audio_vectors, 3)
    assert silent["sound_recall"] == 0


def test_the_joining_layer_is_what_the_simulated_queries_would_have_gone_through(learner):
    torch.manual_seed(1)
    from_vector, from_box = nn.Linear(96, 40), nn.Linear(4, 40, bias=False)
    queries = torch.randn(2, 5, 48)
    heads = {k: v for k, v in learner.state_dict().items() if k.startswith(("itc.", "box."))}
    weight, bias = joining_linear(heads, from_vector, from_box)
    expected = from_vector(learner.itc(queries)) + from_box(learner.box(queries))
    assert torch.allclose(nn.functional.linear(queries, weight, bias), expected, atol=1e-5)


def towers(learner: Bridge, config: BridgeRecipe) -> BridgeRecipe:
    """Write what the stages before export, untrained; returns the config."""
    config.listen.mkdir(parents=True)
    categories = centred(CATEGORIES, torch.randn(len(CATEGORIES), 96))
    categories.save(config.see / see.CATEGORIES_FILE)
    sound_vectors(categories).save(config.see / see.SOUNDS_FILE)
    for part, path in (
        ("vision_tower", config.see / see.VISION_FILE),
        ("audio_tower", config.listen / listen.AUDIO_FILE),
    ):
        state = learner.get_submodule(part).state_dict()
        save_file({f"{part}.{name}": value for name, value in state.items()}, path)
    return config


def test_the_stage_exports_what_the_core_loads(learner, tmp_path):
    config = towers(learner, tiny(tmp_path))
    train(config)
    core = Core(core_config(TINY))
    names = core.state_dict().keys()
    files = [
        config.see / see.VISION_FILE,
        config.listen / listen.AUDIO_FILE,
        config.export / "bridge.safetensors",
    ]
    *towers_of, bridge = ({*load_file(path)} for path in files)
    given = {*towers_of[0], *towers_of[1], *(f"bridge.{name}" for name in bridge)}
    others = ("language_model", "bridge.llm_projection")
    missing = {name for name in names - given if not name.startswith(others)}
    assert given <= names
    assert not missing
    heads = load_file(config.export / "heads.safetensors")
    assert set(heads) == {"itc.weight", "itc.bias", "box.weight", "box.bias"}


def test_a_missing_stage_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="stage `see`"):
        train(tiny(tmp_path))


def test_a_further_run_starts_from_what_an_earlier_one_learned(learner, tmp_path):
    first = towers(learner, tiny(tmp_path))
    train(first)
    still = Schedule(steps=1, lr=1e-12)
    more = replace(
        first,
        start=first.export,
        schedule=still,
        out=tmp_path / "more",
        export=tmp_path / "more" / "export",
    )
    train(more)
    before, after = (load_file(each.export / "bridge.safetensors") for each in (first, more))
    assert all(torch.allclose(after[name], value, atol=1e-5) for name, value in before.items())
