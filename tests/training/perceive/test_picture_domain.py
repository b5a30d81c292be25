"""How the domain of pictures is learnt: a few steps on a few pictures, through the whole recipe."""

from pathlib import Path

import numpy as np
import pytest

from nuthatch.tools.detection.heatmap_detector import HeatmapDetector
from nuthatch.tools.domain.pictures import PictureDomain
from nuthatch.tools.weights.folder import DOMAIN_FILE
from nuthatch.tools.weights.store import EMBEDDED
from nuthatch.training.evaluate.statistics import proportion
from nuthatch.training.perceive import picture_domain
from nuthatch.training.perceive.picture_domain import score, train
from nuthatch.training.perceive.picture_domain_quality import HEADING, write_section
from nuthatch.training.recipes.perception import PictureDomainRecipe
from nuthatch.training.recipes.schedule import Schedule
from nuthatch.training.world.outside import KINDS
from nuthatch.training.world.scenes import make_scene


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("domain")
    few = {kind: KINDS[kind] for kind in ("noise", "page", "scenery")}
    config = PictureDomainRecipe(
        scenes=12,
        restyled=4,
        crowds=2,
        others=8,
        cells=16,
        hidden=8,
        batch=16,
        schedule=Schedule(steps=60, lr=5e-3, warmup_steps=5),
        weighed=9,
        calibrate_scenes=12,
        kept=0.9,
        test_pictures=1,
        detect=EMBEDDED / "detect",
        out=folder / "run",
        export=folder / "export",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(picture_domain, "KINDS", few)
        patch.setattr(picture_domain, "measure", lambda detector, number: {"x": proportion(1, 2)})
        train(config)
    return folder


def test_noise_and_pages_are_told_from_scenes_after_a_few_steps(trained):
    detector = HeatmapDetector.load(EMBEDDED / "detect")
    detector.domain = PictureDomain.load(trained / "export" / DOMAIN_FILE)
    rng = np.random.default_rng(1)
    scenes = [score(detector, make_scene(i, "test").image) for i in range(8)]
    others = [score(detector, KINDS[kind](rng)) for kind in ("noise", "page") for _ in range(4)]
    assert np.median(others) > np.median(scenes)


def test_the_threshold_keeps_the_share_asked_for(trained):
    detector = HeatmapDetector.load(EMBEDDED / "detect")
    detector.domain = PictureDomain.load(trained / "export" / DOMAIN_FILE)
    config = PictureDomainRecipe(calibrate_scenes=12)
    scores = [score(detector, picture) for picture in picture_domain.scenes(config, "calibrate")]
    assert np.mean(np.array(scores) <= detector.domain.threshold) == pytest.approx(0.9, abs=0.1)


def test_the_card_holds_the_section_once(tmp_path):
    card = tmp_path / "README.md"
    card.write_text("# Detector\n\nFigures.\n\n", encoding="utf-8")
    for right in (3, 4):
        write_section(tmp_path, {"kept: scenes": proportion(right, 5)}, 0.99)
    text = card.read_text(encoding="utf-8")
    assert text.startswith("# Detector\n\nFigures.\n\n" + HEADING)
    assert text.count(HEADING) == 1
    assert "| kept: scenes | 0.800" in text
