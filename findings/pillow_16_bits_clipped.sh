#!/bin/sh
# Pillow 13.0.0, Python 3.11: Image.convert between the two orders of 16-bit bytes, "I;16" to "I;16B"
# (or "I;16L", "I;16N"), cuts every value off at 255 and says nothing: 1000 becomes 255. A picture of
# that mode made by frombytes or Image.new keeps its values. Whoever needs the other order swaps the
# bytes in numpy.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet pillow==13.0.0 numpy
"$folder/venv/bin/python" - <<'PYTHON'
from PIL import Image

deep = Image.new("I;16", (2, 2), 1000)
swapped = deep.convert("I;16B")
print(deep.getpixel((0, 0)), swapped.getpixel((0, 0)))
assert deep.getpixel((0, 0)) == 1000
assert swapped.getpixel((0, 0)) == 255, "changed: the value is kept now"
PYTHON
