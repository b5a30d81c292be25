"""MULTIS annotations, the data of ChatBridge's second stage, as token ids with a loss mask."""

from random import Random
from typing import Any

from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.layout import IGNORED, Medium, lay_out
from nuthatch.mllm.presets import chatbridge
from nuthatch.tools.weights.store import Weights
from nuthatch.training.data.multis import messages

# Records as the released annotation files hold them: task, instruction, record.
RECORDS: list[tuple[str, str, dict[str, Any]]] = [
    ("ti-shortqa", "Answer in a word: <QUESTION>", {"question": "How many cups?", "answer": "3"}),
    ("ta-cap", "What do you hear?", {"caption": ["a bell rings", "a ringing bell"]}),
    (
        "tva-conv",
        "",
        {
            "conversations": [
                {"from": "human", "value": "<video>\nWho is playing?"},
                {"from": "gpt", "value": "A man plays the drums."},
            ]
        },
    ),
]

tokenizer = Weights().get("core").processor.tokenizer  # in place of Vicuna's
config = CoreConfig.tiny()
for task, instruction, record in RECORDS:
    dialogue = messages(record, task, instruction, Random(0))
    segments = chatbridge.CHAT.segments(dialogue)
    print(f"-- {task}")
    print("".join(f"<{s.sense}>" if isinstance(s, Medium) else s.text for s in segments))
    batch = lay_out([segments], config, tokenizer)
    learned = batch["labels"][0] != IGNORED
    said = tokenizer.decode(batch["labels"][0][learned])
    print(f"learned: {int(learned.sum())} of {len(learned)} tokens: {said!r}")
