"""Stages of training, in the order of their recipes.

`perceive` trains the tools' eyes and ears, each model by itself; a model that is finished is
skipped, one that was interrupted goes on where it stopped. What a recipe makes lies in the run
folder under `export/`, with its card; it replaces shipped weights only by hand, when it is better.

The stages of the core follow, each with one recipe; a later one reads what earlier ones exported.
"""

from dataclasses import fields
from importlib import import_module
from pathlib import Path

from nuthatch.training.config import ConfigError, load_config

RECIPES = Path(__file__).parent / "recipes" / "embedded"
PERCEPTION = (
    *("detect", "picture_domain", "segment", "tag", "tag_sound", "sound_domain", "transcribe"),
    "speech_domain",
)
CORE = {
    "see": "2_see",
    "listen": "3_listen",
    "read_and_call": "4_read_and_call",
    "bridge": "5_bridge",
    "join": "6_join",
}
"""Stage -> its recipe, in the order in which they run."""
STAGES = ("perceive", *CORE)
FINISHED = "figures.json"
"""The last thing that a stage of the core, or the fit of a domain, writes."""


def train_perception(only: str | None, out: Path, settings: list[str]) -> None:
    """Run the recipes `1_perceive_*`, all or one; `settings` are key=value overrides.

    Raises:
        ConfigError: no such model, settings for several models at once, or a wrong setting.
    """
    if only is not None and only not in PERCEPTION:
        raise ConfigError(f"no perception model '{only}'; there are: {', '.join(PERCEPTION)}")
    if settings and only is None:
        raise ConfigError("settings belong to one recipe: name it with --only MODEL")
    for name in (only,) if only else PERCEPTION:
        module = import_module(f"nuthatch.training.perceive.{name}")
        recipe = RECIPES / f"1_perceive_{name}.yaml"
        run = out / "embedded" / name
        if (run / "export" / "README.md").is_file():
            print(f"{name}: finished; its card: {run / 'export' / 'README.md'}")
            continue
        places = [f"out={run}", f"export={run / 'export'}"]
        # A setting with the name of an earlier model is the folder of what its recipe exported.
        earlier = [each.name for each in fields(module.Config) if each.name in PERCEPTION]
        exported = {each: out / "embedded" / each / "export" for each in earlier}
        places += [f"{each}={path}" for each, path in exported.items() if path.is_dir()]
        module.train(load_config(module.Config, recipe, [*places, *settings]))


def train_all(out: Path, settings: list[str]) -> None:
    """Run the whole chain in order, or go on with it; what is finished is skipped.

    Raises:
        ConfigError: settings, which belong to one recipe.
    """
    if settings:
        raise ConfigError("settings belong to one recipe: name it with --stage STAGE")
    train_perception(None, out, [])
    for stage in CORE:
        if (out / "embedded" / stage / FINISHED).is_file():
            print(f"{stage}: finished; its figures: {out / 'embedded' / stage / FINISHED}")
            continue
        train_core(stage, out, [])


def train_core(stage: str, out: Path, settings: list[str]) -> None:
    """Run one stage of the core, or go on with it; `settings` are key=value overrides.

    Raises:
        ConfigError: no such stage, or a wrong setting.
        FileNotFoundError: an earlier stage has not exported what this one needs.
    """
    if stage not in CORE:
        raise ConfigError(f"no stage '{stage}'; there are: {', '.join(STAGES)}")
    module = import_module(f"nuthatch.training.stages.{stage}")
    run = out / "embedded" / stage
    places = [f"out={run}", f"export={run / 'export'}"]
    # A setting with the name of an earlier stage is the folder of what that stage exported.
    known = {each.name for each in fields(module.Config)}
    places += [f"{name}={out / 'embedded' / name / 'export'}" for name in CORE if name in known]
    recipe = RECIPES / f"{CORE[stage]}.yaml"
    module.train(load_config(module.Config, recipe, [*places, *settings]))
