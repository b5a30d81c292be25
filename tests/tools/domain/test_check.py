"""Whether an input is of the kind that a model was trained on."""

import numpy as np
import pytest

from nuthatch.tools.domain.check import OUTSIDE, Domain, outside
from nuthatch.tools.faults import ToolUnavailable
from nuthatch.tools.weights.folder import DOMAIN_FILE, look


@pytest.fixture
def clouds() -> tuple[np.ndarray, np.ndarray]:
    """Two clouds of points, wide in the first direction, and which each point is of."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 500)
    points = rng.normal(0, [10, 1, 1], (1000, 3)) + np.array([[0, 0, 0], [0, 30, 0]])[labels]
    return points, labels


def test_inputs_like_those_it_was_fitted_on_lie_inside(clouds):
    points, labels = clouds
    domain = Domain.fit(points, labels, calibration=points, kept=0.99)
    assert domain.contains(points).mean() == pytest.approx(0.99, abs=0.002)
    assert domain.distances(points).mean() == pytest.approx(1, abs=0.15)


def test_distance_is_measured_in_deviations_of_each_direction(clouds):
    points, labels = clouds
    domain = Domain.fit(points, labels, calibration=points)
    along, across = domain.contains([[20, 0, 0], [0, 0, 20]])
    assert along
    assert not across


def test_between_two_means_is_outside(clouds):
    points, labels = clouds
    assert not Domain.fit(points, labels, calibration=points).contains([[0, 15, 0]])
    assert Domain.fit(points, calibration=points).contains([[0, 15, 0]])


def test_features_of_another_number_are_refused(clouds):
    domain = Domain.fit(*clouds, calibration=clouds[0])
    with pytest.raises(ValueError, match=r"\(2, 5\); expected \(N, 3\)"):
        domain.distances(np.zeros((2, 5)))


def test_it_comes_back_from_its_file(clouds, tmp_path):
    domain = Domain.fit(*clouds, calibration=clouds[0], weights="0123")
    domain.save(tmp_path / DOMAIN_FILE)
    again = Domain.beside(tmp_path)
    assert again is not None
    assert again.weights == "0123"
    assert again.distances(clouds[0]) == pytest.approx(domain.distances(clouds[0]), abs=0.02)
    assert Domain.beside(tmp_path / "elsewhere") is None


def test_a_damaged_file_is_refused(clouds, tmp_path):
    path = tmp_path / DOMAIN_FILE
    Domain.fit(*clouds, calibration=clouds[0]).save(path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ToolUnavailable, match="cannot be read as a domain"):
        Domain.load(path)


def test_the_file_is_no_part_of_the_weights(clouds, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    before = look("tag", tmp_path).sha256
    Domain.fit(*clouds, calibration=clouds[0]).save(tmp_path / DOMAIN_FILE)
    assert look("tag", tmp_path).sha256 == before


@pytest.mark.parametrize("kind", ["picture", "sound", "speech"])
def test_a_notice_says_what_is_known_and_where_other_weights_are(kind):
    from nuthatch.tools.weights.released import RELEASED

    notice = outside(kind, "image_1")
    assert (notice.code, notice.about) == (OUTSIDE, "image_1")
    assert "miniature" in notice.text or "synthesiser" in notice.text
    assert "`nuthatch weights`" in notice.text
    assert any(f'"{name}"' in notice.text for name in RELEASED)
