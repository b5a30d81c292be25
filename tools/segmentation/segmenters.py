"""Segment Anything at every size: one builder, one `Segmenter` (Kirillov et al. 2023).

The sizes differ in widths and weights only. `vit_b`, `vit_l` and `vit_h` are the released models;
`embedded` is the same decoder and prompt encoder behind a small image encoder, trained on the
miniature world, and its weights ship with the package.

Boxes are x1 y1 x2 y2 in pixels of the original image, right and bottom exclusive.
"""

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from segment_anything import sam_model_registry
from segment_anything.modeling import (
    ImageEncoderViT,
    MaskDecoder,
    PromptEncoder,
    Sam,
    TwoWayTransformer,
)
from segment_anything.modeling.common import LayerNorm2d
from segment_anything.modeling.image_encoder import PatchEmbed
from segment_anything.utils.transforms import ResizeLongestSide
from torch import Tensor, nn
from torch.nn import functional

from nuthatch.tools.media.types import Pixels

Box4 = tuple[float, float, float, float]
Point = tuple[float, float]

RELEASED = ("vit_b", "vit_l", "vit_h")
PROMPTS_AT_ONCE = 32
PIXELS_AT_ONCE = 2**24
"""Masks are scaled up in float32 at full resolution, which is what limits the memory."""


