#!/bin/sh
# datasets 5.2.0, Python 3.11: Dataset.from_list makes one struct type of all rows of a column. Tool
# calls with different arguments come back with the arguments of every other tool, as None: a call of
# "crop" gains a "labels" it never had. A chat template that prints the arguments then trains on them.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet datasets==5.2.0
"$folder/venv/bin/python" - <<'PYTHON'
from datasets import Dataset

calls = [
    {"name": "detect", "arguments": {"labels": ["cup"]}},
    {"name": "crop", "arguments": {"region": [1, 2, 3, 4]}},
]
rows = Dataset.from_list([{"call": call} for call in calls])
print([row["call"] for row in rows])
assert rows[1]["call"]["arguments"] == {"labels": None, "region": [1, 2, 3, 4]}, "changed"
assert rows[0]["call"]["arguments"] == {"labels": ["cup"], "region": None}, "changed"
PYTHON
