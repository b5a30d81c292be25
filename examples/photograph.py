"""What happens with pictures that the shipped weights do not know: they say so, and change nothing.

Usage: python examples/photograph.py [PICTURE]
"""

import sys

import numpy as np

from nuthatch import Agent, Verifier

picture: str | np.ndarray
if len(sys.argv) > 1 and sys.argv[1].lower().endswith((".jpg", ".jpeg", ".png", ".webp")):
    picture = sys.argv[1]
else:  # no scene of the miniature world: coloured noise
    picture = np.random.default_rng(0).integers(0, 255, (240, 320, 3), dtype=np.uint8)

correction = Verifier().correct("There are two cups on the table.", image=picture)
print("unchanged:", correction.final == correction.draft)
for verdict in correction.verdicts:
    print(f"  {verdict.verdict}  {verdict.claim.text!r}  ({verdict.rule})")

answer = Agent.load("embedded").ask("How many cups are there?", image=picture)
print(answer)
for notice in answer.notices:
    print(notice.text)
