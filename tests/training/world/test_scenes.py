from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nuthatch.tools.vocabulary import CATEGORIES, GLYPHS, THEMES, TINTS
from nuthatch.training.world.layout import Background as Ground
from nuthatch.training.world.layout import Placement, Plan, Sign, plan_scene, render
from nuthatch.training.world.scenes import Scene, draw, make_scene
from nuthatch.training.world.sheet import sheet
from nuthatch.training.world.splits import SPLITS, Split, held_out_pair, held_out_tint, layout_split

seeds = st.integers(0, 10**6)
splits = st.sampled_from(SPLITS)
few = settings(max_examples=25, deadline=None)


def extent(mask: np.ndarray) -> tuple[float, ...]:
    rows, columns = np.nonzero(mask)
    return (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


@cache
def many(split: Split) -> tuple[Scene, ...]:
    return tuple(make_scene(seed, split) for seed in range(250))


def composed(*placements: Placement, size: int = 128, **more: object) -> Scene:
    plan = Plan("kitchen", "cup", placements, Ground())
    return draw(replace(plan, **more), size)


@few
@given(seeds, splits)
def test_the_same_arguments_give_the_same_scene(seed, split):
    first, second = make_scene(seed, split), make_scene(seed, split)
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.instances, second.instances)
    assert first.objects == second.objects
    assert first.words == second.words


def test_seeds_and_splits_give_different_pictures():
    pictures = {make_scene(seed, split).image.tobytes() for seed in range(10) for split in SPLITS}
    assert len(pictures) == 30


@few
@given(seeds, splits)
def test_boxes_are_the_extents_of_the_visible_masks(seed, split):
    scene = make_scene(seed, split)
    assert set(np.unique(scene.instances)) - {0} == set(range(1, len(scene.objects) + 1))
    for index, each in enumerate(scene.objects):
        assert each.box == extent(scene.mask(index))
        assert all(isinstance(value, float) for value in each.box)


@few
@given(seeds, splits, st.sampled_from([128, 160, 256]))
def test_at_most_three_tenths_of_an_object_are_hidden(seed, split, size):
    plan, _ = plan_scene(seed, split)
    scene = draw(plan, size)
    for index, placement in enumerate(plan.placements):
        whole = render(placement, size / 128).solid.sum()
        assert scene.mask(index).sum() >= 0.7 * whole


@few
@given(seeds, splits)
def test_every_object_lies_whole_inside_the_picture(seed, split):
    _, patches = plan_scene(seed, split)
    for patch in patches:
        height, width = patch.solid.shape
        assert patch.x >= 0
        assert patch.y >= 0
        assert patch.x + width <= 128
        assert patch.y + height <= 128


@few
@given(seeds, splits)
def test_a_scene_has_one_to_seven_objects_and_up_to_ten_when_six_are_counted(seed, split):
    scene = make_scene(seed, split)
    counted = scene.counts().get(scene.focus, 0)
    assert counted <= 6
    assert 1 <= len(scene.objects) <= (10 if counted == 6 else 7)
    assert scene.focus in THEMES[scene.theme]


def test_counts_of_the_focus_are_even_from_zero_to_six():
    counts = Counter(scene.counts().get(scene.focus, 0) for scene in many("test"))
    assert set(counts) == set(range(7))
    assert min(counts.values()) > 18  # 36 expected


def test_most_objects_belong_to_the_theme():
    objects = [(each.category, scene.theme) for scene in many("train") for each in scene.objects]
    share = sum(category in THEMES[theme] for category, theme in objects) / len(objects)
    assert 0.82 < share < 0.97


def test_no_layout_belongs_to_two_splits():
    for split in SPLITS:
        for seed in range(40):
            plan, _ = plan_scene(seed, split)
            centres = [(each.category, each.x, each.y) for each in plan.placements]
            assert layout_split(centres) == split


@pytest.mark.parametrize("split", ["train", "calibrate"])
def test_held_out_compositions_never_occur_outside_the_test_split(split):
    for scene in many(split):
        assert not scene.held_out_composition
        assert all(each.tint != held_out_tint(each.category) for each in scene.objects)
        assert not any(held_out_pair(a, b) for a, b in combinations(scene.counts(), 2))


def test_the_test_split_marks_the_held_out_compositions_it_shows():
    marked = [scene.held_out_composition for scene in many("test")]
    assert 0.15 < np.mean(marked) < 0.7


def test_held_out_pairs_are_symmetric_and_leave_every_theme_most_of_its_company():
    pairs = list(combinations(CATEGORIES, 2))
    assert all(held_out_pair(a, b) == held_out_pair(b, a) for a, b in pairs)
    assert 0.03 < np.mean([held_out_pair(a, b) for a, b in pairs]) < 0.1
    for members in THEMES.values():
        within = [held_out_pair(a, b) for a, b in combinations(members, 2)]
        assert np.mean(within) < 0.25


