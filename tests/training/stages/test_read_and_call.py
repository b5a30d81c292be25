"""Stage `read_and_call`: what is trained, that it can be resumed, and what is exported."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import PreTrainedTokenizerFast

from nuthatch.mllm.core import Core
from nuthatch.tools.vocabulary import CATEGORIES
from nuthatch.training.data.sample import HELD_OUT, TRAINING
from nuthatch.training.recipes.core import ReadAndCallRecipe
from nuthatch.training.recipes.schedule import Schedule
from nuthatch.training.stages.bridge import core_config
from nuthatch.training.stages.lessons import Lessons, up_to_first_turn
from nuthatch.training.stages.phrase_vectors import centred, sound_vectors
from nuthatch.training.stages.read_and_call import batch, export, train
from nuthatch.training.stages.reader import Reader
from nuthatch.training.stages.reading_quality import calls_of, first_turn
from nuthatch.training.stages.simulated import QuerySimulator

TEXT = {
    "vocab_size": 1024,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}
WIDTH = 80  # more than there are categories


def tiny(out: Path, **changes: object) -> ReadAndCallRecipe:
    config = ReadAndCallRecipe(
        see=out / "see",
        schedule=Schedule(steps=4, lr=1e-3, save_every=2),
        core={"text_config": TEXT},
        tokens=1500,
        scenes=0.2,
        tokenizer_samples=60,
        watch=2,
        measure=2,
        out=out / "run",
        export=out / "export",
    )
    return replace(config, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("read_and_call")
    name_things(out / "see")
    train(tiny(out))
    return out


def name_things(folder: Path) -> None:
    vectors = torch.randn(len(CATEGORIES), WIDTH, generator=torch.Generator().manual_seed(0))
    categories = centred(CATEGORIES, vectors)
    categories.save(folder / "categories.safetensors")


def learner_of(run: Path) -> tuple[Reader, Lessons, QuerySimulator]:
    torch.manual_seed(1)
    categories = centred(CATEGORIES, torch.randn(len(CATEGORIES), WIDTH))
    tokenizer = PreTrainedTokenizerFast.from_pretrained(run / "export")
    lessons = Lessons(tokenizer, 32, tokens=640, scenes=0.0)
    simulate = QuerySimulator(categories, sound_vectors(categories), 32)
    return Reader(core_config({"text_config": TEXT}), categories), lessons, simulate


def test_a_run_leaves_the_language_model_as_the_core_takes_it(run):
    core = Core(core_config({"text_config": TEXT}))
    weights = load_file(run / "export" / "language_model.safetensors")
    tied = {"language_model.lm_head.weight"}
    assert weights.keys() == {n for n in core.state_dict() if n.startswith("language_")} - tied
    figures = json.loads((run / "run" / "figures.json").read_text())
    wanted = {"turn_seen", "turn_both", "exist", "exist_new_forms", "heard", "called_both"}
    assert wanted <= figures.keys()
    assert all(0 <= value <= 1 for value in figures.values())


def test_the_exported_layers_take_vectors_and_boxes_as_queries_say_them(run, tmp_path):
    learner, _, _ = learner_of(run)
    export(learner, tmp_path)
    joining = load_file(tmp_path / "joining.safetensors")
    queries = torch.randn(2, 3, WIDTH + 4)
    said = (
        queries[..., :-4] @ joining["from_vector.weight"].T
        + queries[..., -4:] @ joining["from_box.weight"].T
        + joining["from_vector.bias"]
        + joining["from_box.bias"]
    )
    assert torch.allclose(said, learner.embed_queries(queries), atol=1e-5)


def test_a_killed_run_goes_on_to_the_same_weights(run, tmp_path):
    name_things(tmp_path / "see")
    with pytest.raises(FileNotFoundError, match="see"):
        train(tiny(tmp_path / "nowhere"))
    config = tiny(tmp_path, evaluate_every=0)
    (tmp_path / "export").mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (tmp_path / "export" / name).write_text((run / "export" / name).read_text())
    train(config)
    whole = load_file(tmp_path / "export" / "language_model.safetensors")
    last = config.out / "checkpoint-4"
    (last / "complete").unlink()  # as if killed while this was written
    train(config)
    again = load_file(tmp_path / "export" / "language_model.safetensors")
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_it_learns_what_a_batch_says_and_the_name_that_is_asked(run):
    learner, lessons, simulate = learner_of(run)
    fixed = batch(replace(lessons, shares={"sight": 1}), simulate, 0)
    optimizer = torch.optim.AdamW(learner.parameters(), lr=5e-3)
    losses = []
    for _ in range(30):
        parts = learner.losses(**fixed)
        torch.stack(list(parts.values())).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append({name: float(value.detach()) for name, value in parts.items()})
    assert losses[-1]["answer"] < 0.6 * losses[0]["answer"]
    assert losses[-1]["name"] < losses[0]["name"]


def test_an_answer_depends_on_the_queries_of_its_own_picture_alone(run):
    learner, lessons, simulate = learner_of(run)
    fixed = batch(replace(lessons, shares={"sight": 1}, tokens=2000), simulate, 0)
    kept = [name for name in fixed if name not in ("queries", "names")]
    read = {name: fixed[name] for name in kept}
    blank = torch.full_like(fixed["names"], -1)

    def answer(queries: torch.Tensor, group: int) -> float:
        only = torch.where(read["groups"] == group, read["weights"], 0.0)
        given = {**read, "weights": only, "names": blank, "queries": queries}
        return float(learner.losses(**given)["answer"].detach())

    changed = fixed["queries"].clone()
    changed[0] += 1.0
    first, second = 0, int(fixed["groups"].max())
    assert second > 0
    assert answer(changed, first) != answer(fixed["queries"], first)
    assert answer(changed, second) == answer(fixed["queries"], second)


def test_a_question_about_nothing_has_no_loss_of_names(run):
    learner, lessons, simulate = learner_of(run)
    fixed = batch(replace(lessons, shares={"drills": 1}), simulate, 0)
    assert float(learner.losses(**fixed)["name"].detach()) == 0.0


def test_first_turns_are_requests_of_every_tool_and_end_with_the_call():
    for held in (TRAINING, HELD_OUT["both"]):
        for index in range(40):
            sample = first_turn(held, index)
            assert sample.messages[-1]["role"] == "assistant"
            assert all(each["role"] != "assistant" for each in sample.messages[:-1])
            assert isinstance(calls_of(sample.messages[-1]), list)
            assert up_to_first_turn(sample) == sample
