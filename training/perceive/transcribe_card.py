"""The transcriber's model card, written from what was measured."""

import json
from collections.abc import Mapping
from pathlib import Path

import yaml

from nuthatch.training.evaluate.statistics import Interval
from nuthatch.training.perceive.spoken import words
from nuthatch.training.perceive.transcribe_corpus import MORE_VOICES
from nuthatch.training.world.speech import FASTEST, SLOWEST, VOICES

_ROWS = {
    "wer": "words wrong per word said, voices heard in training",
    "held_out_wer": "the same, voices never heard",
    "sentences": "sentences without a wrong word, voices heard in training",
    "held_out_sentences": "the same, voices never heard",
}


def write_card(folder: Path, run: Path, figures: Mapping[str, Interval]) -> None:
    """Write `README.md` into `folder`, from the run's settings and these figures."""
    last = json.loads((run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    settings = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    lines = ["| figure | value | 95 % interval | n |", "|---|---|---|---|"]
    for name, meaning in _ROWS.items():
        value, low, high, n = figures[name]
        lines.append(f"| {meaning} | {value:.3f} | {low:.3f}-{high:.3f} | {n:,} |")
    text = _CARD.format(
        width=settings["width"],
        encoder_layers=settings["encoder_layers"],
        decoder_layers=settings["decoder_layers"],
        seconds=round(settings["window"] * 0.04),
        megabytes=f"{(folder / 'model.safetensors').stat().st_size / 1e6:.1f}",
        words=len(words()),
        sentences=settings["sentences"],
        test_sentences=settings["test_sentences"],
        voices=len(VOICES["seen"]) + len(MORE_VOICES),
        held_out=", ".join(f"`{voice}`" for voice in VOICES["held_out"]),
        slowest=SLOWEST,
        fastest=FASTEST,
        steps=settings["schedule"]["steps"],
        batch=settings["batch"],
        lr=settings["schedule"]["lr"],
        minutes=round(last["seconds"] / 60),
        table="\n".join(lines),
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


_CARD = """# transcribe: the miniature's ear for words

A Whisper (arXiv:2212.04356) of width {width}, {encoder_layers} + {decoder_layers} layers and
windows of up to {seconds} s ({megabytes} MB in bfloat16), trained from scratch. It knows the
{words} words that a user of the miniature world says, in English, as tokens of GPT-2; its classes
are openai-whisper's, with the few changes that `nuthatch.tools.audio.whisper_miniature` describes.

**Data.** {sentences:,} questions, requests and captions of `nuthatch.training.perceive.spoken`,
spoken by espeak-ng in {voices} voices at {slowest} to {fastest} words a minute; every time with
another tempo, length of the throat, microphone and noise. Never heard in training: the voices
{held_out} (neither their accent nor, for those with a plus, their speaker), and one sentence in
ten. No human voice was ever heard.

**Schedule.** {steps:,} steps of {batch} windows, AdamW, cosine from {lr}; heads that do not ship
learn phonemes and words by CTC, and the decoder is shown when each word is said. {minutes} minutes
of one shared core.
Command: first line of `training/recipes/embedded/1_perceive_transcribe.yaml`.

**Quality**, {test_sentences} sentences never trained on in each kind of voice, greedy decoding,
with 95 % intervals (over resampled sentences).

{table}

**Known failures.** Other words than those {words} become the likeliest of them: names, other
languages and human speech come out as nonsense of the miniature world, nearly always with a score
that puts them outside of the domain below. Its sentences are those of some fifty frames: what is
said otherwise is bent towards them
("the cat is under the table", of which it knows all but the last word, became "the the bottle").
Words that sound alike in an unknown accent are confused. Of 60 sounds without speech (noise, tones,
events of the world) 8 were written down as words. It writes lower case; capitals where sentences
begin are put there by `nuthatch.tools.audio.transcriber`. It cannot translate, and tells one time
for all that is said without a pause of half a second.
"""
