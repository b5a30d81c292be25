"""Speech recognisers: openai-whisper's models, long sounds, and what lies in a weights folder.

A long sound is cut at its pauses and the parts are decoded together, none of them conditioned on
the text before it: an error stays where it is. Sounds are mono float32 at 16 kHz; times are
seconds of the sound.

A model beside whose weights a domain lies (`domain`), as the miniature's, also tells which windows
hold no speech of the kind that it was trained on, by how likely it finds the words that it wrote.
"""

import math
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from whisper.audio import HOP_LENGTH, N_FRAMES, SAMPLE_RATE, log_mel_spectrogram, pad_or_trim
from whisper.decoding import DecodingOptions, DecodingResult
from whisper.model import Whisper
from whisper.timing import find_alignment, merge_punctuations
from whisper.tokenizer import LANGUAGES, TO_LANGUAGE_CODE, Tokenizer, get_tokenizer

from nuthatch.messages import shown
from nuthatch.tools.audio.silence import Stretch, windows
from nuthatch.tools.audio.whisper_miniature import STRIDE, MiniatureWhisper
from nuthatch.tools.audio.whisper_weights import read
from nuthatch.tools.domain.check import Domain

Samples = NDArray[np.float32]

TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Tried one after the other while a text is too repetitive or too unlikely."""
REPETITIVE = 2.4
"""Compression ratio of a text above which it repeats itself."""
UNLIKELY = -1.0
"""Mean log-probability of its tokens below which a text is a guess."""
NO_SPEECH = 0.6
"""Probability of no speech from which an unlikely text is invented."""
LANGUAGE_WINDOWS = 8
"""Windows from which the language is told: the package takes the first alone."""
SURPRISE = 0.02
"""Nats a token below which a text is as good as certain."""
PAUSE = SAMPLE_RATE // 2
"""Longest pause inside a window of a model that tells no times of its own."""

SECONDS_OF_A_TOKEN = 0.02
"""Steps in which the package's models tell times."""
BEFORE_WORDS, AFTER_WORDS = "\"'([{-", "\"'.,!?:)]}"
"""Punctuation that belongs to the word after it, or before it."""

_ONE_AT_A_TIME = threading.Lock()  # the package hangs caches and hooks on the model


@dataclass(frozen=True, slots=True)
class Word:
    """A word as it is written, when it is said, and how sure the model is of it."""

    word: str
    start: float
    end: float
    probability: float


@dataclass(frozen=True, slots=True)
class Segment:
    """Some words said without a long pause, with the scores of the window they are from."""

    start: float
    end: float
    text: str
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float
    temperature: float
    tokens: tuple[int, ...] = field(repr=False)
    words: tuple[Word, ...] | None = None
    known: bool = True
    """Whether the window lies inside the model's domain, if it has one."""

    @property
    def reliable(self) -> bool:
        """Neither a repetition, nor a guess, nor words made up where nobody speaks or where speech
        is of a kind that the model does not know."""
        likely = self.compression_ratio <= REPETITIVE and self.avg_logprob >= UNLIKELY
        return self.known and likely


@dataclass(frozen=True, slots=True)
class Transcript:
    """What is said; `language` is a code such as `en`, and None where nothing sounds.

    `language_prob` is None where the language was given, or the model knows but one. `windows` is
    how many were heard, `unknown` how many of them lie outside the model's domain, in words or not.
    """

    language: str | None
    language_prob: float | None
    segments: tuple[Segment, ...]
    windows: int = 0
    unknown: int = 0


