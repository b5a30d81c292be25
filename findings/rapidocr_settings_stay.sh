#!/bin/sh
# rapidocr 3.10.0 with onnxruntime 1.32.0, Python 3.11: the options of one call change the engine for
# the calls after it. With text_score=1.1 nothing can be sure enough, so nothing is read, as asked;
# the next call names no option and still reads nothing. Naming text_score again brings it back.
# Whoever shares an engine passes every option at every call.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet rapidocr==3.10.0 onnxruntime==1.32.0 numpy pillow
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rapidocr import RapidOCR

picture = Image.new("RGB", (640, 240), "white")
ImageDraw.Draw(picture).text((40, 90), "Garden market", fill="black", font=ImageFont.load_default(48))
pixels = np.asarray(picture)[:, :, ::-1].copy()
engine = RapidOCR(params={"Global.log_level": "critical"})
said = [
    engine(pixels).txts,
    engine(pixels, text_score=1.1).txts,
    engine(pixels).txts,
    engine(pixels, text_score=0.5).txts,
]
print(said)
read = [bool(texts) for texts in said]
assert read == [True, False, False, True], f"changed: {said}"
PYTHON
