"""Which pictures the shipped models know: those of the miniature world, and no others."""

import numpy as np
import pytest
from PIL import Image

from nuthatch.tools.detection.heatmap_detector import HeatmapDetector
from nuthatch.tools.domain.pictures import PictureDomain, parts, without_margins
from nuthatch.tools.faults import ToolUnavailable
from nuthatch.tools.weights.folder import DOMAIN_FILE
from nuthatch.tools.weights.store import EMBEDDED
from nuthatch.training.evaluate.outside import KINDS, pictures
from nuthatch.training.world.changes import CHANGES, jpeg
from nuthatch.training.world.scenes import make_scene
from tests.paths import EXAMPLES


@pytest.fixture(scope="module")
def detector() -> HeatmapDetector:
    return HeatmapDetector.load(EMBEDDED / "detect")


def share(detector: HeatmapDetector, shown: list[np.ndarray]) -> float:
    return float(np.mean(detector.knows(shown)))


@pytest.mark.parametrize("look", ["seen", "variant"])
def test_scenes_are_known(detector, look):
    assert share(detector, [make_scene(i, "test", appearance=look).image for i in range(40)]) > 0.94


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_scene_is_still_a_scene(detector, change):
    rng = np.random.default_rng(3)
    scenes = [CHANGES[change](make_scene(500 + i, "test").image, rng) for i in range(25)]
    assert share(detector, scenes) > 0.85


def test_the_examples_are_known(detector):
    for name in ("kitchen.png", "street.png"):
        picture = np.asarray(Image.open(EXAMPLES / name).convert("RGB"))
        assert detector.knows([picture, jpeg(picture, 60)]) == [True, True]


@pytest.mark.parametrize("kind", KINDS)
def test_other_kinds_of_pictures_are_not_known(detector, kind):
    assert share(detector, list(pictures(kind, 20))) <= 0.35


def test_without_a_domain_every_picture_is_known(detector, monkeypatch):
    monkeypatch.setattr(detector, "domain", None)
    assert detector.knows([np.full((60, 80, 3), 255, np.uint8)]) == [True]


def test_plain_margins_are_cut_off_and_a_little_of_them_stays():
    picture = np.full((200, 400, 3), 240, np.uint8)
    picture[50:100, 100:200] = np.random.default_rng(0).integers(0, 200, (50, 100, 3))
    assert without_margins(picture).shape == (66, 116, 3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 2), (700, 30)])
def test_plain_and_thin_pictures_have_no_margins(shape, detector):
    picture = np.full((*shape, 3), 90, np.uint8)
    assert without_margins(picture).shape == picture.shape
    assert detector.knows([picture]) == [False]


def test_a_picture_of_two_colours_stays_whole():
    picture = np.zeros((40, 40, 3), np.uint8)
    picture[20:] = 200
    assert without_margins(picture).shape == picture.shape


def test_long_pictures_are_looked_at_in_parts_that_cover_them():
    wide = np.arange(400)[None, :, None].repeat(100, 0).repeat(3, 2).astype(np.uint16)
    shown = parts(wide)
    assert len(shown) == 3
    assert {int(column) for part in shown for column in part[0, :, 0]} == set(range(400))
    assert max(part.shape[1] / part.shape[0] for part in shown) < 1.6


def test_it_comes_back_from_its_file(tmp_path):
    domain = PictureDomain(5, 3)
    domain.threshold, domain.weights = 0.25, "0123"
    domain.save(tmp_path / DOMAIN_FILE)
    again = PictureDomain.beside(tmp_path)
    assert again is not None
    assert (again.threshold, again.weights) == (0.25, "0123")
    assert PictureDomain.beside(tmp_path / "elsewhere") is None


def test_a_damaged_domain_is_refused(tmp_path):
    path = tmp_path / DOMAIN_FILE
    PictureDomain(5, 3).save(path)
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(ToolUnavailable, match="cannot be read as a domain"):
        PictureDomain.load(path)


def test_a_domain_of_other_weights_is_refused(tmp_path):
    for file in (EMBEDDED / "detect").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    domain = PictureDomain.load(tmp_path / DOMAIN_FILE)
    domain.weights = "0123456789ab"
    domain.save(tmp_path / DOMAIN_FILE)
    with pytest.raises(ToolUnavailable, match="belongs to weights 0123456789ab"):
        HeatmapDetector.load(tmp_path)
