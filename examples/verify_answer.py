"""Check the answer of any model against a picture, and correct what the evidence refutes."""

from pathlib import Path

from nuthatch import Verifier

KITCHEN = Path(__file__).with_name("kitchen.png")

correction = Verifier().correct("There are two cups and a giraffe.", image=KITCHEN)
print("before:", correction.draft)
print("after: ", correction.final)
for edit in correction.edits:
    print(f"  {edit.op}: {edit.old_text!r} -> {edit.new_text!r}, evidence {edit.evidence_ids}")
