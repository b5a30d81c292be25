"""Stages of training, in the order of their recipes.

`perceive` trains the tools' eyes and ears, each model by itself; a model that is finished is
skipped, one that was interrupted goes on where it stopped. What a recipe makes lies in the run
folder under `export/`, with its card; it replaces shipped weights only by hand, when it is better.

The stages of the core follow, each with one recipe; a later one reads what earlier ones exported.
"""

from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from nuthatch.training.config import ConfigError, load_config
from nuthatch.training.recipes import core, perception

RECIPES = Path(__file__).parent / "recipes" / "embedded"


class Stage(NamedTuple):
    """What is trained by itself: a perception model, or a stage of the core."""

    name: str
    recipe: type[Any]
    """Dataclass of its settings."""
    file: str
    """YAML file of its settings, in RECIPES."""
    module: str
    """Where its function `train` is; imported when it runs."""

    @property
    def options(self) -> str:
        """How `nuthatch train embedded` is told to run it."""
        return f"--only {self.name}" if self.name in PERCEPTION else f"--stage {self.name}"

    def settings(self, out: Path, given: list[str]) -> Any:
        """The recipe's settings, with the folders of runs under `out`, then what is `given`.

        A setting with the name of an earlier stage is the folder of what that stage exported.

        Raises:
            ConfigError: a setting is unknown, or its value is wrong.
        """
        run = out / "embedded" / self.name
        places = [f"out={run}", f"export={run / 'export'}"]
        names = {each.name for each in fields(self.recipe)}
        for name in (*PERCEPTION, *CORE):
            exported = out / "embedded" / name / "export"
            # Perception models that ship are there in any case.
            if name in names and (name in CORE or exported.is_dir()):
                places.append(f"{name}={exported}")
        return load_config(self.recipe, RECIPES / self.file, [*places, *given])

    def train(self, out: Path, given: list[str]) -> None:
        """Run it, or go on with it; raises as `settings`."""
        import_module(self.module).train(self.settings(out, given))


PERCEPTION = {
    name: Stage(name, recipe, f"1_perceive_{name}.yaml", f"nuthatch.training.perceive.{name}")
    for name, recipe in {
        "detect": perception.DetectRecipe,
        "picture_domain": perception.PictureDomainRecipe,
        "segment": perception.SegmentRecipe,
        "tag": perception.TagRecipe,
        "tag_sound": perception.TagSoundRecipe,
        "sound_domain": perception.SoundDomainRecipe,
        "transcribe": perception.TranscribeRecipe,
        "speech_domain": perception.SpeechDomainRecipe,
    }.items()
}
CORE = {
    name: Stage(name, recipe, f"{number}_{name}.yaml", f"nuthatch.training.stages.{name}")
    for number, name, recipe in (
        (2, "see", core.SeeRecipe),
        (3, "listen", core.ListenRecipe),
        (4, "read_and_call", core.ReadAndCallRecipe),
        (5, "bridge", core.BridgeRecipe),
        (6, "join", core.JoinRecipe),
    )
}
"""Stages of the core, in the order in which they run."""
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
        card = out / "embedded" / name / "export" / "README.md"
        if card.is_file():
            print(f"{name}: finished; its card: {card}")
            continue
        PERCEPTION[name].train(out, settings)


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
    CORE[stage].train(out, settings)
