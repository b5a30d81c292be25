import json
from pathlib import Path

import pytest

from nuthatch import __main__ as command_line
from nuthatch.tools.faults import ToolUnavailable
from nuthatch.training.evaluate import cores, planning
from nuthatch.training.evaluate.requests import RequestError
from tests.training.evaluate.trials import save, tiny_trial

PROMISED = """
valid_calls dangling_handles first_turn_branches first_turn_words first_turn_both
first_turn_requests first_turn_requests_rules first_turn_unseen_tools seconds_per_turn
""".split()  # noqa: SIM905


@pytest.fixture(autouse=True)
def _none_ships(monkeypatch, tmp_path):
    monkeypatch.setattr(cores, "EMBEDDED", tmp_path / "none")
    for kept in (cores.load, planning._planner, planning._requests):
        kept.cache_clear()


@pytest.fixture
def requests(tmp_path) -> Path:
    asked = [
        {"text": "How many cups are there?", "media": ["image"], "kind": "count",
         "expect": [[{"tool": "detect", "arguments": {"image": "image_1", "labels": ["cup"]}}]]},
        {"text": "Thanks!", "media": [], "kind": "none", "expect": [[]]},
    ]  # fmt: skip
    path = tmp_path / "mine.jsonl"
    lines = [json.dumps({"id": str(number), **each}) for number, each in enumerate(asked)]
    path.write_text("\n".join(lines))
    return path


def test_all_promised_figures_are_measured_and_reported(requests, tmp_path, capsys):
    folder = str(save(tiny_trial(), tmp_path / "core"))
    out = tmp_path / "out"
    figures = planning.evaluate(requests=requests, n=1, weights=folder, out=out)
    assert set(PROMISED) <= set(figures)
    for name, figure in json.loads(json.dumps(figures)).items():
        assert set(figure) == {"value", "low", "high", "n"}, name
        if name != "first_turn_requests_gain_over_rules":
            assert figure["low"] <= figure["value"] <= figure["high"], name
    assert figures["valid_calls"]["value"] == 1.0
    assert figures["valid_calls"]["n"] >= 1
    assert figures["dangling_handles"]["value"] == 0.0
    assert figures["first_turn_requests"]["n"] == 2
    assert figures["first_turn_requests_rules"]["value"] == 1.0
    report = json.loads((out / "report.json").read_text())
    assert report["figures"] == figures
    assert set(report["details"]["requests"]) == {"count", "none"}
    assert set(report["details"]["requests"]["count"]) == {"core", "rules", "first_span"}
    assert (out / "plot.png").stat().st_size > 10_000
    shown = capsys.readouterr().out
    assert "unseen tools" in shown
    assert "first span" in shown


def test_a_second_run_adds_only_what_is_missing_and_quiet_prints_nothing(
    requests, tmp_path, capsys
):
    options = {"requests": requests, "weights": "none", "out": tmp_path / "out", "quiet": True}
    planning.evaluate(n=1, **options)
    before = {path: path.read_bytes() for path in tmp_path.glob("out/rows_*/*.jsonl")}
    assert before
    figures = planning.evaluate(n=2, **options)
    for path, content in before.items():
        assert path.read_bytes().startswith(content)
    assert figures["first_turn_seen_rules"]["n"] == 2
    assert "first_turn_seen" not in figures
    assert capsys.readouterr().out == ""


def test_without_a_core_there_is_an_error_that_says_what_to_do(requests, tmp_path):
    with pytest.raises(ToolUnavailable, match="--weights none"):
        planning.evaluate(requests=requests, n=1, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("given", [{"n": 0}, {"n": 5, "seed": -1}])
def test_senseless_numbers_are_refused(given, tmp_path):
    with pytest.raises(ValueError, match="expected n of at least 1"):
        planning.evaluate(**given, weights="none", out=tmp_path / "out")


def test_a_file_that_is_missing_or_broken_is_refused(tmp_path):
    with pytest.raises(OSError, match="nobody"):
        planning.evaluate(requests=tmp_path / "nobody.jsonl", weights="none", out=tmp_path)
    (tmp_path / "broken.jsonl").write_text("{}\n")
    with pytest.raises(RequestError, match=r"broken\.jsonl, line 1"):
        planning.evaluate(requests=tmp_path / "broken.jsonl", weights="none", out=tmp_path)


def test_the_command_prints_the_figures_as_one_object(requests, tmp_path, capsys):
    words = ["evaluate", "planning", "--requests", str(requests), "--n", "1", "--json"]
    status = command_line.main([*words, "--weights", "none", "--out", str(tmp_path / "out")])
    assert status == 0
    figures = json.loads(capsys.readouterr().out)["figures"]
    assert figures["first_turn_requests_rules"]["n"] == 2
    (tmp_path / "broken.jsonl").write_text("{}\n")
    words = ["evaluate", "planning", "--requests", str(tmp_path / "broken.jsonl"), "--json"]
    assert command_line.main([*words, "--weights", "none"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "bad_usage"
