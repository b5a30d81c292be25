"""Captioners: one protocol, and the back end that a preset has.

A folder `caption` among the weights holds a captioner of its own, today BLIP; where there is none,
the core says what it sees.
"""

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable
from weakref import WeakKeyDictionary

import numpy as np

from nuthatch.tools.media.ingest import Pixels
from nuthatch.tools.weights.store import Weights

if TYPE_CHECKING:
    from torch import Tensor

    from nuthatch.mllm.generation.decoding import Decoder
    from nuthatch.mllm.generation.generator import Question, Speaker

REQUEST = "Describe the picture."
"""What the core is asked for."""
TEMPERATURE = 0.7
"""Of the core's draws: at 1 a small core misspells now and then."""
AT_ONCE = 16


class Said(NamedTuple):
    """A caption, the mean natural log-probability of its tokens, and how often it was said."""

    text: str
    mean_logprob: float
    times: int = 1


@runtime_checkable
class Captioner(Protocol):
    """Says what a picture shows, (H, W, 3) uint8 RGB of any size.

    `key` names the picture's content, e.g. by sha256: what was seen under a key is not encoded
    again.
    """

    model_id: str
    """Back end, size, first digits of the weights' SHA-256."""

    def caption(self, pixels: Pixels, key: str | None = None) -> Said:
        """The one it finds likeliest; the same every time."""
        ...

    def captions(self, pixels: Pixels, key: str | None = None, *, n: int, seed: int) -> list[Said]:
        """`n` drawn captions, equal ones merged and counted, the most frequent first.

        The i-th draw depends on the picture, `seed` and i alone: more draws begin with the same.
        """
        ...


def serving_captions(weights: Weights) -> str:
    """The name of the weights that captions are made with."""
    return "caption" if weights.offers("caption") else "core"


def captioner(weights: Weights) -> Captioner:
    """The captioner of these weights, or their core where they have none.

    Raises:
        ToolUnavailable: weights or a package are missing.
    """
    model = weights.get(serving_captions(weights))
    return model if isinstance(model, Captioner) else CoreCaptioner(model)


def merged(said: Iterable[tuple[str, float]]) -> list[Said]:
    """Texts and their log-probabilities: each text once with its count, most frequent first, then
    the likelier ones."""
    draws = list(said)
    counts = Counter(text for text, _ in draws)
    likely = dict(draws)
    found = [Said(text, likely[text], count) for text, count in counts.items()]
    return sorted(found, key=lambda each: (-each.times, -each.mean_logprob, each.text))


def seed_of(seed: int, draw: int) -> int:
    """The seed of the i-th draw, unlike those of other draws and other seeds; 64 bits."""
    return int(np.random.SeedSequence([seed, draw]).generate_state(1, np.uint64)[0])


_DRAWING: "WeakKeyDictionary[Speaker, Decoder]" = WeakKeyDictionary()


class CoreCaptioner:
    """`Captioner` by the core itself: its likeliest sentence, or sentences drawn word by word."""

    model_id = "core"

    def __init__(self, speaker: "Speaker") -> None:
        self._speaker = speaker

    def caption(self, pixels: Pixels, key: str | None = None) -> Said:
        """See `Captioner.caption`."""
        question = self._question(pixels, key)
        (text,) = self._speaker.answers([question])
        return Said(text, self._likely(question, [text])[text])

    def captions(self, pixels: Pixels, key: str | None = None, *, n: int, seed: int) -> list[Said]:
        """See `Captioner.captions`; drawn from all words, at `TEMPERATURE`."""
        from nuthatch.mllm.chat import prompt_ids
        from nuthatch.mllm.generation.decoding import Medium, Row
        from nuthatch.mllm.generation.grammar import turn_grammar

        question = self._question(pixels, key)
        speaker, vectors = self._speaker, question.media[0][1]
        content = [{"type": "image", "handle": "image_1"}, {"type": "text", "text": REQUEST}]
        ids = prompt_ids(
            speaker.tokenizer,
            [{"role": "user", "content": content}],
            queries=speaker.processor.config.num_tokens("image"),
        )
        grammar = turn_grammar([], {}, allow="answer")
        media = [Medium("image_1", vectors)]
        rows = [Row(ids, grammar, media, seed_of(seed, draw)) for draw in range(n)]
        texts = []
        for start in range(0, n, AT_ONCE):
            for said in self._drawing().generate(rows[start : start + AT_ONCE]):
                texts.append(speaker.tokenizer.decode(said, skip_special_tokens=True).strip())
        likely = self._likely(question, texts)
        return merged((text, likely[text]) for text in texts)

    def _question(self, pixels: Pixels, key: str | None) -> "Question":
        from nuthatch.mllm.generation.generator import Question

        def see() -> "Tensor":
            return self._speaker.see([pixels])[0]

        vectors: Tensor = see() if key is None else self._speaker.known.get(key, see)
        return Question(REQUEST, (("image", vectors),))

    def _likely(self, question: "Question", texts: Iterable[str]) -> dict[str, float]:
        once = list(dict.fromkeys(texts))
        found = self._speaker.log_likelihoods([(question, text) for text in once])
        means = (whole / max(1, tokens) for whole, tokens in found)
        return dict(zip(once, means, strict=True))

    def _drawing(self) -> "Decoder":
        """A decoder that draws; made once for each core, and gone with it."""
        from nuthatch.mllm.generation.decoding import Decoder
        from nuthatch.mllm.generation.generator import MOST_TOKENS

        if self._speaker not in _DRAWING:
            _DRAWING[self._speaker] = Decoder(
                self._speaker.core,
                self._speaker.tokenizer,
                max_new_tokens=MOST_TOKENS,
                temperature=TEMPERATURE,
            )
        return _DRAWING[self._speaker]
