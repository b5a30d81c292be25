#!/bin/sh
# transformers 5.24.0 with torch 2.13.0, Python 3.11: `generate` hands the key-value cache to a
# model's `forward` as `cache`; before (5.23.0) it was `past_key_values`. A subclass whose `forward`
# still names `past_key_values`, and looks at it, gets None at every step and the cache among its
# other keywords. No error is raised; what is written stays the same. The one sign is a warning, and
# only if the subclass passes its None on: that both arguments are set and the old one is ignored.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.13.0 numpy==2.4.6
cat >"$folder/look.py" <<'PYTHON'
import json
import warnings

import torch
from transformers import LlamaConfig, LlamaForCausalLM

steps = []


class Looking(LlamaForCausalLM):
    """Notes which arguments hold a cache."""

    def forward(self, input_ids=None, past_key_values=None, **others):
        steps.append([past_key_values is not None, others.get("cache") is not None])
        return super().forward(input_ids=input_ids, past_key_values=past_key_values, **others)


torch.manual_seed(0)
config = LlamaConfig(
    vocab_size=32, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
    num_attention_heads=2, num_key_value_heads=2, eos_token_id=None,
)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    ids = Looking(config).eval().generate(
        torch.tensor([[1, 2, 3]]), max_new_tokens=3, do_sample=False
    )
ignored = sum("ignoring deprecated `past_key_values" in str(each.message) for each in caught)
print(json.dumps({"ids": ids.tolist(), "steps": steps, "warnings": ignored}))
PYTHON
for version in 5.23.0 5.24.0; do
    "$folder/venv/bin/python" -m pip install --quiet "transformers==$version"
    "$folder/venv/bin/python" "$folder/look.py" 2>/dev/null | tail -1 | tee "$folder/$version.json"
done
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import json
import sys
from pathlib import Path

old, new = (json.loads((Path(sys.argv[1]) / f"{v}.json").read_text()) for v in ("5.23.0", "5.24.0"))
assert old["ids"] == new["ids"]
assert old["steps"] == [[True, False]] * 3 and old["warnings"] == 0
assert new["steps"] == [[False, True]] * 3 and new["warnings"] == 3, "changed: see the first lines"
PYTHON
