import json
from pathlib import Path

import pytest

from nuthatch.tools.weights.store import LOADERS, Weights
from nuthatch.training.evaluate import cores, miniature
from nuthatch.training.world import atlas
from nuthatch.training.world.scenes import make_scene
from tests.training.evaluate.oracle import Oracle
from tests.training.evaluate.trials import save, tiny_trial

PROMISED = """
detector_ap50 detector_ap50_unseen_style segment_iou tag_top1 sound_pair count_accuracy
errors_removed harm pope_adversarial_f1_verified pope_adversarial_f1_detector seconds_per_answer
""".split()  # noqa: SIM905


@pytest.fixture(autouse=True)
def _sees_everything(monkeypatch, tmp_path):
    """Models that know the scenes, a tiny core, a small reference set, and no third style."""
    scenes = [
        make_scene(seed, "test", appearance=appearance)
        for seed in range(3)
        for appearance in ("seen", "variant")
    ]
    weights = Weights()
    for name in LOADERS:
        weights.put(name, Oracle(scenes))
    monkeypatch.setattr(miniature, "_weights", lambda: weights)
    monkeypatch.setattr(miniature, "REFERENCE_SCENES", 20)
    monkeypatch.setenv("NUTHATCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cores, "EMBEDDED", save(tiny_trial(), tmp_path / "core"))
    cores.load.cache_clear()
    yield
    for kept in (miniature._verifier, miniature.training_company, miniature._speaker):
        kept.cache_clear()


def test_all_promised_figures_are_measured_and_reported(tmp_path: Path, capsys):
    figures = miniature.evaluate(n=2, out=tmp_path)
    assert set(PROMISED) <= set(figures)
    for name, figure in json.loads(json.dumps(figures)).items():
        assert set(figure) == {"value", "low", "high", "n"}
        assert figure["low"] <= figure["value"] <= figure["high"], name
    perfect = ("detector_ap50", "segment_iou", "tag_top1", "pope_adversarial_f1_detector")
    assert all(figures[name]["value"] == pytest.approx(1) for name in perfect)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["figures"] == figures
    assert report["settings"]["split"] == "test"
    assert set(report["settings"]["weights"]) == set(LOADERS)
    assert (tmp_path / "plot.png").stat().st_size > 10_000
    shown = capsys.readouterr().out
    assert "count_accuracy" in shown
    assert "adversarial" in shown
    assert "no OpenMoji in the cache" in shown


def test_the_core_is_measured_with_its_baselines(tmp_path: Path, capsys):
    figures = miniature.evaluate(n=1, out=tmp_path / "out")
    assert set(PROMISED) <= set(figures)
    for name in (
        "core_pope_adversarial_accuracy",
        "core_count_macro",
        "core_caption_precision",
        "core_form_exist",
    ):
        assert {name, f"{name}_blind", f"{name}_shuffled"} <= set(figures)
        assert f"{name}_variant" in figures
    assert {"core_sound_pair", "core_sound_pair_held_out_deaf"} <= set(figures)
    assert {"core_sound_to_object_other_sound", "core_two_senses_blind"} <= set(figures)
    assert {"core_pope_random_f1_unverified", "core_pope_random_f1_verified"} <= set(figures)
    assert {"core_planner_count_accuracy", "core_planner_count_accuracy_draft"} <= set(figures)
    details = json.loads((tmp_path / "out" / "report.json").read_text())["details"]
    assert {"core_decided_by", "core_planner_decided_by", "core_counts"} <= set(details)
    assert "the core by itself" in capsys.readouterr().out


def test_a_second_run_adds_only_what_is_missing_and_quiet_prints_nothing(tmp_path: Path, capsys):
    miniature.evaluate(n=1, out=tmp_path, quiet=True)
    before = {path: path.read_bytes() for path in tmp_path.glob("rows_*/*.jsonl")}
    assert before
    figures = miniature.evaluate(n=2, out=tmp_path, quiet=True)
    for path, content in before.items():
        assert path.read_bytes().startswith(content)
    assert figures["count_accuracy"]["n"] == 2
    assert capsys.readouterr().out == ""


def test_another_seed_takes_other_scenes(tmp_path: Path):
    parts = {seed: miniature._parts(4, seed, "variant") for seed in (0, 1)}
    first = {seed: parts[seed][0].work.args[0] for seed in parts}
    assert first == {0: 0, 1: miniature.SEEDS_APART}


def test_a_style_that_is_asked_for_and_missing_is_an_error_that_names_the_way(tmp_path: Path):
    with pytest.raises(atlas.AtlasMissing, match=r"build_atlas\.py --style openmoji"):
        miniature.evaluate(n=1, out=tmp_path, openmoji=True)


@pytest.mark.parametrize("given", [{"n": 0}, {"n": 5, "seed": -1}])
def test_senseless_numbers_are_refused(given, tmp_path: Path):
    with pytest.raises(ValueError, match="expected n of at least 1"):
        miniature.evaluate(**given, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
