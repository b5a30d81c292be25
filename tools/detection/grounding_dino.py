"""Grounding DINO at every size through transformers (Liu et al. 2023, arXiv:2303.05499).

One wrapper serves the released checkpoints and the small model that ships with the package; they
differ in `config.json`, in the tokenizer and in `preprocessor_config.json` only.

A label's score is the highest sigmoid score over its own tokens. Its tokens are known because the
prompt is put together from the labels' token ids; phrases are never decoded from scores, which
would mix labels and special tokens.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import GroundingDinoForObjectDetection

from nuthatch.tools.detection.detectors import (
    DUPLICATE_IOU,
    Calibration,
    Found,
    above,
    check,
    chunk,
    keep_distinct,
)
from nuthatch.tools.media.framing import Framing
from nuthatch.tools.media.types import Pixels

CLS, SEP, STOP = "[CLS]", "[SEP]", "."
LABELS_AT_ONCE = 24
"""Labels of one prompt at most: scores depend a little on the company a label keeps."""
PICTURES_AT_ONCE = 16
PIXELS_AT_ONCE = 2 * 800 * 1333
"""Of inputs: two of the released size; memory grows with them."""


@dataclass(frozen=True)
class Prompt:
    """Token ids `[CLS] label . label . [SEP]`, and the positions of every label in them."""

    ids: tuple[int, ...]
    spans: tuple[range, ...]


class Prompter:
    """Puts prompts together from labels; a label is tokenised alone, in lower case.

    Grounding DINO separates labels by full stops and lets a label's tokens see only each other, so
    a full stop or question mark inside a label is dropped.
    """

    def __init__(self, tokenizer: Tokenizer, room: int) -> None:
        self._tokenizer = tokenizer
        self._room = room - 2
        self._cls, self._sep, self._stop, question = (
            _id(tokenizer, each) for each in (CLS, SEP, STOP, "?")
        )
        self._breaks = {self._cls, self._sep, self._stop, question}
        self._unknown = tokenizer.token_to_id("[UNK]")
        self._known: dict[str, tuple[int, ...]] = {}

    def tokens(self, label: str) -> tuple[int, ...]:
        """Ids of a label.

        Raises:
            ValueError: nothing of it can be read, or it is longer than a prompt.
        """
        if label not in self._known:
            ids = self._tokenizer.encode(label.lower(), add_special_tokens=False).ids
            kept = tuple(each for each in ids if each not in self._breaks)
            if all(each == self._unknown for each in kept):
                kept = ()  # of a script that the tokenizer never saw
            if not 0 < len(kept) < self._room:
                raise ValueError(
                    f"label {label[:80]!r} has {len(kept)} tokens; the detector reads 1 to "
                    f"{self._room - 1}: use a short noun phrase"
                )
            self._known[label] = kept
        return self._known[label]

    def prompt(self, labels: Sequence[str]) -> Prompt:
        """One prompt of labels that fit (see `chunks`)."""
        ids, spans = [self._cls], []
        for label in labels:
            tokens = self.tokens(label)
            spans.append(range(len(ids), len(ids) + len(tokens)))
            ids += [*tokens, self._stop]
        return Prompt((*ids, self._sep), tuple(spans))

    def chunks(self, labels: Sequence[str]) -> list[list[str]]:
        """The labels, in order, in as few prompts as hold them."""
        lengths = [len(self.tokens(label)) + 1 for label in labels]
        runs = chunk(lengths, self._room, LABELS_AT_ONCE)
        return [[labels[index] for index in run] for run in runs]


class GroundingDino:
    """`Detector` by a Grounding DINO of any size.

    Args:
        network: transformers' model; a subclass may bring another one, see `_forward`.
        duplicate_iou: two boxes of one label that overlap more are one object.
    """

    def __init__(
        self,
        network: nn.Module,
        prompter: Prompter,
        framing: Framing,
        model_id: str,
        calibration: Calibration | None = None,
        duplicate_iou: float = DUPLICATE_IOU,
    ) -> None:
        self._network = network
        self._prompter = prompter
        self._framing = framing
        self.model_id = model_id
        self.calibration = calibration
        # 0.35 is what the authors' own demo uses.
        self.threshold = calibration.threshold if calibration else 0.35
        self.duplicate_iou = duplicate_iou
        fit = PIXELS_AT_ONCE // math.prod(framing.size.values())
        self._at_once = max(1, min(PICTURES_AT_ONCE, fit))

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> Self:
        """From a folder with config.json, model.safetensors, tokenizer.json and
        preprocessor_config.json, as transformers writes it; calibration.json may be missing.

        Raises:
            FileNotFoundError: one of the files is missing.
            RuntimeError: the weights do not fit the configuration.
        """
        names = ("config.json", "model.safetensors", "tokenizer.json", "preprocessor_config.json")
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise FileNotFoundError(f"detector at {folder} lacks {', '.join(missing)}")
        model, report = GroundingDinoForObjectDetection.from_pretrained(
            folder, local_files_only=True, dtype=torch.float32, output_loading_info=True
        )
        wrong = {kind: sorted(names) for kind, names in report.items() if names}
        if wrong:
            raise RuntimeError(f"weights and configuration at {folder} do not fit: {wrong}")
        config = model.config
        return cls(
            model.eval().to(device),
            Prompter(Tokenizer.from_file(str(folder / names[2])), config.max_text_len),
            Framing.load(folder / names[3]),
            f"grounding-dino-d{config.d_model}-{digest(folder / names[1])}",
            Calibration.beside(folder),
        )

    @torch.inference_mode()
    def find(
        self, images: Sequence[Pixels], labels: Sequence[Sequence[str]], *, threshold: float
    ) -> list[list[Found]]:
        """See `Detector.find`."""
        wanted = check(images, labels, threshold)
        jobs = [
            (index, part)
            for index, each in enumerate(wanted)
            for part in self._prompter.chunks(each)
        ]
        found: list[list[Found]] = [[] for _ in images]
        for start in range(0, len(jobs), self._at_once):
            batch = jobs[start : start + self._at_once]
            scored = self._score([images[index] for index, _ in batch], [part for _, part in batch])
            for (index, part), (boxes, scores) in zip(batch, scored, strict=True):
                found[index] += above(boxes, scores, part, threshold)
        return [keep_distinct(each, self.duplicate_iou) for each in found]

    def _score(
        self, images: Sequence[Pixels], labels: Sequence[Sequence[str]]
    ) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Of every picture the boxes (Q, 4) in its pixels, and the scores (Q, labels)."""
        device = next(self._network.parameters()).device
        values, mask, inside = self._framing.tensor(images)
        prompts = [self._prompter.prompt(each) for each in labels]
        ids, read = pad([prompt.ids for prompt in prompts])
        logits, boxes = self._forward(
            values.to(device), mask.to(device), ids.to(device), read.to(device)
        )
        scores, boxes = logits.sigmoid().float().cpu(), boxes.float().cpu()
        results = []
        for index, (image, prompt) in enumerate(zip(images, prompts, strict=True)):
            pixels = self._framing.pixels(boxes[index], image, inside[index])
            of_labels = [scores[index][:, span.start : span.stop].amax(1) for span in prompt.spans]
            results.append((pixels, torch.stack(of_labels, 1).numpy()))
        return results

    def _forward(
        self, values: Tensor, mask: Tensor, ids: Tensor, read: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The network's logits (B, Q, T or more), and boxes (B, Q, 4): centre x, y, width, height
        as shares of the picture without its padding.

        Args:
            values: (B, 3, H, W), normalised.
            mask: (B, H, W), 1 where there is picture.
            ids: (B, T), padded with 0.
            read: (B, T), 1 where there is text.
        """
        out = self._network(
            pixel_values=values, pixel_mask=mask, input_ids=ids, attention_mask=read
        )
        return out.logits, out.pred_boxes


def digest(path: Path) -> str:
    """First digits of a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def _id(tokenizer: Tokenizer, token: str) -> int:
    found = tokenizer.token_to_id(token)
    if found is None:
        raise ValueError(f"the tokenizer lacks {token!r}, which Grounding DINO's prompts need")
    return found


def pad(prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Token ids (B, T) padded with 0, and the mask of those to read (B, T)."""
    longest = max(len(ids) for ids in prompts)
    ids = torch.zeros(len(prompts), longest, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, : len(prompt)] = torch.tensor(prompt)
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    return ids, (torch.arange(longest) < lengths[:, None]).long()
