"""Grounding DINO at every size through transformers (Liu et al. 2023, arXiv:2303.05499).

One wrapper serves the released checkpoints and the small model that ships with the package; they
differ in `config.json`, in the tokenizer and in `preprocessor_config.json` only.

A label's score is the highest sigmoid score over its own tokens. Its tokens are known because the
prompt is put together from the labels' token ids; phrases are never decoded from scores, which
would mix labels and special tokens.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pictures
from tokenizers import Tokenizer
from torch import Tensor
from transformers import GroundingDinoForObjectDetection
from transformers.models.grounding_dino.modeling_grounding_dino import (
    GroundingDinoObjectDetectionOutput,
)

from nuthatch.tools.detectors import Calibration, Found, Image, check, chunk, keep_distinct

CLS, SEP, STOP = "[CLS]", "[SEP]", "."
LABELS_AT_ONCE = 24
"""Labels of one prompt at most: scores depend a little on the company a label keeps."""
PICTURES_AT_ONCE = 16


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
        self._known: dict[str, tuple[int, ...]] = {}

    def tokens(self, label: str) -> tuple[int, ...]:
        """Ids of a label.

        Raises:
            ValueError: nothing of it can be read, or it is longer than a prompt.
        """
        if label not in self._known:
            ids = self._tokenizer.encode(label.lower(), add_special_tokens=False).ids
            kept = tuple(each for each in ids if each not in self._breaks)
            if not 0 < len(kept) < self._room:
                raise ValueError(
                    f"label {label!r} has {len(kept)} tokens; the detector reads 1 to "
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


@dataclass(frozen=True)
class Framing:
    """How a picture becomes the network's input; from `preprocessor_config.json`.

    With `height` and `width` it is scaled to fit and padded with the mean colour to that very size;
    with `shortest_edge` and `longest_edge` it is scaled and padded at the right and bottom, masked.
    """

    size: dict[str, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the fields that transformers' own image processors write."""
        given = json.loads(path.read_text(encoding="utf-8"))
        return cls(given["size"], tuple(given["image_mean"]), tuple(given["image_std"]))

    @property
    def fixed(self) -> bool:
        return "height" in self.size

    def scale(self, height: int, width: int) -> float:
        """Network pixels per pixel of the picture."""
        if self.fixed:
            return min(self.size["height"] / height, self.size["width"] / width)
        shortest = self.size["shortest_edge"] / min(height, width)
        return min(shortest, self.size["longest_edge"] / max(height, width))

    def tensor(self, images: Sequence[Image]) -> tuple[Tensor, Tensor, list[tuple[int, int]]]:
        """Normalised (B, 3, H, W), mask (B, H, W), and each picture's (height, width) in it."""
        sizes, arrays = [], []
        for image in images:
            height, width = image.shape[:2]
            scale = self.scale(height, width)
            size = (max(1, round(height * scale)), max(1, round(width * scale)))
            sizes.append(size)
            arrays.append(_resize(image, size))
        if self.fixed:
            high, wide = self.size["height"], self.size["width"]
        else:
            high, wide = max(each[0] for each in sizes), max(each[1] for each in sizes)
        values = torch.zeros(len(images), 3, high, wide)
        mask = torch.zeros(len(images), high, wide, dtype=torch.long)
        for index, (array, (height, width)) in enumerate(zip(arrays, sizes, strict=True)):
            values[index, :, :height, :width] = self.normalise(array[None])[0]
            mask[index, :height, :width] = 1
        return values, torch.ones_like(mask) if self.fixed else mask, sizes

    def normalise(self, images: NDArray[np.uint8]) -> Tensor:
        """(B, H, W, 3) uint8 to normalised (B, 3, H, W)."""
        values = torch.tensor(images).permute(0, 3, 1, 2).float() / 255
        mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in (self.mean, self.std))
        return (values - mean) / std


