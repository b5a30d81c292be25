"""Stage `read_and_call`: the language model learns to read, to answer and to call tools.

It reads text and simulated queries alone: paraphrased requests, invented schemas, observations,
copying and counting drills, and questions to eye and ear whose answers follow from what the queries
say. What it exports: the tokenizer, the language model under the core's names, and the layers that
bring phrase vectors and boxes into it.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from nuthatch.mllm.chat import encode
from nuthatch.mllm.config import CoreConfig
from nuthatch.training.data import mixture
from nuthatch.training.data.sample import Picture, Sound
from nuthatch.training.recipes.core import ReadAndCallRecipe
from nuthatch.training.stages.bridge import TIED, core_config
from nuthatch.training.stages.lessons import Lessons
from nuthatch.training.stages.phrase_vectors import shared_vectors
from nuthatch.training.stages.reader import BOX_SCALE, VECTOR_SCALE, Reader
from nuthatch.training.stages.reading_quality import Quiz, called_figures
from nuthatch.training.stages.see import CATEGORIES_FILE
from nuthatch.training.stages.simulated import QuerySimulator
from nuthatch.training.stages.trainer import Batch, run
from nuthatch.training.tokenizer import spelt_alike, train_tokenizer

LANGUAGE_FILE, JOINING_FILE = "language_model.safetensors", "joining.safetensors"
TOKENIZER_SEED, SEED = 40, 4


def train(config: ReadAndCallRecipe) -> None:
    """Train or resume, export the language model, and measure what it says."""
    torch.set_num_threads(config.threads)
    torch.manual_seed(0)
    core = core_config(config.core)
    categories, sounds = shared_vectors(config.see / CATEGORIES_FILE)
    tokenizer = tokenizer_of(config, core)
    simulate = QuerySimulator(categories, sounds, core.num_query_tokens)
    lessons = Lessons(
        tokenizer,
        core.num_query_tokens,
        tokens=config.tokens,
        scenes=config.scenes,
        shares=config.shares,
    )
    learner = Reader(core, categories, spelt_alike(tokenizer))
    unseen = replace(lessons, split="calibrate", scenes=1.0)

    def embed(media: Sequence[Picture | Sound], generator: torch.Generator) -> Tensor:
        queries = simulate(media, generator)
        return learner.embed_queries(queries.to(learner.device))

    def lessons_at(step: int) -> Lessons:
        """First echoes alone, half of that time ever longer ones."""
        if step >= config.echo_until:
            return lessons
        return lessons.echoes(2 * step / config.echo_until)

    run(
        learner,
        lambda step: batch(lessons_at(step), simulate, step),
        config.schedule,
        config.out,
        config=config,
        evaluate=lambda: Quiz(unseen, embed, config.watch).figures(learner),
        evaluate_every=config.evaluate_every,
    )
    export(learner, config.export)
    with torch.inference_mode():
        figures = Quiz(unseen, embed, config.measure).figures(learner)
        figures |= called_figures(learner, unseen, embed, config.measure)
    text = json.dumps(figures, indent=1)
    (config.out / "figures.json").write_text(text + "\n", encoding="utf-8")


def batch(lessons: Lessons, simulate: QuerySimulator, step: int) -> Batch:
    """The batch of this step, see `Reader.losses`."""
    packed, names = lessons.batch(SEED, step)
    generator = torch.Generator().manual_seed(step)
    tensors = {name: value for name, value in vars(packed).items() if name != "media"}
    return tensors | {"names": names, "queries": simulate(packed.media, generator)}


def tokenizer_of(config: ReadAndCallRecipe, core: CoreConfig) -> PreTrainedTokenizerFast:
    """The tokenizer in the export folder; it is trained if there is none yet."""
    if not (config.export / "tokenizer.json").is_file():
        vocabulary = core.text_config.vocab_size
        trained = train_tokenizer(texts(config.tokenizer_samples), vocab_size=vocabulary)
        trained.save_pretrained(config.export)
    return PreTrainedTokenizerFast.from_pretrained(config.export, local_files_only=True)


def texts(number: int) -> Iterator[str]:
    """Dialogues as the template writes them, without the tokens that stand for themselves."""
    writer = train_tokenizer([], vocab_size=266)
    for index in range(number):
        sample = mixture.sample(TOKENIZER_SEED, index)
        ids = encode(writer, sample.messages, sample.tools).ids
        yield re.sub(r"<\|\w+\|>", "\n", writer.decode(ids))


def export(learner: Reader, folder: Path) -> None:
    """Write the language model under the core's names, and the layers from vectors and boxes.

    The latter take vectors and boxes as queries say them: the scales are multiplied in.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: value.cpu().contiguous() for name, value in learner.state_dict().items()}
    language = {n: v for n, v in state.items() if n.startswith("language_model.") and n != TIED}
    save_file(language, folder / LANGUAGE_FILE)
    joining: dict[str, Any] = {
        "from_vector.weight": VECTOR_SCALE * state["from_vector.weight"],
        "from_vector.bias": state["from_vector.bias"],
        "from_box.weight": BOX_SCALE * state["from_box.weight"],
        "from_box.bias": state["from_box.bias"],
        "name.weight": state["name.weight"],
        "name.bias": state["name.bias"],
        "vectors": learner.vectors.cpu(),
    }
    save_file(joining, folder / JOINING_FILE)
