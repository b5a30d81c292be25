"""Weights: what they need before a model may judge with them."""

import json
import shutil
from pathlib import Path

import pytest

from nuthatch.tools.faults import ToolUnavailable
from nuthatch.tools.weights import EMBEDDED, Weights


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The shipped sound tagger in a folder of the caller's."""
    shutil.copytree(EMBEDDED / "tag_sound", tmp_path / "tag_sound")
    return tmp_path


def test_a_calibration_of_other_weights_is_refused(copied: Path) -> None:
    table = copied / "tag_sound" / "calibration.json"
    table.write_text(json.dumps(json.loads(table.read_text()) | {"weights": "0123456789ab"}))
    with pytest.raises(ToolUnavailable, match="measured with weights 0123456789ab"):
        Weights(copied).get("tag_sound")


def test_a_file_that_was_cut_off_is_an_error_that_names_the_weights(copied: Path) -> None:
    weights = copied / "tag_sound" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    (copied / "tag_sound" / "calibration.json").unlink()
    with pytest.raises(ToolUnavailable, match=r"'tag_sound' at .* cannot be loaded"):
        Weights(copied).get("tag_sound")


def test_weights_without_a_calibration_load_and_nothing_is_known_of_their_scores(
    copied: Path,
) -> None:
    (copied / "tag_sound" / "calibration.json").unlink()
    assert Weights(copied).get("tag_sound").calibration == {}


@pytest.mark.parametrize("name", ["detect", "tag", "tag_sound"])
def test_the_shipped_calibrations_were_measured_with_the_shipped_weights(name: str) -> None:
    measured_with = json.loads((EMBEDDED / name / "calibration.json").read_text())["weights"]
    assert Weights().status(name).sha256.startswith(measured_with)
