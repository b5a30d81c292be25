from types import SimpleNamespace

import numpy as np
import pytest

from nuthatch.training.evaluate import perception
from nuthatch.training.world.scenes import make_scene
from nuthatch.training.world.sounds import Clip
from tests.training.evaluate.oracle import Oracle

SCENES = [make_scene(seed, "test") for seed in range(12)]


def looked(confused: dict[str, str] | None = None) -> list[perception.Row]:
    oracle = Oracle(SCENES, confused)
    return perception.look(SCENES, oracle, oracle, oracle)


def test_a_model_that_sees_everything_scores_one():
    figures = perception.sight(looked())
    assert {name: round(figure.value, 6) for name, figure in figures.items()} == {
        "detector_ap50": 1.0,
        "detector_ap75": 1.0,
        "segment_iou": 1.0,
        "tag_top1": 1.0,
        "tint": 1.0,
    }
    assert figures["segment_iou"].n == sum(len(scene.objects) for scene in SCENES)


def test_a_confusion_is_counted_and_named():
    name = SCENES[0].objects[0].category
    table = perception.by_category(looked({name: "zebra"}))
    assert table[name]["tagged_right"] == table[name]["ap50"] == 0.0
    assert table[name]["taken_for"] == "zebra"
    rows = looked({name: "zebra"})
    assert perception.sight(rows)["tag_top1"].value < 1
    assert perception.sight(rows, "_variant")["tint_variant"].value == 1


def test_crops_that_show_two_objects_are_not_tagged_for_the_figure():
    rows = looked()
    alone = sum(each["alone"] for row in rows for each in row["objects"])
    assert 0 < alone < sum(len(row["objects"]) for row in rows)
    assert perception.sight(rows)["tag_top1"].n == alone


def test_objects_are_told_apart_by_size():
    table = perception.by_size(looked())
    assert sum(group["tag_top1"].n for group in table.values()) == sum(
        len(scene.objects) for scene in SCENES
    )


def heard(events: tuple[str, ...], *ranking: str) -> perception.Row:
    tagger = SimpleNamespace(tag=lambda samples: [(name, 0.5) for name in ranking])
    silence = np.zeros(16000, np.float32)
    activity = np.zeros((len(events), 100), np.float32)
    clip = Clip(silence, events, (0.0,) * len(events), activity, 0, "test")
    return perception.listen([clip], tagger)[0]


def test_a_mixture_is_right_only_if_both_events_are_the_likeliest():
    rows = [
        heard(("bell", "dog"), "dog", "bell", "cat"),
        heard(("bell", "dog"), "dog", "cat", "bell"),
        heard(("rain",), "rain", "bell"),
    ]
    figures = perception.hearing(rows, "_held_out")
    assert figures["sound_pair_held_out"].value == 0.5
    assert figures["sound_single_held_out"].value == 1.0
    assert perception.by_event(rows)["bell"].value == 0.5
    assert perception.by_event(rows)["dog"].value == 1.0


@pytest.mark.parametrize("measured", [perception.sight, perception.hearing])
def test_nothing_measured_gives_no_interval_of_its_own(measured):
    assert all(figure.n == 0 for figure in measured([]).values())
