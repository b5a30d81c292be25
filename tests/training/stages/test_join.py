"""Stage `join`: a core composed of the stages before, trained on, and exported whole."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from nuthatch.mllm.core import Core
from nuthatch.mllm.processing import CoreProcessor
from nuthatch.tools.vocabulary import CATEGORIES, SOUNDS, TINTS
from nuthatch.training.config import ConfigError
from nuthatch.training.data.layouts import draw_layout
from nuthatch.training.data.sample import Draw, Picture, Sound
from nuthatch.training.recipes.core import JoinRecipe
from nuthatch.training.recipes.schedule import Schedule
from nuthatch.training.stages.bridge import Bridge, core_config
from nuthatch.training.stages.bridge import export as export_bridge
from nuthatch.training.stages.join import (
    MediaMaker,
    batch,
    composed,
    gone_on_with,
    load_joining,
    tints_of,
    train,
)
from nuthatch.training.stages.joiner import Joiner
from nuthatch.training.stages.lessons import Lessons
from nuthatch.training.stages.phrase_vectors import (
    PhraseVectors,
    centred,
    decorrelated,
    shared_vectors,
    sound_vectors,
)
from nuthatch.training.stages.read_and_call import export as export_reader
from nuthatch.training.stages.read_and_call import texts
from nuthatch.training.stages.reader import Reader
from nuthatch.training.stages.simulated import QuerySimulator
from nuthatch.training.tokenizer import train_tokenizer
from nuthatch.training.world.scenes import make_scene
from tests.paths import ROOT

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
        "encoder_embed_dim": 48,
        "encoder_ffn_embed_dim": 64,
        "encoder_attention_heads": 2,
    },
    "bridge_config": {
        "hidden_size": 48,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "encoder_hidden_size": 32,
    },
    "text_config": {
        "vocab_size": 1024,
        "hidden_size": 40,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
    },
}
WIDTH = 80  # more than there are categories


@pytest.fixture(scope="module")
def stages(tmp_path_factory) -> Path:
    """What the stages before would have exported, untrained."""
    out = tmp_path_factory.mktemp("join")
    torch.manual_seed(0)
    core = core_config(TINY)
    categories = centred(CATEGORIES, torch.randn(len(CATEGORIES), WIDTH))
    categories.save(out / "see" / "categories.safetensors")
    categories, sounds = shared_vectors(out / "see" / "categories.safetensors")
    bridge = Bridge(core, categories, sounds)
    for folder, part in (("see", "vision_tower"), ("listen", "audio_tower")):
        (out / folder).mkdir(exist_ok=True)
        weights = {
            name: value.contiguous()
            for name, value in bridge.state_dict().items()
            if name.startswith(part)
        }
        save_file(weights, out / folder / f"{part}.safetensors")
    export_bridge(bridge, out / "bridge")
    export_reader(Reader(core, categories), out / "read_and_call")
    train_tokenizer(texts(60), vocab_size=1024).save_pretrained(out / "read_and_call")
    return out


def tiny(stages: Path, out: Path, **changes: object) -> JoinRecipe:
    config = JoinRecipe(
        see=stages / "see",
        listen=stages / "listen",
        read_and_call=stages / "read_and_call",
        bridge=stages / "bridge",
        schedule=Schedule(steps=2, lr=1e-3, save_every=1),
        core=TINY,
        tokens=1000,
        evaluate_every=0,
        watch=1,
        measure=1,
        out=out,
        export=out / "export",
    )
    return replace(config, **changes)  # type: ignore[arg-type]


@pytest.fixture
def parts(stages, tmp_path) -> tuple[Joiner, MediaMaker, Lessons]:
    config = tiny(stages, tmp_path)
    categories, sounds = shared_vectors(stages / "see" / "categories.safetensors")
    learner = composed(config, core_config(TINY), categories, sounds)
    tokenizer = CoreProcessor.from_pretrained(_processor(stages, tmp_path)).tokenizer
    maker = MediaMaker(
        CoreProcessor(learner.core.config, tokenizer), QuerySimulator(categories, sounds, 32)
    )
    return learner, maker, Lessons(tokenizer, 32, tokens=1000, scenes=1.0, colours=True)


def _processor(stages: Path, out: Path) -> Path:
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(stages / "read_and_call")
    CoreProcessor(core_config(TINY), tokenizer).save_pretrained(out / "processor")
    return out / "processor"


def test_the_composed_core_puts_into_the_language_model_what_its_queries_say(parts):
    learner, _, _ = parts
    images = torch.randn(2, 3, 64, 64)
    carried = learner.queries(images, "image")
    said = learner.from_vector(learner.itc(carried)) + learner.from_box(learner.box(carried))
    assert torch.allclose(learner.core.embed_image(images), said, atol=1e-4)


def test_the_media_of_a_batch_stand_in_their_order(parts):
    learner, maker, _ = parts
    scene = Picture(draw_layout(Draw.of(0)), seed=3)
    drawn = Picture(draw_layout(Draw.of(1)))
    sound = Sound(tuple(SOUNDS)[:1])
    media = [sound, drawn, scene, Sound((), silent=True)]
    made = maker(media, 0, torch.Generator().manual_seed(0))
    assert [Joiner.KINDS[int(kind)] for kind in made["kinds"]] == [
        *("audio", "simulated", "image", "audio")
    ]
    placed = learner.embed_media(**Joiner.media_of(made))
    assert torch.allclose(placed[2:3], learner.core.embed_image(made["pixels"]), atol=1e-5)
    heard = learner.core.embed_audio(made["filter_banks"])
    assert torch.allclose(placed[[0, 3]], heard, atol=1e-5)
    assert made["image_names"].shape[0] == 1
    assert made["image_tints"].tolist()[0][0] >= 0
    varied = replace(maker, vary=1.0)([scene], 0, torch.Generator().manual_seed(0))
    assert set(varied["image_tints"].flatten().tolist()) == {-100}
    assert made["audio_names"].tolist() == [[0, -1], [-1, -1]]


def test_the_tint_of_each_thing_is_asked_of_the_query_that_answers_for_it(parts):
    learner, _, _ = parts
    scenes = [make_scene(seed, "train", size=64) for seed in range(8)]
    tints = tints_of(scenes, 12)
    assert tints.shape == (8, 12)
    for scene, row in zip(scenes, tints.tolist(), strict=True):
        names = [[None, *TINTS][index] for index in row[: len(scene.objects)]]
        assert names == [each.tint for each in scene.objects]
    assert tints.max() > 0
    said, owner = torch.randn(1, 3, 48), torch.tensor([[1, -1, 0]])
    with torch.no_grad():
        learner.tint.weight.zero_()
        learner.tint.bias.copy_(20 * (torch.arange(9) == 4))
        right, half = (
            learner._tint_loss(said, torch.tensor([each]), owner) for each in ([4, 4], [4, 0])
        )
    assert right < 0.01
    assert half == pytest.approx(10, abs=0.1)


def test_everything_but_the_eye_learns(parts):
    learner, maker, lessons = parts
    seeing = replace(lessons, shares={"sight": 1})
    batches = (batch(seeing, maker, step) for step in range(20))
    made = next(each for each in batches if {"pixels", "filter_banks"} <= each.keys())
    losses = learner.losses(**made)
    assert set(losses) == {"answer", "name", "bridge_image", "tint", "bridge_audio"}
    torch.stack(list(losses.values())).sum().backward()
    still = {name for name, p in learner.named_parameters() if p.grad is None}
    assert {name for name in still if not name.startswith("core.vision_tower.")} <= {
        # Nothing is simulated in this batch.
        *("from_vector.weight", "from_vector.bias", "from_box.weight", "from_box.bias")
    }


def test_a_run_exports_a_core_that_loads_and_goes_on_after_a_kill(stages, tmp_path):
    config = tiny(stages, tmp_path)
    train(config)
    core = Core.from_pretrained(config.export)
    parameters = sum(each.numel() for each in core.parameters())
    assert (config.export / "model.safetensors").stat().st_size < 2 * parameters + 30_000
    processor = CoreProcessor.from_pretrained(config.export)
    assert processor.tokenizer.chat_template
    assert core.config.num_query_tokens == 32
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert {"exist", "exist_shuffled", "called_seen"} <= figures.keys()
    card = (config.export / "README.md").read_text()
    assert f"| ... both | {figures['called_both']:.3f} |" in card
    assert "| `join` | 2 |" in card
    assert "| `listen` | not recorded | not recorded |" in card
    first = {name: value.clone() for name, value in core.state_dict().items()}
    (tmp_path / "checkpoint-2" / "complete").unlink()
    train(config)
    again = Core.from_pretrained(config.export).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_a_further_run_starts_from_what_an_earlier_one_learned(stages, tmp_path):
    config = tiny(stages, tmp_path)
    train(config)
    again = replace(config, start=config.export, start_heads=tmp_path / "heads.safetensors")
    vectors = shared_vectors(stages / "see" / "categories.safetensors")
    state = gone_on_with(again, core_config(TINY), *vectors).state_dict()
    core = Core.from_pretrained(config.export).state_dict()
    earlier = {f"core.{name}": value for name, value in core.items()}
    earlier |= load_file(tmp_path / "heads.safetensors")
    assert state.keys() == earlier.keys()
    assert all(torch.equal(state[name], value) for name, value in earlier.items())
    with pytest.raises(ConfigError, match="belong together"):
        gone_on_with(replace(again, start_heads=None), core_config(TINY), *vectors)


def test_the_core_that_ships_can_be_trained_on():
    checkpoints = ROOT / "training" / "checkpoints" / "embedded"
    config = JoinRecipe(
        start=ROOT / "tools" / "embedded" / "core",
        start_heads=checkpoints / "join" / "heads.safetensors",
    )
    vectors = shared_vectors(checkpoints / "see" / "categories.safetensors")
    learner = gone_on_with(config, core_config({}), *vectors)
    assert sum(each.numel() for each in learner.core.parameters()) > 12_000_000


def test_a_stage_that_was_not_run_is_named(stages, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        train(tiny(stages, tmp_path, bridge=tmp_path / "nowhere"))


def test_weights_of_other_sizes_are_refused(stages, tmp_path):
    wider = {**TINY, "text_config": {**TINY["text_config"], "intermediate_size": 72}}
    with pytest.raises(ConfigError, match="expected"):
        train(tiny(stages, tmp_path, core=wider))


def test_a_language_model_that_learned_other_vectors_is_turned_towards_those_of_the_bridge(
    tmp_path,
):
    torch.manual_seed(1)
    core = core_config(TINY)
    learned, of_bridge = (
        decorrelated(centred(CATEGORIES, torch.randn(len(CATEGORIES), 96))) for _ in range(2)
    )
    reader = Reader(core, learned)
    joiner = Joiner(core, of_bridge, sound_vectors(of_bridge))
    export_reader(reader, tmp_path)
    load_joining(joiner, of_bridge, tmp_path / "joining.safetensors")
    for old, new in ((learned, of_bridge), (sound_vectors(learned), sound_vectors(of_bridge))):
        said = reader.embed_queries(torch.cat([old.vectors, torch.zeros(len(old.names), 4)], -1))
        boxless = joiner.from_vector(new.vectors) + joiner.from_box.bias
        assert torch.allclose(boxless, said, atol=0.05)
    guess = torch.randn(5, core.text_config.hidden_size)
    names = reader.name(guess) @ learned.vectors.T
    assert torch.allclose(joiner.name(guess) @ of_bridge.vectors.T, names, atol=0.05)


def test_vectors_at_other_angles_are_refused(stages, tmp_path):
    few = PhraseVectors(CATEGORIES, torch.ones(len(CATEGORIES), WIDTH))
    export_reader(Reader(core_config(TINY), few), tmp_path)
    learner = Joiner(core_config(TINY), *shared_vectors(stages / "see" / "categories.safetensors"))
    with pytest.raises(ConfigError, match="angles"):
        load_joining(
            learner,
            shared_vectors(stages / "see" / "categories.safetensors")[0],
            tmp_path / "joining.safetensors",
        )
