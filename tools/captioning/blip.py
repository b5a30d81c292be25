"""BLIP of any size through transformers (Li et al. 2022, arXiv:2201.12086).

Settings are those of LENS (Berrios et al. 2023, arXiv:2306.16410, section 3): a prefix that is not
part of the caption, beam search for the one caption, draws from the 50 likeliest tokens for many.
Shapes: R captions, T tokens, V vocabulary, S vectors of a picture, D their width.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
from PIL import Image
from torch import Tensor
from transformers import (
    BlipForConditionalGeneration,
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
)

from nuthatch.mllm.feature_cache import FeatureCache
from nuthatch.tools.captioning.captioner import Said, merged, seed_of
from nuthatch.tools.media.ingest import Pixels
from nuthatch.tools.weights.pretrained import digest, image_processor, read, tokenizer

PREFIX = "a picture of"
BEAMS = 5
TOP_K = 50
SHORTEST, LONGEST = 10, 30
"""Tokens of a caption, the prefix counted."""
PICTURES_KEPT = 16
AT_ONCE = 10


class BlipCaptioner:
    """`Captioner` by a BLIP of any size.

    Args:
        model: the model.
        tokenizer: its tokenizer of transformers.
        processor: its image processor of transformers.
        model_id: its name in results.
        prefix: what every caption goes on from; "" for none.
    """

    def __init__(
        self,
        model: BlipForConditionalGeneration,
        tokenizer: Any,
        processor: Any,
        model_id: str,
        *,
        prefix: str = PREFIX,
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._processor = processor
        self.model_id = model_id
        text = model.config.text_config
        self._end, self._pad = text.sep_token_id, text.pad_token_id
        words = tokenizer(prefix, add_special_tokens=False)["input_ids"] if prefix else []
        self._start = torch.tensor([[text.bos_token_id, *words]], device=model.device)
        self._seen = FeatureCache(PICTURES_KEPT)

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> Self:
        """From a folder with config.json, weights, tokenizer and preprocessor_config.json, as
        transformers writes it.

        Raises:
            FileNotFoundError: one of the files is missing.
            OSError, ValueError: tokenizer or processor cannot be read.
            RuntimeError: the weights do not fit the configuration.
        """
        needs = ("preprocessor_config.json",)
        model = read(BlipForConditionalGeneration, folder, device, needs=needs)
        return cls(
            model,
            tokenizer(folder),
            image_processor(folder),
            f"blip-d{model.config.vision_config.hidden_size}-{digest(folder)}",
        )

    @torch.inference_mode()
    def caption(self, pixels: Pixels, key: str | None = None) -> Said:
        """See `Captioner.caption`; by beam search."""
        seen = self._look(pixels, key)
        (said,) = self._told(self._generate(seen, num_beams=BEAMS), seen)
        return Said(*said)

    @torch.inference_mode()
    def captions(self, pixels: Pixels, key: str | None = None, *, n: int, seed: int) -> list[Said]:
        """See `Captioner.captions`."""
        seen = self._look(pixels, key)
        said: list[tuple[str, float]] = []
        for start in range(0, n, AT_ONCE):
            draws = range(start, min(n, start + AT_ONCE))
            rows = seen.expand(len(draws), -1, -1)
            draw = Draw([seed_of(seed, each) for each in draws], TOP_K)
            said += self._told(self._generate(rows, num_beams=1, draw=draw), rows)
        return merged(said)

    def _look(self, pixels: Pixels, key: str | None) -> Tensor:
        """The picture's vectors (1, S, D)."""

        def encode() -> Tensor:
            values = self._processor([Image.fromarray(pixels)], return_tensors="pt")["pixel_values"]
            seen: Tensor = self._model.vision_model(values.to(self._model.device)).last_hidden_state
            return seen

        return encode() if key is None else self._seen.get(key, encode)

    def _generate(self, seen: Tensor, *, num_beams: int, draw: "Draw | None" = None) -> Tensor:
        """Token ids (R, T) with start and prefix, padded behind the end token.

        Args:
            seen: (R, S, D), a picture for each caption.
            num_beams: of the search.
            draw: draws tokens in place of the likeliest.
        """
        ids: Tensor = self._model.text_decoder.generate(
            self._start.expand(len(seen), -1),
            attention_mask=torch.ones_like(self._start).expand(len(seen), -1),
            encoder_hidden_states=seen,
            encoder_attention_mask=torch.ones(seen.shape[:2], device=seen.device).long(),
            logits_processor=LogitsProcessorList([draw] if draw else []),
            generation_config=GenerationConfig(
                num_beams=num_beams,
                do_sample=False,
                min_length=SHORTEST,
                max_length=LONGEST,
                eos_token_id=self._end,
                pad_token_id=self._pad,
            ),
        )
        return ids

    def _told(self, ids: Tensor, seen: Tensor) -> list[tuple[str, float]]:
        """Each caption without its prefix, and the mean log-probability of its own tokens, the end
        token among them."""
        said = ids[:, self._start.shape[1] :]  # (R, T')
        over = (said == self._end).cumsum(1)
        counted = (over == 0) | ((said == self._end) & (over == 1))
        logits = self._model.text_decoder(
            input_ids=ids[:, :-1],
            attention_mask=torch.ones_like(ids[:, :-1]),  # what is behind the end is not counted
            encoder_hidden_states=seen,
            use_cache=False,
        ).logits[:, -said.shape[1] :]
        chosen = logits.float().log_softmax(-1).gather(-1, said[..., None])[..., 0]
        means = (chosen * counted).sum(1) / counted.sum(1)
        texts = self._tokenizer.batch_decode(said, skip_special_tokens=True)
        return [
            (" ".join(text.split()), mean) for text, mean in zip(texts, means.tolist(), strict=True)
        ]


class Draw(LogitsProcessor):  # type: ignore[misc]
    """Draws each row's token from its own seed, where a search for the likeliest will find it.

    To the `top_k` likeliest logits noise of the Gumbel distribution is added: the largest sum is
    then a draw from their softmax (Maddison et al. 2014, arXiv:1411.0030, section 2). Nothing
    global is touched, so rows say the same alone and in a batch, and in several threads.
    """

    def __init__(self, seeds: Sequence[int], top_k: int) -> None:
        self.top_k = top_k
        self._random = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Logits (R, V) to logits of which all but one in `top_k` are closed, with noise."""
        likeliest, places = scores.topk(min(self.top_k, scores.shape[-1]))
        waits = torch.stack(
            [torch.empty(likeliest.shape[-1]).exponential_(generator=g) for g in self._random]
        )
        noisy = likeliest - waits.log().to(scores)
        return torch.full_like(scores, -torch.inf).scatter(-1, places, noisy)
