#!/bin/sh
# pydantic_core as pydantic 2.14.3 brings it, Python 3.11: to_jsonable_python(..., bytes_mode="base64")
# encodes bare bytes, but raises UnicodeDecodeError for a model that holds the same bytes: the model's
# own setting, utf8, counts. Whoever needs both gives such models ser_json_bytes="base64".
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet pydantic==2.14.3
"$folder/venv/bin/python" - <<'PYTHON'
from pydantic import BaseModel
from pydantic_core import to_jsonable_python


class Holder(BaseModel):
    content: bytes


assert to_jsonable_python(b"\xff", bytes_mode="base64") == "_w=="
try:
    to_jsonable_python(Holder(content=b"\xff"), bytes_mode="base64")
except UnicodeDecodeError as error:
    print(type(error).__name__, error)
else:
    raise SystemExit("changed: bytes inside a model are encoded now")
PYTHON