class ConvStemEncoder(ImageEncoderViT):  # type: ignore[misc]
    """SAM's ViT on a convolutional stem, whose fine features join again after the neck.

    Early convolutions let a small ViT learn edges in few steps (Xiao et al. 2021); the joined
    features double the resolution of the embedding, so that masks come out at that of the image.
    """

    def __init__(self, *, img_size: int, stem: int, width: int, depth: int, heads: int, out: int):
        super().__init__(
            img_size=img_size,
            patch_size=8,
            embed_dim=width,
            depth=depth,
            num_heads=heads,
            out_chans=out,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
        )
        self.stem = nn.Sequential(
            nn.Conv2d(3, stem // 2, 3, stride=2, padding=1),
            LayerNorm2d(stem // 2),
            nn.GELU(),
            nn.Conv2d(stem // 2, stem, 3, stride=2, padding=1),
            LayerNorm2d(stem),
            nn.GELU(),
        )
        self.patch_embed = PatchEmbed((3, 3), (2, 2), (1, 1), in_chans=stem, embed_dim=width)
        self.lateral = nn.Conv2d(stem, out, 1)
        self.join = nn.Sequential(
            nn.Conv2d(out, out, 3, padding=1),
            LayerNorm2d(out),
            nn.GELU(),
            nn.Conv2d(out, out, 3, padding=1),
            LayerNorm2d(out),
        )
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, S, S) normalised pixels -> (B, out, S/4, S/4) embedding."""
        fine = self.stem(image)
        coarse = functional.interpolate(super().forward(fine), scale_factor=2, mode="bilinear")
        embedding: Tensor = self.join(coarse + self.lateral(fine))
        return embedding


class FilledBoxPromptEncoder(PromptEncoder):  # type: ignore[misc]
    """SAM's prompt encoder, which also hands each box as a filled mask to its dense path.

    From the two corners alone, every place has to work out whether it lies between them; a small
    model learns that slowly (see the model card). The mask prompt says it outright.
    """

    def forward(
        self, points: tuple[Tensor, Tensor] | None, boxes: Tensor | None, masks: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """As SAM's; a box (x1, y1, x2, y2) fills its pixels, the last one included."""
        if boxes is not None and masks is None:
            masks = self._filled(boxes)
        sparse, dense = super().forward(points=points, boxes=boxes, masks=masks)
        return sparse, dense

    def _filled(self, boxes: Tensor) -> Tensor:
        """(n, 4) -> (n, 1, h, w), 1 inside."""
        height, width = self.mask_input_size
        x = torch.arange(width, device=boxes.device) * (self.input_image_size[1] / width)
        y = torch.arange(height, device=boxes.device) * (self.input_image_size[0] / height)
        x1, y1, x2, y2 = (boxes + torch.tensor([-0.5, -0.5, 0.5, 0.5], device=boxes.device)).T
        columns = (x >= x1[:, None]) & (x < x2[:, None])
        rows = (y >= y1[:, None]) & (y < y2[:, None])
        filled: Tensor = rows[:, None, :, None] & columns[:, None, None, :]
        return filled.float()


def build_sam(size: str) -> Sam:
    """A freshly initialised SAM: "embedded", "vit_b", "vit_l" or "vit_h"."""
    if size in RELEASED:
        return sam_model_registry[size]()
    if size != "embedded":
        raise ValueError(f"no SAM of size '{size}'; known: embedded, {', '.join(RELEASED)}")
    image_size, prompt_width = 128, 64
    return Sam(
        image_encoder=ConvStemEncoder(
            img_size=image_size, stem=64, width=128, depth=2, heads=4, out=prompt_width
        ),
        prompt_encoder=FilledBoxPromptEncoder(
            embed_dim=prompt_width,
            image_embedding_size=(image_size // 4, image_size // 4),
            input_image_size=(image_size, image_size),
            mask_in_chans=16,
        ),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(
                depth=2, embedding_dim=prompt_width, mlp_dim=256, num_heads=2
            ),
            transformer_dim=prompt_width,
            iou_head_depth=3,
            iou_head_hidden_dim=64,
        ),
        pixel_mean=[123.675, 116.28, 103.53],
        pixel_std=[58.395, 57.12, 57.375],
    ).eval()


class LongestSide(ResizeLongestSide):  # type: ignore[misc]
    """SAM's scaling, with at least one pixel left of the shorter side of a thin picture."""

    @staticmethod
    def get_preprocess_shape(oldh: int, oldw: int, long_side_length: int) -> tuple[int, int]:
        height, width = ResizeLongestSide.get_preprocess_shape(oldh, oldw, long_side_length)
        return max(1, height), max(1, width)


class Masks(NamedTuple):
    """Masks in the order of the prompts, at the size of the image."""

    masks: NDArray[np.bool_]
    """(n, H, W)"""
    predicted_iou: NDArray[np.float32]
    """(n,) the model's own estimate of the quality of each mask, 0 to 1"""


@dataclass(frozen=True)
class Embedded:
    """What a prompt needs of an image: its embedding (1, D, h, w) and its sizes (H, W)."""

    features: Tensor
    input_size: tuple[int, int]
    original_size: tuple[int, int]


class Segmenter:
    """Masks for boxes or points; an image is embedded once for all its prompts.

    Safe to call from several threads: unlike `SamPredictor` it keeps no current image, only a
    small cache of embeddings by content.
    """

    def __init__(self, sam: Sam, *, cached_images: int = 8) -> None:
        self.sam = sam.eval()
        self.resize = LongestSide(sam.image_encoder.img_size)
        self._cache: OrderedDict[str, Embedded] = OrderedDict()
        self._cached_images = cached_images
        self._lock = threading.Lock()

    def segment(
        self,
        image: Pixels,
        *,
        boxes: Sequence[Box4] | None = None,
        points: Sequence[Point] | None = None,
    ) -> Masks:
        """One mask for each box, or for each point on an object; no prompts give no masks.

        A box takes the decoder's single mask; a point, which is ambiguous, the one of its three
        masks that it rates best (paper, section 3).

        Args:
            image: (H, W, 3) uint8 RGB.

        Raises:
            ValueError: not exactly one kind of prompt, a prompt outside the image, or another
                kind of array.
        """
        _check_image(image)
        if (boxes is None) == (points is None):
            raise ValueError("give boxes or points, exactly one of them")
        height, width = image.shape[:2]
        if not (boxes or points):
            return Masks(np.zeros((0, height, width), bool), np.zeros(0, np.float32))
        with torch.inference_mode():
            return self._decode(self.embed(image), boxes, points)

    def segment_many(
        self, images: Sequence[Pixels], boxes: Sequence[Sequence[Box4]], *, batch: int = 16
    ) -> list[Masks]:
        """`segment` with boxes for many images, `batch` of them through the encoder at once."""
        if len(images) != len(boxes):
            raise ValueError(f"{len(images)} images but boxes for {len(boxes)}")
        results: list[Masks] = []
        with torch.inference_mode():
            for start in range(0, len(images), batch):
                frames = self._embed(images[start : start + batch])
                for frame, prompts in zip(frames, boxes[start : start + batch], strict=True):
                    height, width = frame.original_size
                    empty = Masks(np.zeros((0, height, width), bool), np.zeros(0, np.float32))
                    results.append(self._decode(frame, prompts, None) if len(prompts) else empty)
        return results

    def embed(self, image: Pixels) -> Embedded:
        """What prompts need of a picture; the latest few are remembered by their content."""
        digest = hashlib.sha256(str(image.shape).encode())
        digest.update(np.ascontiguousarray(image).data)
        key = digest.hexdigest()
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        frame = self._embed([image])[0]
        with self._lock:
            self._cache[key] = frame
            while len(self._cache) > self._cached_images:
                self._cache.popitem(last=False)
        return frame

    def _embed(self, images: Sequence[Pixels]) -> list[Embedded]:
        """Longest side to the model's size, then padding on the right and below."""
        inputs, sizes = [], []
        for image in images:
            _check_image(image)
            resized = self.resize.apply_image(image)
            pixels = torch.as_tensor(resized, device=self.sam.device).permute(2, 0, 1)
            inputs.append(self.sam.preprocess(pixels))
            sizes.append((resized.shape[:2], image.shape[:2]))
        features = self.sam.image_encoder(torch.stack(inputs))
        return [Embedded(features[i : i + 1], *size) for i, size in enumerate(sizes)]

    def _decode(
        self,
        frame: Embedded,
        boxes: Sequence[Box4] | None,
        points: Sequence[Point] | None,
    ) -> Masks:
        corners = None if boxes is None else self._corners(boxes, frame.original_size)
        coords = None if points is None else self.coords(points, frame.original_size)
        count = len(boxes if boxes is not None else points or ())
        masks, scores = [], []
        for start in range(0, count, PROMPTS_AT_ONCE):
            chunk = slice(start, start + PROMPTS_AT_ONCE)
            logits, quality = decode(
                self.sam,
                frame.features,
                boxes=None if corners is None else corners[chunk],
                points=None if coords is None else coords[chunk],
            )
            best = quality.argmax(dim=1)
            rows = torch.arange(len(best), device=best.device)
            scaled = self.scaled(logits[rows, best], frame)
            masks += [(each > self.sam.mask_threshold).cpu().numpy() for each in scaled]
            scores.append(quality[rows, best].clamp(0, 1).float().cpu().numpy())
        return Masks(np.stack(masks), np.concatenate(scores))

    def scaled(self, logits: Tensor, frame: Embedded) -> Iterator[Tensor]:
        """Mask logits (n, h, w) at the size of the picture, one (H, W) after the other; some
        `PIXELS_AT_ONCE` of them are in memory at a time."""
        height, width = frame.original_size
        at_once = max(1, PIXELS_AT_ONCE // (height * width))
        for start in range(0, len(logits), at_once):
            some = logits[start : start + at_once, None]
            yield from self.sam.postprocess_masks(some, frame.input_size, frame.original_size)[:, 0]

    def _corners(self, boxes: Sequence[Box4], size: tuple[int, int]) -> Tensor:
        """(n, 4) in the model's frame; SAM names the last pixel inside, we the first outside."""
        height, width = size
        given = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
        inside = np.clip(given, 0, [width, height, width, height])
        broken = ~((inside[:, 0] < inside[:, 2]) & (inside[:, 1] < inside[:, 3]))
        if broken.any():
            box = tuple(given[broken][0].tolist())
            raise ValueError(
                f"box {box} holds no pixel of the {width} x {height} image; "
                "expected x1 < x2, y1 < y2 inside it"
            )
        inside[:, 2:] -= 1
        scaled = self.resize.apply_boxes(inside, size)
        return torch.as_tensor(scaled, dtype=torch.float32, device=self.sam.device)

    def coords(self, points: Sequence[Point], size: tuple[int, int]) -> Tensor:
        """Points of a picture of this size (height, width), to (n, 2) in the model's frame.

        Raises:
            ValueError: a point lies outside the picture.
        """
        height, width = size
        given = np.asarray(points, dtype=np.float64).reshape(-1, 2)
        outside = ~((given >= 0) & (given < [width, height])).all(axis=1)
        if outside.any():
            point = tuple(given[outside][0].tolist())
            raise ValueError(f"point {point} lies outside the {width} x {height} image")
        scaled = self.resize.apply_coords(given, size)
        return torch.as_tensor(scaled, dtype=torch.float32, device=self.sam.device)


def load(folder: Path, device: str = "cpu") -> Segmenter:
    """Load `config.json` ({"size": ...}) and `model.safetensors`, or a released checkpoint
    `sam_vit_b_*.pth` (also vit_l, vit_h) as its authors published it.

    Raises:
        FileNotFoundError: the folder holds neither.
        RuntimeError: the weights do not fit the size named.
    """
    config, weights = folder / "config.json", folder / "model.safetensors"
    if config.is_file() and weights.is_file():
        sam = build_sam(json.loads(config.read_text(encoding="utf-8"))["size"])
        sam.load_state_dict({k: v.float() for k, v in load_file(weights).items()})
        return Segmenter(sam.to(device))
    for size in RELEASED:
        for checkpoint in sorted(folder.glob(f"sam_{size}_*.pth")):
            sam = build_sam(size)
            sam.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True))
            return Segmenter(sam.to(device))
    raise FileNotFoundError(
        f"no SAM in {folder}: expected config.json with model.safetensors, or sam_vit_b_*.pth"
    )


def decode(
    sam: Sam,
    features: Tensor,
    *,
    boxes: Tensor | None = None,
    points: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Mask logits (n, m, 4h, 4w) and predicted IoU (n, m) of one image's prompts.

    m is 1 for boxes (n, 4) and 3 for points (n, 2), both in the model's frame; `features` is
    (1, D, h, w).
    """
    clicks = None
    if points is not None:
        inside = torch.ones(len(points), 1, device=points.device)
        clicks = (points[:, None], inside)
    sparse, dense = sam.prompt_encoder(points=clicks, boxes=boxes, masks=None)
    logits, quality = sam.mask_decoder(
        image_embeddings=features,
        image_pe=sam.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=boxes is None,
    )
    return logits, quality


def _check_image(image: Pixels) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise ValueError(
            f"image is {image.dtype} of shape {image.shape}; expected uint8 (height, width, 3) RGB"
        )
