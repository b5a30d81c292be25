"""Train the transcriber: a small Whisper from scratch on synthesised speech.

The decoder learns the words. Helpers that do not ship teach the encoder far sooner than the words
alone would: half of its layers learn the phonemes, all of them the words (CTC, arXiv:1609.06773),
and the decoder is shown when each word is said.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from whisper.model import ModelDimensions
from whisper.tokenizer import Tokenizer, get_tokenizer

from nuthatch.tools.audio.transcriber import load
from nuthatch.tools.audio.whisper_miniature import ENGLISH_VOCABULARY, STRIDE, MiniatureWhisper
from nuthatch.tools.audio.whisper_weights import save
from nuthatch.training.fit import Losses, fit
from nuthatch.training.perceive.spoken import words
from nuthatch.training.perceive.transcribe_card import write_card
from nuthatch.training.perceive.transcribe_corpus import (
    MELS,
    Corpus,
    Floats,
    corpus_of,
    disturbed,
    heard,
    masked,
    noise,
    warped,
)
from nuthatch.training.perceive.transcribe_quality import glance, measure
from nuthatch.training.recipes.perception import TranscribeRecipe

IGNORED = -100
AUDIBLE = 4.0
"""Decades below its loudest point from which a sentence is taken to begin and end."""
LONGEST_PAUSE = 1.4
"""Seconds between two sentences of a window."""
NEAR = 6.0
"""Positions, a quarter of a second, by which a word may be away from where its letters put it."""


class Learner(nn.Module):
    """The model and its helpers' heads."""

    def __init__(self, config: TranscribeRecipe, phonemes: int) -> None:
        super().__init__()
        self.model = MiniatureWhisper(dimensions(config), vocabulary())
        with torch.no_grad():  # PyTorch's own start leaves what is heard below the positions
            self.model.encoder.conv1.weight *= 3
            self.model.encoder.conv2.weight *= 3
        nn.init.normal_(self.model.decoder.token_embedding.weight, std=config.width**-0.5)
        nn.init.normal_(self.model.decoder.positional_embedding, std=0.02)
        self.phonemes = nn.Linear(config.width, phonemes + 1)
        self.blank = nn.Linear(config.width, 1)
        nn.init.constant_(self.blank.bias, 5.0)  # most moments end no word

    def hear(self, mel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The encoder's output (B, T, D), and log-probabilities of phonemes and of tokens, blank
        first, (T, B, 1 + n); the tokens' are told with the decoder's own embeddings."""
        encoder = self.model.encoder
        x = encoder.stem(mel)
        half = len(encoder.blocks) // 2
        for block in encoder.blocks[:half]:
            x = block(x)
        phonemes = self.phonemes(x)
        for block in encoder.blocks[half:]:
            x = block(x)
        heard_by = encoder.ln_post(x)
        told = heard_by @ self.model.decoder.token_embedding.weight.T
        tokens = torch.cat([self.blank(heard_by), told], dim=-1)
        return heard_by, _log_chances(phonemes), _log_chances(tokens)


def dimensions(config: TranscribeRecipe) -> ModelDimensions:
    """Sizes as the package names them."""
    return ModelDimensions(
        n_mels=MELS,
        n_audio_ctx=config.window,
        n_audio_state=config.width,
        n_audio_head=config.width // 32,
        n_audio_layer=config.encoder_layers,
        n_vocab=ENGLISH_VOCABULARY,
        n_text_ctx=96,
        n_text_state=config.width,
        n_text_head=config.width // 32,
        n_text_layer=config.decoder_layers,
    )


def vocabulary() -> list[int]:
    """The tokens of every word that is spoken, and the special ones that a transcript needs."""
    tokenizer = get_tokenizer(multilingual=False)
    said = {token for word in words() for token in tokenizer.encode(f" {word}")}
    said |= {token for mark in ".?" for token in tokenizer.encode(mark)}
    special = (tokenizer.eot, tokenizer.sot, tokenizer.no_speech, tokenizer.no_timestamps)
    return [*sorted(said), *special]


def train(config: TranscribeRecipe) -> None:
    """Train or resume, export, and measure what was exported on sentences never trained on."""
    out, export = Path(config.out), Path(config.export)
    out.mkdir(parents=True, exist_ok=True)
    corpus = corpus_of(config.sentences, config.seed, out / "corpus.npz")
    torch.manual_seed(config.seed)
    learner = Learner(config, len(corpus.alphabet))
    batches = Batches(corpus, config, get_tokenizer(multilingual=False), learner.model.tokens)
    fit(
        learner,
        lambda step: _loss(learner, batches.at(step), config),
        config.schedule,
        out,
        config=config,
        evaluate=lambda: glance(learner.model),
        evaluate_every=config.evaluate_every,
    )
    save(learner.model, export)
    figures = measure(load(export).model, config.test_sentences)  # what ships: rounded to bf16
    record = {name: figure._asdict() for name, figure in figures.items()}
    (out / "figures.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    write_card(export, out, figures)


@dataclass(frozen=True)
class Batch:
    """Windows with what is said in them.

    Attributes:
        mel: (B, MELS, frames).
        lengths: (B,) frames before the silence that fills the window.
        tokens: (B, n) places in the vocabulary, from the start of the transcript on.
        targets: (B, n) the next places; IGNORED where nothing is to be learned.
        moments: (B, n) about when each target is said, in positions; NaN where it is not said.
        phonemes: of all windows end to end; phoneme_counts: (B,).
    """

    mel: Tensor
    lengths: Tensor
    tokens: Tensor
    targets: Tensor
    moments: Tensor
    phonemes: Tensor
    phoneme_counts: Tensor


class Window(NamedTuple):
    """(frames, MELS) log power, phonemes, and each sentence with its first and last frame."""

    power: Floats
    phonemes: npt.NDArray[np.int16]
    said: list[tuple[str, float, float]]


class Batches:
    """A batch for every step, of sentences about equally long."""

    def __init__(
        self,
        corpus: Corpus,
        config: TranscribeRecipe,
        tokenizer: Tokenizer,
        tokens: tuple[int, ...],
    ) -> None:
        self.corpus, self.config, self.tokenizer = corpus, config, tokenizer
        self.places = {token: place for place, token in enumerate(tokens)}
        lengths = np.diff(corpus.ends, prepend=0)
        self.by_length = np.argsort(lengths, kind="stable")

    def at(self, step: int) -> Batch:
        """The batch of this step, always the same."""
        rng = np.random.default_rng([self.config.seed, step, 7])
        strength = min(1.0, (step + 1) / self.config.easy)
        reach = max(1, int(len(self.corpus) * (0.2 + 0.8 * strength)))
        start = rng.integers(-self.config.batch // 2, reach - self.config.batch // 2)
        near = np.clip(start + rng.integers(0, 400, self.config.batch), 0, reach - 1)
        joined = rng.random() < self.config.joined * strength
        items = [self._window(int(self.by_length[i]), rng, strength, joined) for i in near]
        longest = max(len(item.power) for item in items)
        whole = rng.random() < self.config.whole * strength
        positions = self.config.window if whole else -(-longest // STRIDE)
        frames = STRIDE * min(self.config.window, positions)
        mel = [
            masked(heard(item.power[:frames], frames), len(item.power), rng, strength)
            for item in items
        ]
        rows = [self._tokens(item) for item in items]
        size = max(len(tokens) for tokens, _, _ in rows)
        pad = self.places[self.tokenizer.eot]
        return Batch(
            torch.stack(mel),
            torch.tensor([min(frames, len(item.power)) for item in items]),
            torch.tensor([tokens + [pad] * (size - len(tokens)) for tokens, _, _ in rows]),
            torch.tensor([goal + [IGNORED] * (size - len(goal)) for _, goal, _ in rows]),
            torch.tensor([when + [math.nan] * (size - len(when)) for _, _, when in rows]),
            torch.from_numpy(np.concatenate([item.phonemes for item in items]).astype(np.int64)),
            torch.tensor([len(item.phonemes) for item in items]),
        )

    def _window(
        self, index: int, rng: np.random.Generator, strength: float, joined: bool
    ) -> Window:
        if rng.random() < self.config.silent:
            shape = (int(rng.integers(50, 400)), MELS)
            return Window(noise(shape, rng.uniform(-4, 2), rng), np.zeros(0, np.int16), [])
        chosen = [self.corpus[index]]
        room = 0.95 * STRIDE * self.config.window - len(chosen[0].power)
        for other in rng.integers(len(self.corpus), size=3) if joined else ():
            spoken = self.corpus[int(other)]
            room -= len(spoken.power) + 100 * LONGEST_PAUSE
            if room < 0:
                break
            chosen.append(spoken)
        parts: list[Floats] = []
        said: list[tuple[str, float, float]] = []
        for number, spoken in enumerate(chosen):
            shortest, longest = (0.15, LONGEST_PAUSE) if number else (0.0, 0.5)
            parts.append(_pause(shortest, longest, rng, strength))
            start = sum(map(len, parts))
            parts.append(warped(spoken.power, rng, strength))
            loud = np.flatnonzero(parts[-1].max(axis=1) > parts[-1].max() - AUDIBLE)
            said.append((spoken.text, start + float(loud[0]), start + float(loud[-1])))
        parts.append(_pause(0.0, 0.5, rng, strength))
        power = disturbed(np.concatenate(parts), rng, strength)
        return Window(power, np.concatenate([spoken.phonemes for spoken in chosen]), said)

    def _tokens(self, item: Window) -> tuple[list[int], list[int], list[float]]:
        """Places in the vocabulary, what follows each, and about when that is said."""
        special = self.tokenizer
        said: list[int] = []
        moments: list[float] = []
        for text, start, end in item.said:
            tokens = special.encode(f" {text}")
            sizes = np.array([len(special.decode([token])) for token in tokens])
            middles = (np.cumsum(sizes) - sizes / 2) / sizes.sum()
            said += tokens
            moments += ((start + middles * (end - start)) / STRIDE).tolist()
        row = [special.sot, special.no_timestamps, *said, special.eot]
        places = [self.places[token] for token in row]
        goal = places[1:]
        if not item.said:
            goal[0] = self.places[special.no_speech]
        return places[:-1], goal, [math.nan, *moments, math.nan]


def _pause(shortest: float, longest: float, rng: np.random.Generator, strength: float) -> Floats:
    """Digital silence of so many seconds, more often short than long."""
    frames = int(100 * (shortest + strength * (longest - shortest) * rng.uniform() ** 2))
    return np.full((frames, MELS), -10, np.float32)


def _log_chances(logits: Tensor) -> Tensor:
    """(B, T, n) logits to log-probabilities (T, B, n)."""
    return logits.float().log_softmax(dim=-1).transpose(0, 1)


def _loss(learner: Learner, batch: Batch, config: TranscribeRecipe) -> Losses:
    heard_by, phonemes, tokens = learner.hear(batch.mel)
    with Looking(learner.model) as looking:
        logits = learner.model.decoder.narrow(blurred(batch.tokens, config.blurred), heard_by)
    words = F.cross_entropy(
        logits.flatten(0, 1),
        batch.targets.flatten(),
        ignore_index=IGNORED,
        label_smoothing=0.05,
    )
    lengths = (batch.lengths // STRIDE).clamp(max=len(tokens))
    said = ~batch.moments.isnan()
    return {
        "words": words,
        "phonemes": config.phonemes * ctc(phonemes, lengths, batch.phonemes, batch.phoneme_counts),
        "tokens": config.tokens * ctc(tokens, lengths, 1 + batch.targets[said], said.sum(dim=1)),
        "moments": config.guided * looking.away_from(batch.moments),
    }


def ctc(chances: Tensor, lengths: Tensor, targets: Tensor, counts: Tensor) -> Tensor:
    """Mean over windows of the loss of each target symbol."""
    return F.ctc_loss(chances, targets, lengths, counts, zero_infinity=True)


def blurred(tokens: Tensor, share: float) -> Tensor:
    """(B, n) with this share of the words, all but the first two, changed for others of theirs."""
    shuffled = tokens[:, 2:].flatten()[torch.randperm(tokens[:, 2:].numel())].view_as(tokens[:, 2:])
    changed = torch.rand(shuffled.shape) < share
    return torch.cat([tokens[:, :2], torch.where(changed, shuffled, tokens[:, 2:])], dim=1)


class Looking:
    """Where the last layer of the decoder looks; half of its heads are guided.

    Word times are read off the same heads (`whisper.timing`).
    """

    def __init__(self, model: MiniatureWhisper) -> None:
        self.attention = model.decoder.blocks[-1].cross_attn
        self.handle: Any = None
        self.given: tuple[Tensor, ...] = ()

    def __enter__(self) -> Self:
        def keep(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            self.given = given

        self.handle = self.attention.register_forward_pre_hook(keep)
        return self

    def __exit__(self, *_: object) -> None:
        self.handle.remove()

    def away_from(self, moments: Tensor) -> Tensor:
        """How little is seen within a quarter of a second of each moment: mean of -log of it."""
        asking, heard_by = self.given
        heads = self.attention.n_head
        half = max(1, heads // 2)
        query = self.attention.query(asking).unflatten(-1, (heads, -1))[:, :, :half]
        key = self.attention.key(heard_by).unflatten(-1, (heads, -1))[:, :, :half]
        scores = torch.einsum("bnhd,bthd->bhnt", query, key) * query.shape[-1] ** -0.5
        seen = scores.softmax(dim=-1).mean(dim=1)  # (B, n, T)
        known = ~moments.isnan()
        distance = torch.arange(seen.shape[-1]) - moments[known].unsqueeze(-1)
        near = torch.exp(-0.5 * (distance / NEAR) ** 2)
        there = (seen[known] * near).sum(dim=-1)
        cost: Tensor = -there.add(1e-4).log().sum() / known.sum().clamp(min=1)
        return cost
