#!/bin/sh
# safetensors 0.8.0 with numpy 2.4.6, Python 3.11: safetensors.numpy.save_file writes an array in
# Fortran order (a transposed one, say) as its bytes lie in memory, under the shape that it has. No
# error is raised, and load_file gives other content in the same shape. Whoever saves numpy arrays
# makes them contiguous first.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet safetensors==0.8.0 numpy==2.4.6
"$folder/venv/bin/python" - "$folder/array.safetensors" <<'PYTHON'
import sys

import numpy as np
from safetensors.numpy import load_file, save_file

rows = np.arange(6, dtype=np.float32).reshape(2, 3)
save_file({"rows": np.asfortranarray(rows)}, sys.argv[1])
loaded = load_file(sys.argv[1])["rows"]
print(rows.tolist(), loaded.tolist())
assert loaded.shape == rows.shape
assert loaded.tolist() == [[0, 3, 1], [4, 2, 5]], "changed: the content is kept, or refused"
PYTHON
