"""One KV cache, several continuations: fork a conversation, stream from it, roll it back."""

from pathlib import Path

from PIL import Image

from nuthatch.mllm.chat import END, prompt_ids
from nuthatch.mllm.generation.continuing import Continuation
from nuthatch.tools.weights.store import Weights

KITCHEN = Path(__file__).with_name("kitchen.png")
QUESTIONS = ["Is there a cup?", "Is there a dog?"]

generator = Weights().get("core")  # the core that ships, and its processor
core, processor = generator.core, generator.processor


def asked(question: str) -> list[int]:
    """The conversation up to where the assistant begins to speak."""
    picture, text = {"type": "image", "handle": "image_1"}, {"type": "text", "text": question}
    told = [{"role": "user", "content": [picture, text]}]
    return prompt_ids(processor.tokenizer, told, queries=core.config.num_tokens("image"))


def answer(conversation: Continuation) -> str:
    return "".join(piece.text for piece in conversation.stream(24, stop=END))


one, other = map(asked, QUESTIONS)
common = next(i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
conversation = Continuation(core, processor.tokenizer)
conversation.read(one[:common], pixel_values=processor.pixel_values([Image.open(KITCHEN)]))
print(f"read once, with the picture: {common} tokens")

for question, ids in zip(QUESTIONS, (one, other), strict=True):
    fork = conversation.fork()  # the forks do not influence one another
    fork.read(ids[common:])
    print(f"{question} {answer(fork)}")

# TextBind (Li et al., 2023) forgets what it wrote and reads something else in its place.
fork.rollback(len(fork.ids) - common)
fork.read(one[common:])
print(f"rolled back to token {common}: {QUESTIONS[0]} {answer(fork)}")
