"""`nuthatch train --help`: every setting of every stage, its value and its meaning."""

import subprocess
import sys
from dataclasses import fields, is_dataclass

import pytest
from pydantic import TypeAdapter

from nuthatch.__main__ import main
from nuthatch.training.keys import WIDTH, describe
from nuthatch.training.train import CORE, PERCEPTION, RECIPES

STAGES = {**PERCEPTION, **CORE}


def kinds():
    """All dataclasses of settings, those inside of others too."""
    for stage in STAGES.values():
        yield stage.recipe
        settings = stage.settings(RECIPES, [])
        yield from (type(value) for value in vars(settings).values() if is_dataclass(value))


@pytest.mark.parametrize("kind", dict.fromkeys(kinds()), ids=lambda kind: kind.__name__)
def test_every_setting_says_in_a_sentence_of_its_own_what_it_means(kind):
    properties = TypeAdapter(kind).json_schema()["properties"]
    for field in fields(kind):
        meaning = properties[field.name].get("description", "")
        assert meaning.endswith("."), f"{kind.__name__}.{field.name} has no sentence: {meaning!r}"
        assert not meaning.startswith("Of "), f"{kind.__name__}.{field.name} needs the one before"


def test_all_settings_of_all_stages_are_told_with_the_value_of_the_recipe(tmp_path):
    text = describe(out=tmp_path)
    sections = {section.split("  (")[0]: section for section in text.split("\n\n")}
    for stage in STAGES.values():
        for field in fields(stage.recipe):
            assert f"\n  {field.name}=" in sections[stage.options]
    assert "\n  batch=8 " in sections["--stage see"]
    assert "\n  schedule={steps: 6800, lr: 0.0006, warmup_steps: 200," in sections["--stage bridge"]
    assert f"\n  see={tmp_path}/embedded/see/export\n" in sections["--stage bridge"]
    assert "\n  lr     " in text
    assert text.count("Highest learning rate") == 1
    told = (line for line in text.splitlines() if not line.startswith("  ") or "=" not in line)
    assert max(map(len, told)) <= WIDTH


def test_what_is_told_can_be_given(tmp_path):
    for line in describe("bridge", out=tmp_path).split("\n\n")[0].splitlines():
        if line.startswith("  ") and line[2] != " ":
            setting = line[2:] if line.endswith("}") else line[2:].split("  ")[0]
            assert CORE["bridge"].settings(tmp_path, [setting]) == CORE["bridge"].settings(
                tmp_path, []
            )


def test_one_stage_can_be_asked_for(capsys):
    for words, shown in (
        (["--stage", "bridge"], ["--stage bridge"]),
        (["--only", "tag"], ["--only tag"]),
        (["--stage", "perceive"], [f"--only {name}" for name in PERCEPTION]),
        ([], [stage.options for stage in STAGES.values()]),
    ):
        with pytest.raises(SystemExit) as end:
            main(["train", "embedded", *words, "--help"])
        assert end.value.code == 0
        headings = [line for line in capsys.readouterr().out.splitlines() if "  (recipe " in line]
        assert [line.split("  (")[0] for line in headings] == shown


def test_help_needs_no_torch():
    code = "import sys; from nuthatch.training.keys import describe; describe()"
    code += "; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_key_of_a_stage_names_the_nearest(tmp_path, capsys):
    words = ["train", "embedded", "--stage", "bridge", "--out", str(tmp_path)]
    assert main([*words, "anchor_until=3"]) == 2
    assert "setting 'anchor_until'; did you mean 'anchors_until'?" in capsys.readouterr().err
    assert main([*words, "schedule.step=3"]) == 2
    assert "'schedule.step'; did you mean 'steps'?" in capsys.readouterr().err
