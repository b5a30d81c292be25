"""What the detector's domain is worth: scenes kept, and pictures of other kinds refused."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from nuthatch.tools.detection.heatmap_detector import HeatmapDetector
from nuthatch.training.evaluate import outside
from nuthatch.training.evaluate.statistics import Interval, proportion
from nuthatch.training.world.atlas import AtlasMissing
from nuthatch.training.world.changes import CHANGES, jpeg
from nuthatch.training.world.layout import Appearance
from nuthatch.training.world.scenes import make_scene

KEPT, REFUSED = "kept: ", "refused: "
LOOKS: dict[str, Appearance] = {
    "trained styles": "seen",
    "held-out glyphs": "variant",
    "OpenMoji, a held-out style": "openmoji",
}
HEADING = "**Domain.**"


def measure(detector: HeatmapDetector, number: int) -> dict[str, Interval]:
    """Shares of scenes of the split "test" that are kept, and of other pictures refused.

    `number` pictures of each row; twice as many scenes of each look.
    """
    figures: dict[str, Interval] = {}
    for title, look in LOOKS.items():
        try:
            drawn = [make_scene(seed, "test", appearance=look).image for seed in range(2 * number)]
        except AtlasMissing as error:
            tqdm.write(f"not measured: {error}")
            continue
        figures[KEPT + title] = _known(detector, drawn)
    scenes = [make_scene(10_000 + seed, "test").image for seed in range(number)]
    figures[f"{KEPT}JPEG of quality 60"] = _known(detector, (jpeg(each, 60) for each in scenes))
    for title, change in CHANGES.items():
        rng = np.random.default_rng(0)
        figures[KEPT + title] = _known(detector, (change(each, rng) for each in scenes))
    refused = 0
    for title in outside.KINDS:
        known = _known(detector, outside.pictures(title, number))
        right = round((1 - known.value) * known.n)
        refused += right
        figures[REFUSED + title] = proportion(right, known.n)
    figures[f"{REFUSED}all of these"] = proportion(refused, number * len(outside.KINDS))
    return figures


def _known(detector: HeatmapDetector, pictures: Iterable[NDArray[np.uint8]]) -> Interval:
    told = [detector.knows([picture])[0] for picture in pictures]
    return proportion(sum(told), len(told))


def write_section(folder: Path, figures: dict[str, Interval], kept: float) -> None:
    """Put what was measured at the end of the detector's card, or into a card of its own."""
    rows = [
        f"| {name} | {each.value:.3f} ({each.low:.3f} to {each.high:.3f}) | {each.n} |"
        for name, each in figures.items()
    ]
    path = folder / "README.md"
    card = path.read_text(encoding="utf-8") if path.is_file() else "# Domain\n\n"
    text = SECTION.format(kept=kept, rows="\n".join(rows))
    path.write_text(card.split(HEADING)[0] + text, encoding="utf-8")


SECTION = (
    HEADING
    + """ `domain.safetensors` tells pictures of the miniature world from others, by the cells
of this network (`tools/picture_domain.py`). Outside of it the models of this preset do not judge.
Learnt from scenes of the split `train`, changed in size, shape, margins, compression and lettering,
some of them drawn anew in flat colours with dark contours; and from noise, textured shapes, charts,
maps, pages (some before a camera), flat shapes, strokes, screens, figures on plain ground, empty
backgrounds, emoji on plain ground, scenery, windows of 18 photographs of scikit-image and
scikit-learn and of 30 of Debian's wallpapers, and these in few colours. The threshold keeps
{kept:.2%} of changed scenes of the split `calibrate`. Measured on scenes of the split `test`, and
on kinds of pictures that nothing was learnt from (the photographs are others, from the same two
packages; a chart with contours resembles a map); 95 % intervals.
Command: `nuthatch train embedded --stage perceive --only picture_domain`.

| | share | n |
|---|---|---|
{rows}
"""
)