class Transcriber:
    """A Whisper of any size behind one call.

    Args:
        model: of the package's class, or the miniature.
        model_id: back end, size, first digits of the weights' SHA-256: the name in evidence.
        batch: windows decoded together.
        domain: of the features that `window_features` computes.
    """

    def __init__(
        self, model: Whisper, model_id: str, *, batch: int = 16, domain: Domain | None = None
    ) -> None:
        self.model = model.eval()
        self.model_id = model_id
        self.batch = batch
        self.domain = domain
        self.tells_times = not isinstance(model, MiniatureWhisper)
        self._known_of: tuple[Samples, list[Transcript]] | None = None  # `knows` heard it

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages it knows."""
        if not self.model.is_multilingual:
            return ("en",)
        return tuple(LANGUAGES)[: self.model.num_languages]

    @property
    def translates(self) -> bool:
        """Whether it learned to translate into English: one-language models did not, and those
        whose decoder was cut down ("turbo") forgot it."""
        dims = self.model.dims
        cut_down = dims.n_text_layer < dims.n_audio_layer
        return bool(self.model.is_multilingual) and not cut_down

    def language_code(self, name: str) -> str:
        """`en` for `en`, `EN`, `English`.

        Raises:
            ValueError: a language that the model does not know; the message names some it does.
        """
        given = name.strip().lower()
        code: str = TO_LANGUAGE_CODE.get(given, given)
        if code not in self.languages:
            known = ", ".join(LANGUAGES[each] for each in self.languages[:8])
            more = len(self.languages) - 8
            rest = f" and {more} more" if more > 0 else ""
            raise ValueError(
                f"this model does not know the language '{shown(name)}'; it knows {known}{rest}"
            )
        return code

    def language_name(self, code: str) -> str:
        """`English` for `en`."""
        return str(LANGUAGES[code]).title()

    def hear(
        self,
        samples: Samples,
        *,
        language: str | None = None,
        task: str = "transcribe",
        word_timestamps: bool = False,
    ) -> Iterator[Transcript]:
        """Batch after batch of windows, in order of time: each a transcript of its own.

        Nothing comes of a sound in which nothing sounds. Between two batches the caller may stop.

        Args:
            samples: (n,) mono at 16 kHz, of any length.
            language: a code of `languages`; None: told from the first windows.
            task: `transcribe`, or `translate` into English.
            word_timestamps: also tell when each word is said.
        """
        kept = self._known_of
        plain = language is None and task == "transcribe" and not word_timestamps
        if kept is not None and kept[0] is samples and plain:
            yield from kept[1]
            return
        probability = None
        for some in self._batches(samples):
            with _ONE_AT_A_TIME, torch.inference_mode():
                mel = spectra(self.model, [samples[start:end] for start, end in some])
                # Encoded once, whatever is then asked of it; the miniature's windows are cheap.
                sound = self.model.encoder(mel) if self.tells_times else mel
                if language is None:
                    language, probability = self._language(sound[:LANGUAGE_WINDOWS])
                tokenizer = self._tokenizer(language, task)
                segments: list[Segment] = []
                results = self._decode(sound, language, task)
                known = self._known(results)
                for part, window, result, inside in zip(some, mel, results, known, strict=True):
                    found = [
                        replace(one, known=inside) for one in _segments(part, result, tokenizer)
                    ]
                    if not self.tells_times:  # the miniature knows lower case alone
                        found = [replace(one, text=_as_sentences(one.text)) for one in found]
                    if word_timestamps:
                        found = self._timed(found, part, window, tokenizer)
                    segments += found
            yield Transcript(language, probability, tuple(segments), len(known), known.count(False))

    def knows(self, sounds: Sequence[Samples]) -> list[bool]:
        """Whether each sound holds speech of the kind that the model was trained on, or nothing:
        whether most of its windows lie inside the domain. All are known where there is none."""
        if self.domain is None:
            return [True] * len(sounds)
        heard = [list(self.hear(sound)) for sound in sounds]
        if len(sounds) == 1 and not sounds[0].flags.writeable:  # it stays as it was heard
            self._known_of = sounds[0], heard[0]
        return [
            2 * sum(part.unknown for part in parts) <= sum(part.windows for part in parts)
            for parts in heard
        ]

    def features(self, samples: Samples) -> list[list[float]]:
        """`window_features` of every window of a sound, in order of time."""
        found: list[list[float]] = []
        for some in self._batches(samples):
            with _ONE_AT_A_TIME, torch.inference_mode():
                mel = spectra(self.model, [samples[start:end] for start, end in some])
                language, _ = self._language(mel[:LANGUAGE_WINDOWS])
                found += map(window_features, self._decode(mel, language, "transcribe"))
        return found

    def _batches(self, samples: Samples) -> list[list[Stretch]]:
        """The windows that are decoded together."""
        parts = windows(samples, self._longest, pause=None if self.tells_times else PAUSE)
        return [parts[first : first + self.batch] for first in range(0, len(parts), self.batch)]

    def _known(self, results: Sequence[DecodingResult]) -> list[bool]:
        """Whether each window lies inside the domain."""
        if self.domain is None:
            return [True] * len(results)
        inside: list[bool] = self.domain.contains([window_features(r) for r in results]).tolist()
        return inside

    @property
    def _longest(self) -> int:
        """Samples of a window."""
        frames = N_FRAMES if self.tells_times else STRIDE * self.model.dims.n_audio_ctx
        return int(frames * HOP_LENGTH)

    def _tokenizer(self, language: str, task: str) -> Tokenizer:
        return get_tokenizer(
            self.model.is_multilingual,
            num_languages=self.model.num_languages,
            language=language,
            task=task,
        )

    def _language(self, sound: Tensor) -> tuple[str, float | None]:
        """The likeliest language of these windows, and its mean probability."""
        if not self.model.is_multilingual:
            return "en", None
        _, tables = self.model.detect_language(sound)
        means = {code: sum(table[code] for table in tables) / len(tables) for code in tables[0]}
        best = max(means, key=lambda code: means[code])
        return best, means[best]

    def _decode(self, sound: Tensor, language: str, task: str) -> list[DecodingResult]:
        """A text for every window, sampled anew where it repeats itself or is unlikely.

        The draws are the same every time for the same windows.
        """
        results: dict[int, DecodingResult] = {}
        left = list(range(len(sound)))
        with torch.random.fork_rng(devices=_cuda(sound)):
            torch.manual_seed(0)
            for temperature in TEMPERATURES:
                options = DecodingOptions(
                    task=task,
                    language=language,
                    temperature=temperature,
                    without_timestamps=not self.tells_times,
                    suppress_blank=self.tells_times,  # the miniature learned to say nothing
                    length_penalty=0.0,  # else the package divides by the length, which may be 0
                    fp16=sound.dtype == torch.float16,
                )
                results |= zip(left, self.model.decode(sound[left], options), strict=True)
                left = [index for index in left if _is_poor(results[index])]
                if not left:
                    break
        return [results[index] for index in range(len(sound))]

    def _timed(
        self, segments: list[Segment], part: Stretch, window: Tensor, tokenizer: Tokenizer
    ) -> list[Segment]:
        """The same with the time of every word, by what the decoder attends to."""
        tokens = [token for segment in segments for token in segment.tokens]
        stride = 2 if self.tells_times else STRIDE
        frames = (part.end - part.start) // HOP_LENGTH
        timings = find_alignment(
            self.model,
            tokenizer,
            tokens,
            window,
            2 * max(1, frames // stride),  # the package takes two frames to a position
            medfilt_width=7 if self.tells_times else 3,
        )
        merge_punctuations(timings, BEFORE_WORDS, AFTER_WORDS)
        offset, scale = part.start / SAMPLE_RATE, stride / 2
        words = [
            (
                len(timing.tokens),
                Word(
                    timing.word.strip(),
                    offset + scale * float(timing.start),
                    offset + scale * float(timing.end),
                    float(timing.probability),
                ),
            )
            for timing in timings
        ]
        timed = []
        for segment in segments:
            room, said = len(segment.tokens), []
            while words and room > 0:
                size, word = words.pop(0)
                room -= size
                if word.word:
                    said.append(word)
            timed.append(replace(segment, words=tuple(said)))
        return timed


def window_features(result: DecodingResult) -> list[float]:
    """What tells of a window whether the model knows such speech: how surprising it finds what it
    wrote, in nats a token, on a scale on which short texts of known speech do not spread."""
    return [math.log(SURPRISE - result.avg_logprob)]


def spectra(model: Whisper, sounds: Sequence[Samples]) -> Tensor:
    """(B, n_mels, frames) on the model's device: 30 s, or for the miniature the longest sound."""
    frames = N_FRAMES
    if isinstance(model, MiniatureWhisper):
        longest = max(len(sound) for sound in sounds) // HOP_LENGTH
        frames = STRIDE * min(model.dims.n_audio_ctx, max(1, -(-longest // STRIDE)))
    mel = torch.stack(
        [
            log_mel_spectrogram(
                pad_or_trim(torch.from_numpy(np.array(sound)), frames * HOP_LENGTH),
                model.dims.n_mels,
            )
            for sound in sounds
        ]
    ).to(model.device)
    return mel.half() if model.device.type == "cuda" else mel


def _segments(part: Stretch, result: DecodingResult, tokenizer: Tokenizer) -> list[Segment]:
    """What is said between the times that the model tells, or all of it in one segment."""
    length = (part.end - part.start) / SAMPLE_RATE
    pieces: list[tuple[float, float, list[int]]] = []
    start = 0.0
    said: list[int] = []
    for token in [*result.tokens, None]:
        if token is not None and token < tokenizer.timestamp_begin:
            said += [token] if token < tokenizer.eot else []
            continue
        time = length
        if token is not None:
            time = min(length, (token - tokenizer.timestamp_begin) * SECONDS_OF_A_TOKEN)
        if said:
            pieces.append((start, time, said))
        start, said = time, []
    offset = part.start / SAMPLE_RATE
    found = [
        Segment(
            start=offset + start,
            end=offset + max(start, end),
            text=tokenizer.decode(said).strip(),
            avg_logprob=result.avg_logprob,
            no_speech_prob=result.no_speech_prob,
            compression_ratio=result.compression_ratio,
            temperature=result.temperature,
            tokens=tuple(said),
        )
        for start, end, said in pieces
    ]
    return [segment for segment in found if segment.text]


def _as_sentences(text: str) -> str:
    """Capitals where a sentence begins, and for the word I."""
    begun = re.sub(r"(^|[.?] )([a-z])", lambda found: found[1] + found[2].upper(), text)
    return re.sub(r"\bi\b", "I", begun)


def _is_poor(result: DecodingResult) -> bool:
    """Whether another temperature may do better; silence does not get better."""
    unlikely: bool = result.avg_logprob < UNLIKELY
    repetitive: bool = result.compression_ratio > REPETITIVE
    nobody_speaks: bool = unlikely and result.no_speech_prob > NO_SPEECH
    return (unlikely or repetitive) and not nobody_speaks


def _cuda(tensor: Tensor) -> list[torch.device]:
    return [tensor.device] if tensor.device.type == "cuda" else []


def load(folder: Path, device: str = "cpu") -> Transcriber:
    """The recogniser in `folder`, in one of the forms of `whisper_weights.read`, ready to listen.

    Raises:
        FileNotFoundError: the folder holds none.
        ValueError: it holds several, or one that is not understood.
        RuntimeError: the weights do not fit the sizes.
    """
    model, model_id = read(folder)
    return Transcriber(model.to(device), model_id, domain=Domain.beside(folder))
