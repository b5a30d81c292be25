"""The tagger's model card, written from what was measured."""

import json
from pathlib import Path

import yaml

from nuthatch.training.perceive.tag_quality import Figures


def write_card(folder: Path, run: Path, figures: Figures, hard: list[str]) -> None:
    """Write the model card from what was measured."""
    last = json.loads((run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    settings = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    rows = {
        "top1_one_object": "label of boxes with no other object in view",
        "top1": "label of all boxes (moved by up to 6 %)",
        "nothing": "windows that show nothing, called nothing",
        "tint": "tint of objects, plain included",
        "tint_of_tinted": "tint of tinted objects",
        "tint_of_new_pairs": "tint, in pairs of category and tint never trained on",
        "presence_ap": "average precision of presence over all (picture, category) pairs",
        "present_called_present": "present categories settled as present",
        "present_called_absent": "present categories settled as absent (wrong)",
        "absent_called_absent": "absent categories settled as absent",
        "absent_called_present": "absent categories settled as present (wrong)",
    }
    table = ["| figure | " + " | ".join(_SHOWN) + " |", "|---|" + "---|" * len(_SHOWN)]
    for key, meaning in rows.items():
        cells = [_cell(figures.get(f"{appearance}_{key}")) for appearance in _SHOWN]
        table.append(f"| {meaning} | " + " | ".join(cells) + " |")
    size = (folder / "model.safetensors").stat().st_size
    text = _CARD.format(
        widths=", ".join(str(width) for width in settings["widths"]),
        megabytes=f"{size / 1e6:.1f}",
        steps=settings["schedule"]["steps"],
        lr=settings["schedule"]["lr"],
        scenes=settings["scenes"],
        crowds=settings["crowds"],
        minutes=round(last["seconds"] / 60),
        recoloured=round(100 * settings["recoloured"]),
        pictures=int(figures["seen_presence_ap"]["n"]),
        table="\n".join(table),
        hard="; ".join(hard),
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


_SHOWN = ("seen", "variant", "openmoji")


def _cell(figure: dict[str, float] | None) -> str:
    if figure is None:
        return "not measured"
    spread = f"{figure['low']:.3f}-{figure['high']:.3f}"
    return f"{figure['value']:.3f} ({spread}, n {figure['n']:,.0f})"


_CARD = """# tag: the second judge

A residual network (widths {widths}; {megabytes} MB in bfloat16) that names what one crop shows, out
of the vocabulary's categories or *nothing*, and its tint. Whole pictures are judged by overlapping
tiles at three sizes. It shares neither weights, nor backbone, nor training pictures with the
detector, so that the two can check each other.

**Data.** Scenes of the miniature world, split "train", and crowds of objects of four or nine
categories: every object loosely cut out, tiles laid at random, objects cut tight. A quarter of the
pictures with drawn outlines, {recoloured} % of the crops in changed colours (their tint is not
asked), and blur, noise, erased patches. No photograph, and no drawing of the style "openmoji", was
ever seen.

**Schedule.** {steps} steps of the crops of {scenes} scenes and {crowds} crowds, AdamW, cosine from
{lr}; {minutes} minutes of one shared core. Command: first line of
`training/recipes/embedded/1_perceive_tag.yaml`.

**Calibration.** `calibration.json`, measured on the split "calibrate"; its schema is
`nuthatch.tools.tagging.taggers.Calibration`. "Settled" below means beyond its thresholds.

**Quality**, split "test" ({pictures:,} pictures; layouts, and some pairs of category and tint,
never trained on), with 95 % intervals. "variant": held-out glyphs of trained styles;
"openmoji": a held-out style.

{table}

**Known failures.** Objects of the held-out glyphs and style are often named wrongly, and then with
too much confidence: the calibration holds for the trained styles only. Tiles that show parts of two
things. Most often wrong on "test": {hard}.
"""
