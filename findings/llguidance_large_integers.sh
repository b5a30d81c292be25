#!/bin/sh
# llguidance 1.9.1, Python 3.11: a JSON schema of integers from 10**19 to 10**20 passes
# LLMatcher.validate_grammar, but the grammar accepts no number of that range; from 10**17 to 10**18
# it does. Whoever bounds integers keeps the bounds within 64 bits, or leaves them out of the schema.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet llguidance==1.9.1
"$folder/venv/bin/python" - <<'PYTHON'
import json

from llguidance import LLMatcher, LLTokenizer

bytes_only = LLTokenizer("byte")


def accepts(low, high, number):
    schema = {"type": "integer", "minimum": low, "maximum": high}
    grammar = LLMatcher.grammar_from_json_schema(json.dumps(schema))
    assert LLMatcher.validate_grammar(grammar) == "", "changed: the schema is refused"
    matcher = LLMatcher(bytes_only, grammar)
    tokens = list(str(number).encode())
    return matcher.validate_tokens(tokens) == len(tokens)


print(accepts(10**17, 10**18, 5 * 10**17), accepts(10**19, 10**20, 5 * 10**19))
assert accepts(10**17, 10**18, 5 * 10**17)
assert not accepts(10**19, 10**20, 5 * 10**19), "changed: the number is accepted"
PYTHON
