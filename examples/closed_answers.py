"""Answers out of a closed set: all of them scored at once, or one of them generated."""

from pathlib import Path

import torch
from PIL import Image

from nuthatch.mllm.chat import END, prompt_ids
from nuthatch.mllm.generation.closed_sets import Trie, score_candidates
from nuthatch.tools.weights.store import Weights

STREET = Path(__file__).with_name("street.png")
ANSWERS = ["Yes, there is a dog.", "No, there is no dog.", "I cannot tell."]

generator = Weights().get("core")  # the core that ships, and its processor
core, processor = generator.core, generator.processor
tokenizer = processor.tokenizer

question = [
    {
        "role": "user",
        "content": [
            {"type": "image", "handle": "image_1"},
            {"type": "text", "text": "Is there a dog?"},
        ],
    }
]
ids = prompt_ids(tokenizer, question, queries=core.config.num_tokens("image"))
prompt = {
    "input_ids": torch.tensor([ids]),
    "pixel_values": processor.pixel_values([Image.open(STREET)]),
}
words = [tokenizer(answer, add_special_tokens=False).input_ids for answer in ANSWERS]
end = tokenizer.convert_tokens_to_ids(END)

# Two forward passes for all candidates, however many there are.
scores = score_candidates(core, words, end_id=end, **prompt)
for answer, probability in zip(ANSWERS, scores.probabilities.tolist(), strict=True):
    print(f"{answer:22} {probability:.3f}")

# Beams that hold all answers find the likeliest; nothing but an answer can be generated.
written = core.generate(
    **prompt,
    attention_mask=torch.ones_like(prompt["input_ids"]),
    prefix_allowed_tokens_fn=Trie(words).constraint(len(ids), end),
    num_beams=len(words),
    length_penalty=0.0,
    max_new_tokens=16,
)[0, len(ids) :]
print("generated:", tokenizer.decode(written, skip_special_tokens=True))