class GroundingDino:
    """`Detector` by a Grounding DINO of any size."""

    def __init__(
        self,
        model: GroundingDinoForObjectDetection,
        prompter: Prompter,
        framing: Framing,
        model_id: str,
        threshold: float = 0.35,
    ) -> None:
        self._model = model
        self._prompter = prompter
        self._framing = framing
        self.model_id = model_id
        self.threshold = threshold

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> Self:
        """From a folder with config.json, model.safetensors, tokenizer.json and
        preprocessor_config.json, as transformers writes it.

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
        digest = hashlib.sha256((folder / names[1]).read_bytes()).hexdigest()[:12]
        measured = folder / "calibration.json"
        # 0.35 is what the authors' own demo uses.
        threshold = Calibration.load(measured).threshold if measured.is_file() else 0.35
        return cls(
            model.eval().to(device),
            Prompter(Tokenizer.from_file(str(folder / names[2])), config.max_text_len),
            Framing.load(folder / names[3]),
            f"grounding-dino-d{config.d_model}-{digest}",
            threshold,
        )

    @torch.inference_mode()
    def find(
        self, images: Sequence[Image], labels: Sequence[Sequence[str]], *, threshold: float
    ) -> list[list[Found]]:
        """See `Detector.find`."""
        wanted = check(images, labels, threshold)
        jobs = [
            (index, part)
            for index, each in enumerate(wanted)
            for part in self._prompter.chunks(each)
        ]
        found: list[list[Found]] = [[] for _ in images]
        for start in range(0, len(jobs), PICTURES_AT_ONCE):
            batch = jobs[start : start + PICTURES_AT_ONCE]
            scored = self._score([images[index] for index, _ in batch], [part for _, part in batch])
            for (index, part), (boxes, scores) in zip(batch, scored, strict=True):
                found[index] += _above(boxes, scores, part, threshold)
        return [keep_distinct(each) for each in found]

    def _score(
        self, images: Sequence[Image], labels: Sequence[Sequence[str]]
    ) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Of every picture the boxes (Q, 4) in its pixels, and the scores (Q, labels)."""
        device = self._model.device
        values, mask, inside = self._framing.tensor(images)
        prompts = [self._prompter.prompt(each) for each in labels]
        ids, read = pad([prompt.ids for prompt in prompts])
        out = self._model(
            pixel_values=values.to(device),
            pixel_mask=mask.to(device),
            input_ids=ids.to(device),
            attention_mask=read.to(device),
        )
        logits, boxes = (each.float().cpu() for each in self._read(out))
        scores = logits.sigmoid()
        corners = torch.cat(
            [boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], -1
        )
        results = []
        for index, (image, prompt) in enumerate(zip(images, prompts, strict=True)):
            height, width = image.shape[:2]
            # A padded square counts as picture for the network; a mask does not.
            high, wide = values.shape[-2:] if self._framing.fixed else inside[index]
            pixels = corners[index] * torch.tensor([wide, high, wide, high])
            pixels = pixels * torch.tensor(
                [width / inside[index][1], height / inside[index][0]] * 2
            )
            pixels[:, 0::2] = pixels[:, 0::2].clamp(0, width)
            pixels[:, 1::2] = pixels[:, 1::2].clamp(0, height)
            of_labels = [scores[index][:, span.start : span.stop].amax(1) for span in prompt.spans]
            results.append((pixels.numpy(), torch.stack(of_labels, 1).numpy()))
        return results

    @staticmethod
    def _read(out: GroundingDinoObjectDetectionOutput) -> tuple[Tensor, Tensor]:
        """Logits (B, Q, T) and boxes (B, Q, 4): centre and sides as shares of the input."""
        return out.logits, out.pred_boxes


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


def _above(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    labels: Sequence[str],
    threshold: float,
) -> list[Found]:
    """Every (box, label) whose score reaches the threshold and whose box has an area."""
    real = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return [
        Found(labels[column], float(scores[row, column]), tuple(map(float, boxes[row])))  # type: ignore[arg-type]
        for row, column in np.argwhere((scores >= threshold) & real[:, None])
    ]


def _resize(image: Image, size: tuple[int, int]) -> Image:
    if image.shape[:2] == size:
        return image
    resized = Pictures.fromarray(image).resize(size[::-1], Pictures.Resampling.BILINEAR)
    return np.asarray(resized, np.uint8)
