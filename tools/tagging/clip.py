"""CLIP of any size through transformers (Radford et al. 2021, arXiv:2103.00020).

One encoder serves `tag` and `describe_attributes`: a picture is encoded once for both, and the
vectors of a vocabulary are computed once for all pictures, in memory and in a folder that belongs
to this encoder alone. Shapes: N pictures or texts, D width of the common space.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor
from transformers import CLIPModel

from nuthatch.mllm.feature_cache import FeatureCache
from nuthatch.tools.media.files import cache_folder
from nuthatch.tools.media.ingest import Pixels
from nuthatch.tools.tagging.lens import Vectors
from nuthatch.tools.tagging.word_lists import Vocabulary
from nuthatch.tools.weights.pretrained import digest, image_processor, read, tokenizer

TEXTS_AT_ONCE = 256
PICTURES_KEPT, MATRICES_KEPT = 64, 16
SLIMMEST = 8
"""Sides of a picture, longer to shorter, beyond which only its middle is scaled: CLIP cuts the
middle square out anyway, but only after it has scaled the whole."""
_WORDS = ("tokenizer.json", "vocab.json", "merges.txt")


class ClipEncoder:
    """`Contrastive` by a CLIP of any size.

    Args:
        model: the model.
        tokenizer: its tokenizer of transformers.
        processor: its image processor of transformers.
        encoder_id: its name in results.
        folder: where the matrices of named vocabularies are kept; None: in memory only.
    """

    def __init__(
        self,
        model: CLIPModel,
        tokenizer: Any,
        processor: Any,
        encoder_id: str,
        folder: Path | None = None,
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._processor = processor
        self._room: int = model.config.text_config.max_position_embeddings
        self.encoder_id = encoder_id
        self._seen = FeatureCache(PICTURES_KEPT)
        self._asked = FeatureCache(MATRICES_KEPT)
        self._named = FeatureCache(MATRICES_KEPT)
        if folder is not None:
            try:
                self._named = FeatureCache(MATRICES_KEPT, folder, weights=encoder_id)
            except OSError as error:
                warnings.warn(
                    f"vectors of vocabularies cannot be kept in {folder} ({error}); they are "
                    "computed anew in every process",
                    stacklevel=2,
                )

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> Self:
        """From a folder with config.json, weights, tokenizer and preprocessor_config.json, as
        transformers writes it.

        Raises:
            FileNotFoundError: one of the files is missing.
            OSError, ValueError: tokenizer or processor cannot be read.
            RuntimeError: the weights do not fit the configuration.
        """
        model = read(CLIPModel, folder, device, needs=("preprocessor_config.json",))
        # The words count too: other tokens make other vectors.
        name = f"clip-d{model.config.projection_dim}-{digest(folder, *_WORDS)}"
        return cls(
            model,
            tokenizer(folder),
            image_processor(folder),
            name,
            cache_folder("vocabularies") / name,
        )

    def picture(self, pixels: Pixels, key: str | None = None) -> Vectors:
        """See `Contrastive.picture`."""

        def encode() -> Tensor:
            return torch.tensor(self.see([pixels])[0])

        seen = encode() if key is None else self._seen.get(key, encode)
        found: Vectors = seen.numpy()
        return found

    def matrix(self, vocabulary: Vocabulary) -> Vectors:
        """See `Contrastive.matrix`."""

        def encode() -> Tensor:
            return torch.tensor(self.read(vocabulary.sentences))

        cache = self._named if vocabulary.name else self._asked
        try:
            kept = cache.get(vocabulary.sha256, encode)
        except (OSError, SafetensorError):  # a full disk, a damaged file: go without
            kept = self._asked.get(vocabulary.sha256, encode)
        found: Vectors = kept.numpy()
        return found

    @torch.inference_mode()
    def see(self, pictures: Sequence[Pixels]) -> Vectors:
        """Unit vectors (N, D) of pictures, (H, W, 3) uint8 RGB of any size."""
        images = [Image.fromarray(_not_too_slim(pixels)) for pixels in pictures]
        values = self._processor(images, return_tensors="pt")["pixel_values"]
        return _unit(self._model.get_image_features(values.to(self._model.device)).pooler_output)

    @torch.inference_mode()
    def read(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors (N, D) of texts.

        Raises:
            ValueError: a text has more tokens than the encoder reads.
        """
        parts = []
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            tokens = self._tokenizer(
                list(texts[start : start + TEXTS_AT_ONCE]), padding=True, return_tensors="pt"
            )
            lengths = tokens["attention_mask"].sum(1)
            if int(lengths.max()) > self._room:
                text = texts[start + int(lengths.argmax())]
                raise ValueError(
                    f"{text[:60]!r}... has {int(lengths.max())} tokens; the encoder reads at most "
                    f"{self._room}: use a short phrase"
                )
            found = self._model.get_text_features(
                input_ids=tokens["input_ids"].to(self._model.device),
                attention_mask=tokens["attention_mask"].to(self._model.device),
            )
            parts.append(found.pooler_output)
        return _unit(torch.cat(parts))


def _unit(features: Tensor) -> Vectors:
    units: Vectors = torch.nn.functional.normalize(features.float(), dim=-1).cpu().numpy()
    return units


def _not_too_slim(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    most = SLIMMEST * min(height, width)
    top, left = max(0, (height - most) // 2), max(0, (width - most) // 2)
    return pixels[top : top + most, left : left + most]
