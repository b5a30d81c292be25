"""From pictures, sounds and text to the core's tensors.

Pictures: upright RGB uint8. Sounds: 16 kHz mono float32 in -1 to 1. The segments of a long sound
are chosen as ChatBridge's evaluation does.

Shapes: B batch, T tokens, N media, S the side of a picture.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image as Pictures
from PIL import ImageOps
from torch import Tensor
from transformers import BatchFeature, PreTrainedTokenizerFast

from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.encoders.fbank import FRAME_LENGTH, beats_filter_bank
from nuthatch.mllm.encoders.imagebind import ImageBindConfig, imagebind_clips

Picture = Pictures.Image | NDArray[np.uint8]
Video = Sequence[Picture]
"""Frames in the order of time."""
Samples = NDArray[np.floating]


class CoreProcessor:
    """Prepares everything that a core reads, by the sizes in its config."""

    def __init__(self, config: CoreConfig, tokenizer: PreTrainedTokenizerFast) -> None:
        self.config = config
        self.tokenizer = tokenizer

    def __call__(
        self,
        prompts: Sequence[str | Sequence[int]],
        images: Sequence[Sequence[Picture | Video]] = (),
        sounds: Sequence[Sequence[Samples]] = (),
        *,
        padding_side: str = "left",
    ) -> BatchFeature:
        """A batch that `Core.forward` and `Core.generate` take: `core.generate(**batch)`.

        Args:
            prompts: text in which special tokens count as such, or token ids; one placeholder token
                for each medium.
            images: the pictures of each prompt, in the order of its placeholders, a video as the
                list of its frames; may be left out where no prompt has any.
            sounds: the sounds of each prompt, likewise.
            padding_side: "left", as generation needs it, or "right".

        Returns:
            `input_ids` and `attention_mask` (B, T), and where there are any `pixel_values` and
            `filter_banks` of all prompts one after the other; `frame_counts` where there are
            videos.

        Raises:
            ValueError: placeholders and media of a prompt do not match, or a prompt is too long.
        """
        if padding_side not in ("left", "right"):
            raise ValueError(f"given padding_side={padding_side!r}, expected 'left' or 'right'")
        images, sounds = images or [()] * len(prompts), sounds or [()] * len(prompts)
        if not len(prompts) == len(images) == len(sounds):
            raise ValueError(
                f"given {len(prompts)} prompts, images for {len(images)} and sounds for "
                f"{len(sounds)} of them; expected one list of each for every prompt"
            )
        rows = [
            self.input_ids(
                prompt, len(pictures), len(heard), [len(_frames(one)) for one in pictures]
            )
            for prompt, pictures, heard in zip(prompts, images, sounds, strict=True)
        ]
        length = max(len(row) for row in rows)
        input_ids = torch.full((len(rows), length), self._pad_token_id)
        attention_mask = torch.zeros(len(rows), length, dtype=torch.long)
        for index, row in enumerate(rows):
            place = slice(length - len(row), None) if padding_side == "left" else slice(len(row))
            input_ids[index, place] = torch.tensor(row)
            attention_mask[index, place] = 1
        batch: dict[str, Any] = {"input_ids": input_ids, "attention_mask": attention_mask}
        if any(images):
            seen = [_frames(one) for row in images for one in row]
            batch["pixel_values"] = self.pixel_values([frame for one in seen for frame in one])
            if any(len(one) > 1 for one in seen):
                batch["frame_counts"] = torch.tensor([len(one) for one in seen])
        if any(sounds):
            batch["filter_banks"] = self.filter_banks([one for row in sounds for one in row])
        return BatchFeature(batch)

    def input_ids(
        self,
        prompt: str | Sequence[int],
        num_images: int = 0,
        num_sounds: int = 0,
        frame_counts: Sequence[int] = (),
    ) -> list[int]:
        """Token ids of one prompt with its placeholders expanded.

        `frame_counts` says how many frames each picture has, where there are videos.

        Raises:
            ValueError: the prompt is empty, has other numbers of placeholders, or is longer than
                the language model's context.
        """
        ids = list(
            self.tokenizer.encode(prompt, add_special_tokens=False)
            if isinstance(prompt, str)
            else prompt
        )
        if not ids:
            raise ValueError("given an empty prompt, expected at least one token")
        for token_id, given, kind in (
            (self.config.image_token_id, num_images, "images"),
            (self.config.audio_token_id, num_sounds, "sounds"),
        ):
            if ids.count(token_id) != given:
                token = self.tokenizer.convert_ids_to_tokens(token_id)
                raise ValueError(
                    f"given {given} {kind} for a prompt with {ids.count(token_id)} placeholders "
                    f"{token}; expected one placeholder for each"
                )
        ids = self._expanded(ids, frame_counts or [1] * num_images)
        limit = self.config.text_config.max_position_embeddings
        if len(ids) > limit:
            raise ValueError(
                f"the prompt has {len(ids)} tokens, media included; the language model reads at "
                f"most {limit}: shorten the conversation"
            )
        return ids

    def pixel_values(self, images: Sequence[Picture]) -> Tensor:
        """Pictures of any size, to (N, 3, S, S) float32, normalised.

        A PIL picture is turned upright by its EXIF and made RGB; an array is (height, width, 3)
        uint8 RGB. Each is made S x S as `config.image_fit` says, see `fit`.

        Raises:
            ValueError: no picture, or an array of another shape or type.
        """
        if not len(images):
            raise ValueError("given no pictures, expected at least one")
        size, how = self.config.vision_config.image_size, self.config.image_fit
        mean_colour = tuple(int(255 * value) for value in self.config.image_mean)
        squares = [np.asarray(fit(_upright(image), size, how, mean_colour)) for image in images]
        values = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).float() / 255
        mean = torch.tensor(self.config.image_mean).view(3, 1, 1)
        std = torch.tensor(self.config.image_std).view(3, 1, 1)
        return (values - mean) / std

    def filter_banks(self, sounds: Sequence[Samples]) -> Tensor:
        """Sounds of any length, to (N, segments, frames, bins) float32, normalised.

        Each sound is (n,) samples, 16 kHz mono, in -1 to 1; see `segments` for which are heard.

        Raises:
            ValueError: no sound, an empty one, one of several channels, or one that holds NaN.
        """
        if not len(sounds):
            raise ValueError("given no sounds, expected at least one")
        return torch.stack([filter_bank(np.asarray(sound), self.config) for sound in sounds])

    def _expanded(self, ids: Sequence[int], frame_counts: Sequence[int]) -> list[int]:
        """The places of each medium: of a picture or video they may depend on its frames."""
        config, frames = self.config, iter(frame_counts)
        copies = {config.audio_token_id: config.num_tokens("audio")}
        expanded: list[int] = []
        for token in ids:
            if token == config.image_token_id:
                expanded += [token] * config.num_tokens("image", next(frames))
            else:
                expanded += [token] * copies.get(token, 1)
        return expanded

    @property
    def _pad_token_id(self) -> int:
        pad, end = self.tokenizer.pad_token_id, self.tokenizer.eos_token_id
        return int(next(token for token in (pad, end, 0) if token is not None))

    def save_pretrained(self, folder: Any) -> None:
        """Write the tokenizer and `config.json` into `folder`, beside a core's weights."""
        self.tokenizer.save_pretrained(folder)
        self.config.save_pretrained(folder)

    @classmethod
    def from_pretrained(cls, folder: Any) -> Self:
        """The processor of a core's folder.

        Raises:
            OSError: the folder holds no `config.json` or no `tokenizer.json`.
        """
        config = CoreConfig.from_pretrained(folder)
        if Path(folder).is_dir() and not (Path(folder) / "tokenizer.json").is_file():
            raise FileNotFoundError(
                f"no tokenizer.json in {folder}; save_pretrained of a CoreProcessor writes it"
            )
        # Not AutoTokenizer: its Llama tokenizer swallows the space at the start of a text.
        return cls(config, PreTrainedTokenizerFast.from_pretrained(folder))


