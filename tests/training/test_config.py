"""Recipes: a YAML file, then key=value, into one checked dataclass."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import get_type_hints

import pytest

from nuthatch.training.config import ConfigError, load_config
from nuthatch.training.recipes.core import JoinRecipe
from nuthatch.training.recipes.schedule import Schedule
from nuthatch.training.stages.bridge import core_config
from nuthatch.training.train import (
    CORE,
    PERCEPTION,
    RECIPES,
    train_all,
    train_core,
    train_perception,
)


def test_the_command_line_wins_over_the_file(tmp_path: Path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("steps: 10\nlr: 0.1\n")
    schedule = load_config(Schedule, recipe, ["lr=0.5"])
    assert (schedule.steps, schedule.lr) == (10, 0.5)


def test_an_unknown_setting_names_the_nearest_one():
    with pytest.raises(ConfigError, match="did you mean 'warmup_steps'"):
        load_config(Schedule, None, ["steps=1", "lr=1", "warmup=3"])


@dataclass(frozen=True)
class Recipe:
    schedule: Schedule
    name: str = ""


def test_a_dot_reaches_a_setting_inside_another(tmp_path: Path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("schedule: {steps: 10, lr: 0.1}\n")
    schedule = load_config(Recipe, recipe, ["schedule.lr=0.5"]).schedule
    assert (schedule.steps, schedule.lr) == (10, 0.5)


@pytest.mark.parametrize("override", ["schedule.stepz=1", "schedule={steps: 1, lr: 1, stepz: 1}"])
def test_an_unknown_setting_inside_another_names_the_nearest_one(override):
    with pytest.raises(ConfigError, match=r"'schedule\.stepz'; did you mean 'steps'"):
        load_config(Recipe, None, [override])


def test_a_key_that_holds_a_dot_itself_can_be_set(tmp_path: Path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("rates: {core.bridge.qformer: 0.5}\n")
    config = load_config(JoinRecipe, recipe, ["rates.core.bridge.qformer=0.3"])
    assert config.rates == {"core.bridge.qformer": 0.3}


def test_text_that_is_no_yaml_is_shown():
    with pytest.raises(ConfigError, match=r"shares: '\[1' is no YAML"):
        load_config(JoinRecipe, None, ["shares=[1"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"txt_config": {}}, r"'core\.txt_config'; did you mean 'text_config'"),
        (
            {"text_config": {"num_hiden_layers": 1}},
            r"'core\.text_config\.num_hiden_layers'; did you mean 'num_hidden_layers'",
        ),
    ],
)
def test_a_size_that_the_core_does_not_have_names_the_nearest_one(changes, words):
    with pytest.raises(ConfigError, match=words):
        core_config(changes)


@pytest.mark.parametrize(
    ("override", "words"), [("steps=many", "steps"), ("steps", "write key=value")]
)
def test_a_wrong_value_says_which_key(override, words):
    with pytest.raises(ConfigError, match=words):
        load_config(Schedule, None, ["lr=0.1", override])


def test_a_missing_recipe_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"no recipe at .*nothing\.yaml"):
        load_config(Schedule, tmp_path / "nothing.yaml", [])


def test_each_perception_model_has_its_recipe_that_opens_with_its_command():
    for name in PERCEPTION:
        text = (RECIPES / f"1_perceive_{name}.yaml").read_text()
        assert f"nuthatch train embedded --stage perceive --only {name}" in text.splitlines()[0]


@pytest.mark.parametrize("stage", PERCEPTION.values(), ids=PERCEPTION)
def test_each_recipe_fits_its_settings_and_its_module(stage, tmp_path):
    settings = stage.settings(tmp_path, [])
    assert not hasattr(settings, "schedule") or settings.schedule.steps > 100
    assert get_type_hints(import_module(stage.module).train)["config"] is stage.recipe


def test_settings_need_to_know_their_recipe(tmp_path):

    with pytest.raises(ConfigError, match="no perception model 'smell'"):
        train_perception("smell", tmp_path, [])
    with pytest.raises(ConfigError, match="--only"):
        train_perception(None, tmp_path, ["steps=1"])


@pytest.mark.parametrize("stage", CORE.values(), ids=CORE)
def test_each_stage_of_the_core_has_a_recipe_that_opens_with_its_command_and_fits(stage, tmp_path):
    first = (RECIPES / stage.file).read_text().splitlines()[0]
    assert first == f"# nuthatch train embedded --stage {stage.name}"
    assert stage.settings(tmp_path, []).schedule.steps > 1000
    assert get_type_hints(import_module(stage.module).train)["config"] is stage.recipe


def test_a_stage_finds_what_earlier_stages_exported(tmp_path):
    with pytest.raises(FileNotFoundError, match=str(tmp_path / "embedded" / "see" / "export")):
        train_core("bridge", tmp_path, [])


def test_a_wrong_stage_or_setting_of_a_stage_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"no stage 'smell'.*see, listen"):
        train_core("smell", tmp_path, [])
    with pytest.raises(ConfigError, match="did you mean 'batch'"):
        train_core("see", tmp_path, ["bach=3"])


def test_the_whole_chain_runs_in_order_and_skips_what_is_finished(tmp_path, monkeypatch, capsys):
    ran = []
    monkeypatch.setattr("nuthatch.training.train.train_core", lambda stage, *_: ran.append(stage))
    for name in PERCEPTION:
        card = tmp_path / "embedded" / name / "export" / "README.md"
        card.parent.mkdir(parents=True)
        card.touch()
    finished = tmp_path / "embedded" / "listen" / "figures.json"
    finished.parent.mkdir()
    finished.touch()
    train_all(tmp_path, [])
    assert ran == ["see", "read_and_call", "bridge", "join"]
    assert "listen: finished" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="--stage"):
        train_all(tmp_path, ["steps=1"])
