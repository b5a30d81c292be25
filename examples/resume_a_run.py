"""Every run is written down as it goes; it can be shown again without any model, and resumed."""

from pathlib import Path

from nuthatch import Agent
from nuthatch.agent.runs import list_runs, load_run

KITCHEN = Path(__file__).with_name("kitchen.png")

agent = Agent.load("embedded")
answer = agent.ask("How many cups are there?", image=KITCHEN)

for row in list_runs():
    print(row["run_id"], row["state"], row["question"])
print("stored: ", load_run(answer.run_id))  # from the files alone
print("resumed:", agent.resume(answer.run_id))  # no finished call is repeated