def expand_placeholders(ids: Sequence[int], copies: Mapping[int, int]) -> list[int]:
    """Token ids with every placeholder repeated as often as its medium has queries."""
    return [token for token in ids for _ in range(copies.get(token, 1))]


def fit(
    image: Pictures.Image,
    size: int,
    how: Literal["stretch", "crop", "pad"],
    colour: tuple[int, ...] = (0, 0, 0),
) -> Pictures.Image:
    """A square of `size` pixels, scaled bicubically: the picture whatever its shape ("stretch"),
    its middle ("crop"), or all of it in a square of `colour` ("pad")."""
    bicubic = Pictures.Resampling.BICUBIC
    if how == "crop":
        return ImageOps.fit(image, (size, size), bicubic)
    if how == "pad":
        longest = max(image.size)
        square = Pictures.new("RGB", (longest, longest), colour)
        square.paste(image, ((longest - image.width) // 2, (longest - image.height) // 2))
        image = square
    return image.resize((size, size), bicubic)


def filter_bank(sound: Samples, config: CoreConfig) -> Tensor:
    """One sound, (n,) samples, as `CoreProcessor.filter_banks` gives it: (segments, frames, bins).

    Raises:
        ValueError: an empty sound, or one that is not mono floats.
    """
    if sound.ndim != 1 or sound.size == 0 or not np.issubdtype(sound.dtype, np.floating):
        raise ValueError(
            f"given a sound of shape {sound.shape} and type {sound.dtype}, expected (n,) mono "
            "samples at 16 kHz as floats in -1 to 1, n > 0"
        )
    samples = torch.from_numpy(np.ascontiguousarray(sound, dtype=np.float32))
    samples = F.pad(samples, (0, max(0, FRAME_LENGTH - len(samples))))
    if isinstance(config.audio_config, ImageBindConfig):
        size = config.audio_config
        clips = imagebind_clips(
            samples,
            clips=config.num_audio_segments,
            num_mel_bins=size.num_mel_bins,
            num_frames=size.num_frames,
        )
        return clips.transpose(1, 2)
    bank = beats_filter_bank(
        samples, config.num_mel_bins, mean=config.fbank_mean, std=config.fbank_std
    )
    return segments(bank, config.segment_frames, config.num_audio_segments)


def segments(bank: Tensor, frames: int, number: int) -> Tensor:
    """Which frames of a sound are heard: `number` segments, spread evenly.

    The sound is padded with zeros to whole segments, but at least by one frame (as in ChatBridge,
    where a sound of exactly n segments thus has n + 1), and to `number` segments at least. These
    are divided into `number` runs, and the middle segment of each run is taken.

    Args:
        bank: (frames of the sound, bins), normalised.
        frames: frames of a segment.
        number: segments wanted.

    Returns:
        (number, frames, bins).
    """
    whole = max(number, len(bank) // frames + 1)
    padded = bank.new_zeros(whole * frames, bank.shape[1])
    padded[: len(bank)] = bank
    runs = torch.arange(whole).tensor_split(number)  # the first ones longer by one
    middle = torch.stack([run[(len(run) - 1) // 2] for run in runs])
    heard: Tensor = padded.unflatten(0, (whole, frames))[middle]
    return heard


def _upright(image: Picture) -> Pictures.Image:
    if isinstance(image, Pictures.Image):
        return ImageOps.exif_transpose(image).convert("RGB")
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise ValueError(
            f"given an array of shape {image.shape} and type {image.dtype}, expected "
            "(height, width, 3) uint8 RGB"
        )
    return Pictures.fromarray(image)


def _frames(given: Picture | Video) -> list[Picture]:
    """The frames of a video; a picture is its only one.

    Raises:
        ValueError: a video without frames.
    """
    frames = [given] if isinstance(given, Pictures.Image | np.ndarray) else list(given)
    if not frames:
        raise ValueError("given a video without frames, expected at least one")
    return frames
