from colorsys import rgb_to_hsv

import numpy as np
import pytest
from PIL import Image

from nuthatch.tools.vocabulary import GLYPHS, TINTS
from nuthatch.training.world import atlas

KEYS = [
    f"{category}/{variant}" for category, glyphs in GLYPHS.items() for variant in range(len(glyphs))
]


def solid_colours(sprite: Image.Image) -> np.ndarray:
    pixels = np.asarray(sprite, float)
    return pixels[pixels[..., 3] >= 128][:, :3]


@pytest.mark.parametrize("style", atlas.SHIPPED_STYLES)
def test_every_glyph_of_the_vocabulary_is_shipped_tightly_cropped(style):
    sheet = atlas.load(style)
    for key in KEYS:
        sprite = sheet.straight(key)
        assert max(sprite.size) == atlas.SPRITE_SIDE
        left, top, right, bottom = sprite.getchannel("A").point(lambda a: 255 * (a >= 12)).getbbox()
        assert left <= 1
        assert top <= 1
        assert right >= sprite.width - 1
        assert bottom >= sprite.height - 1
        assert len(solid_colours(sprite)) > 0.12 * sprite.width * sprite.height


def test_the_shipped_sheets_stay_below_four_megabytes():
    files = list((atlas._SHIPPED).glob("*"))
    assert sum(file.stat().st_size for file in files) < 4_000_000
    assert not any("openmoji" in file.name for file in files)


@pytest.mark.parametrize("style", atlas.SHIPPED_STYLES)
@pytest.mark.parametrize("tint", TINTS)
def test_a_tinted_sprite_has_the_hue_of_its_name(style, tint):
    reference = rgb_to_hsv(*(value / 255 for value in TINTS[tint]))
    for key in KEYS[::7]:
        median = np.median(solid_colours(atlas.tinted(atlas.load(style).straight(key), tint)), 0)
        hue, saturation, value = rgb_to_hsv(*(median / 255))
        if tint == "gray":
            assert saturation < 0.1
        else:
            distance = abs(hue - reference[0])
            assert min(distance, 1 - distance) < 0.04
            assert saturation > 0.4
        assert abs(value - reference[2]) < 0.2


def test_tinting_keeps_light_and_shade_and_the_outline():
    plain = atlas.load("noto").straight("zebra/0")
    blue = atlas.tinted(plain, "blue")
    assert blue.getchannel("A").tobytes() == plain.getchannel("A").tobytes()
    before, after = (solid_colours(sprite).mean(1) for sprite in (plain, blue))
    assert np.corrcoef(before, after)[0, 1] > 0.9


@pytest.mark.parametrize(("long_side", "expected"), [(128, 128), (65, 128), (64, 64), (20, 32)])
def test_a_level_is_the_smallest_that_need_not_be_enlarged(long_side, expected):
    sprite = atlas.load("noto").level("ball/0", None, long_side)
    assert sprite.mode == "RGBa"
    assert max(sprite.size) == expected + 2  # the transparent border


def test_levels_are_prepared_once():
    sheet = atlas.load("twemoji")
    assert sheet is atlas.load("twemoji")
    assert sheet.level("cup/0", "red", 30) is sheet.level("cup/0", "red", 30)


def test_a_held_out_style_that_was_not_built_names_its_command(monkeypatch, tmp_path):
    monkeypatch.setenv("NUTHATCH_CACHE", str(tmp_path))
    with pytest.raises(atlas.AtlasMissing, match=r"build_atlas.py --style openmoji --out") as error:
        atlas.load("openmoji")
    assert str(tmp_path / "atlas") in str(error.value)


def test_a_style_found_in_the_cache_is_used(monkeypatch, tmp_path):
    monkeypatch.setenv("NUTHATCH_CACHE", str(tmp_path))
    folder = tmp_path / "atlas"
    folder.mkdir()
    Image.new("RGBA", (128, 128), "red").save(folder / "openmoji.png")
    (folder / "openmoji.json").write_text('{"cup/0": [0, 0, 128, 96]}')
    assert atlas.load("openmoji").straight("cup/0").size == (128, 96)


def test_an_unknown_style_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="noto, twemoji and openmoji"):
        atlas.load("emojione")
