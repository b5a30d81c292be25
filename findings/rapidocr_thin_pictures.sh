#!/bin/sh
# rapidocr 3.10.0 with onnxruntime 1.32.0, Python 3.11: a picture of one colour that is 8 pixels high
# and 4000 wide cannot be read. The shorter side would become 0 when the longer one is brought down
# to max_side_len (2000, then a multiple of 32), and the call raises ResizeImgError; a picture of
# 64 x 4000 gives an empty result. Whoever reads strips pads them first.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet rapidocr==3.10.0 onnxruntime==1.32.0 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
from rapidocr import RapidOCR

engine = RapidOCR(params={"Global.log_level": "critical"})
assert engine(np.full((64, 4000, 3), 255, np.uint8)).txts is None
try:
    engine(np.full((8, 4000, 3), 255, np.uint8))
except Exception as error:
    print(type(error).__name__)
    assert type(error).__name__ == "ResizeImgError", error
else:
    raise SystemExit("changed: 8 x 4000 pixels are read now")
PYTHON
