#!/bin/sh
# supervision 0.31.0, numpy 2, Python 3.11: mask_to_xyxy gives the last pixel inside, not the first one
# outside, while box areas in the same package are (x2 - x1) * (y2 - y1). A mask of 4 x 4 pixels becomes
# a box of area 9, and a mask of one pixel a box of area 0. Whoever mixes its boxes with those of a
# detector (right and bottom exclusive) adds one to x2 and y2 first.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet supervision==0.31.0
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import supervision as sv

masks = np.zeros((2, 10, 10), bool)
masks[0, 2:6, 3:7] = True
masks[1, 5, 5] = True
found = sv.Detections(xyxy=sv.mask_to_xyxy(masks).astype(float), mask=masks)
print(found.xyxy.tolist(), "box areas", found.box_area.tolist(), "pixels", masks.sum((1, 2)).tolist())
assert found.xyxy.tolist() == [[3, 2, 6, 5], [5, 5, 5, 5]], "changed"
assert found.box_area.tolist() == [9, 0], "changed"
PYTHON