def test_training_shows_main_glyphs_of_both_shipped_styles_only():
    looks = {(each.style, each.variant) for scene in many("train") for each in scene.objects}
    assert looks == {("noto", 0), ("twemoji", 0)}


def test_the_variant_appearance_shows_the_held_out_glyph_wherever_there_is_one():
    for seed in range(40):
        scene = make_scene(seed, "test", appearance="variant")
        assert len(GLYPHS[scene.focus]) > 1
        for each in scene.objects:
            assert each.variant == len(GLYPHS[each.category]) - 1


def test_a_third_of_the_objects_are_tinted_with_every_tint():
    tints = Counter(each.tint for scene in many("train") for each in scene.objects)
    assert set(tints) == {None, *TINTS}
    assert 0.28 < 1 - tints[None] / tints.total() < 0.42


@few
@given(seeds)
def test_relations_hold_with_a_margin_and_their_converse_holds_too(seed):
    scene = make_scene(seed, "test")
    converse = {"left of": "right of", "above": "below", "right of": "left of", "below": "above"}
    found = set(scene.relations())
    for i, name, j in found:
        axis = 0 if name in ("left of", "right of") else 1
        difference = scene.objects[j].centre[axis] - scene.objects[i].centre[axis]
        assert abs(difference) > 0.05 * scene.size
        assert (difference > 0) == (name in ("left of", "above"))
        assert (j, converse[name], i) in found


def test_two_centres_closer_than_the_margin_have_no_clear_relation():
    scene = composed(Placement("frisbee", 64, 64, 50), Placement("cup", 66, 62, 20))
    assert scene.relation(0, 1) == ()


@pytest.mark.parametrize("seed", range(6))
def test_one_seed_gives_the_same_layout_at_every_size(seed):
    small, large = make_scene(seed, "test"), make_scene(seed, "test", size=512)
    assert large.image.shape == (512, 512, 3)
    for one, four in zip(small.objects, large.objects, strict=True):
        assert (one.category, one.tint, one.style) == (four.category, four.tint, four.style)
        assert np.allclose(np.array(one.box) * 4, four.box, atol=6)
    shrunk = large.image.reshape(128, 4, 128, 4, 3).mean((1, 3))
    assert np.abs(shrunk - small.image).mean() < 6


def test_size_bins_follow_the_long_side_of_the_box():
    for scene in many("train"):
        for each in scene.objects:
            x1, y1, x2, y2 = each.box
            share = max(x2 - x1, y2 - y1) / scene.size
            expected = "small" if share < 0.22 else "medium" if share < 0.32 else "large"
            assert each.size_bin == expected


def test_a_tenth_of_the_scenes_carry_a_word_and_no_object_covers_it():
    worded = [scene for scene in many("train") if scene.words]
    assert 12 < len(worded) < 42
    for scene in worded:
        (word,) = scene.words
        assert word.text.isupper() or word.text.isdigit()
        x1, y1, x2, y2 = (int(value) for value in word.box)
        assert 0 <= x1 < x2 <= 128
        assert 0 <= y1 < y2 <= 128
        assert not scene.instances[y1:y2, x1:x2].any()


def test_the_box_of_a_word_holds_all_its_ink():
    sign = Sign("MENU", 20, 40, 16, ink=(0, 0, 0), paper=(255, 255, 255))
    scene = composed(Placement("cup", 100, 100, 30), signs=(sign,), size=256)
    x1, y1, x2, y2 = scene.words[0].box
    dark = scene.image.max(axis=2) < 60
    dark[180:] = False  # the cup
    ink = extent(dark)
    assert x1 <= ink[0]
    assert y1 <= ink[1]
    assert x2 >= ink[2]
    assert y2 >= ink[3]
    assert np.allclose(scene.words[0].box, ink, atol=4)


def test_later_objects_stand_in_front_of_earlier_ones():
    scene = composed(Placement("book", 60, 64, 50), Placement("ball", 80, 64, 30))
    assert scene.instances[64, 80] == 2
    assert scene.instances[64, 45] == 1


def test_an_object_without_a_visible_pixel_is_refused():
    with pytest.raises(ValueError, match="apple at 64, 64 is hidden"):
        composed(Placement("apple", 64, 64, 20), Placement("book", 64, 64, 100))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "0 or more, got -1"),
        ({"seed": 0, "split": "dev"}, "no split 'dev': the splits are train, calibrate, test"),
        ({"seed": 0, "appearance": "noto"}, "no appearance 'noto'"),
        ({"seed": 0, "size": 16}, "64 pixels a side or more, got 16"),
    ],
)
def test_wrong_arguments_are_refused_with_what_was_expected(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_scene(**arguments)


def test_a_sheet_is_one_png_with_room_for_every_scene(tmp_path):
    path = sheet(3, 1, tmp_path / "sheet.png")
    with Image.open(path) as page:
        assert page.format == "PNG"
        assert page.width > 2 * 288
    with pytest.raises(ValueError, match="1 to 400"):
        sheet(0, 1, path)
