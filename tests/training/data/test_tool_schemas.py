"""What dialogues show of tools is what the shipped planner was trained with, by the real tools."""

import re
import subprocess
import sys

import pytest

from nuthatch.mllm.chat import prompt_ids
from nuthatch.tools.catalogue import all_tools
from nuthatch.training.data.mixture import dialogue
from nuthatch.training.data.sample import Draw
from nuthatch.training.data.simulation import ARGUMENTS
from nuthatch.training.data.tool_schemas import schemas
from nuthatch.training.tokenizer import train_tokenizer

TRAINED = """\
ground(image: image, phrases: [str])
describe(image: image)
caption_many(image: image, n?: integer, seed?: integer)
read_text(image: image, region?: detection|[number*4])
transcribe(audio: audio, language?: str)
generate_image(prompt: str, width?: integer, height?: integer, seed?: integer, n?: integer)
edit_image(image: image, mask?: mask, detection?: detection, prompt: str, seed?: integer)
detect("""
"""How the prompt begins that the shipped planner was trained with."""


def test_all_are_tools_of_the_catalogue_with_their_own_schemas():
    real = {schema["name"]: schema for schema in all_tools().schemas()}
    assert all(schema == real[name] for name, schema in schemas().items())
    assert schemas().keys() <= ARGUMENTS.keys() == real.keys()


def test_the_prompt_names_them_as_the_shipped_planner_was_trained():
    tokenizer = train_tokenizer([], vocab_size=266)
    ids = prompt_ids(tokenizer, [{"role": "user", "content": "?"}], list(schemas().values()))
    assert tokenizer.decode(ids).startswith(f"<|bos|><|system|>{TRAINED}")


@pytest.mark.parametrize(
    ("kind", "observed"),
    [
        ("ground", r"links: (?!.* 0\.\d).+"),
        ("caption many", r"captions: [^:;]+"),
        ("read text", r"(lines: .+ 0\.\d\d( \d+){4}|nothing found)"),
        ("generate", r"images: image_\d(, image_\d)*; seeds: \d+(, \d+)*"),
        ("edit", r"images: image_\d; seeds: \d+"),
    ],
)
def test_results_are_told_without_what_only_people_read(kind, observed):
    told = 0
    for number in range(30):
        sample = dialogue(Draw.of("told", number), kind, armed=True)
        *_, text = (each["content"] for each in sample.messages if each["role"] == "tool")
        if " failed (" not in text and "detect: " not in text:
            assert re.fullmatch(rf"call_\d \w+: {observed}", text), text
            told += 1
    assert told > 15


def test_making_dialogues_needs_no_model():
    code = (
        "import sys, nuthatch.training.data.mixture\n"
        "print([name for name in ('torch', 'transformers', 'diffusers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
