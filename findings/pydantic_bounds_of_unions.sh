#!/bin/sh
# pydantic 2.14.3, Python 3.11: the JSON schema of a bounded union, Annotated[int | float,
# Field(ge=0, le=1)], holds `ge` and `le`, which are no keywords of JSON Schema, so that readers of
# the schema know of no bound; of a bounded float it holds `minimum` and `maximum`. Whoever hands the
# schema on bounds each member of the union.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet pydantic==2.14.3
"$folder/venv/bin/python" - <<'PYTHON'
from typing import Annotated

from pydantic import Field, TypeAdapter

alone = TypeAdapter(Annotated[float, Field(ge=0, le=1)]).json_schema()
union = TypeAdapter(Annotated[int | float, Field(ge=0, le=1)]).json_schema()
print(alone, union)
assert {"minimum", "maximum"} <= set(alone)
assert {"ge", "le"} <= set(union), "changed: no ge and le"
assert "minimum" not in str(union), "changed: the bounds are in the schema"
PYTHON
