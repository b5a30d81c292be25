"""Ask about a picture and a sound; every claim of the answer is checked before it is printed."""

from pathlib import Path

from nuthatch import Agent

HERE = Path(__file__).parent

agent = Agent.load("embedded")
answer = agent.ask(
    "How many cups are there, and which object makes this sound?",
    image=HERE / "kitchen.png",
    audio=HERE / "kitchen.wav",
)
print(answer)
print("every claim supported:", answer.verified)
for verdict in answer.verdicts:
    judges = ", ".join(each.judge for each in verdict.evidence)
    print(f"  {verdict.verdict:10} {verdict.probability:.2f}  {verdict.claim.text!r}  ({judges})")

# The conversation goes on: media and earlier turns stay known.
print(agent.ask("Is there a bottle?", after=answer))
