#!/bin/sh
# webdataset 1.0.2, Python 3.11: the key of a sample ends at its first dot. Two samples written with the
# keys "scene.1" and "scene.2" are read back as one, "scene", with the fields "1.txt" and "2.txt":
# the reader finds one sample where two were written, and says nothing.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet webdataset==1.0.2
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import webdataset

with webdataset.TarWriter("samples.tar") as sink:
    sink.write({"__key__": "scene.1", "txt": "one cup"})
    sink.write({"__key__": "scene.2", "txt": "two cups"})
read = list(webdataset.WebDataset("samples.tar", shardshuffle=False))
print([{k: v for k, v in each.items() if not k.startswith("__")} for each in read])
assert len(read) == 1, f"changed: {len(read)} samples"
assert read[0]["1.txt"] == b"one cup" and read[0]["2.txt"] == b"two cups", "changed"
PYTHON
