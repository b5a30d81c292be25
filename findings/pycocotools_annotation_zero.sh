#!/bin/sh
# pycocotools 2.0.10, Python 3.11: average precision is lower where ground-truth annotations are
# numbered from 0. A match is stored as the id of the annotation, and 0 is also what stands for "no
# match". Two pictures with one object each, both found exactly: AP is 1.0 with ids 1 and 2, and about
# .25 with ids 0 and 1. The file loads without a word in both cases.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet pycocotools==2.0.10
"$folder/venv/bin/python" - <<'PYTHON'
import contextlib
import io

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def precision(first: int) -> float:
    box = [10, 10, 50, 50]
    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": n, "width": 100, "height": 100} for n in (1, 2)],
        "categories": [{"id": 1, "name": "cup"}],
        "annotations": [
            {"id": first + n, "image_id": n + 1, "category_id": 1, "bbox": box, "area": 2500, "iscrowd": 0}
            for n in (0, 1)
        ],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        found = truth.loadRes(
            [{"image_id": n, "category_id": 1, "bbox": box, "score": 0.9} for n in (1, 2)]
        )
        scored = COCOeval(truth, found, "bbox")
        scored.evaluate()
        scored.accumulate()
        scored.summarize()
    return float(scored.stats[0])


from_one, from_zero = precision(1), precision(0)
print(f"ids from 1: AP {from_one:.3f}; ids from 0: AP {from_zero:.3f}")
assert from_one > 0.99, "changed"
assert from_zero < 0.6, "changed"
PYTHON
