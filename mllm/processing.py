"""From pictures, sounds and text to the core's tensors.

Pictures: upright RGB uint8. Sounds: 16 kHz mono float32 in -1 to 1. The segments of a long sound
are chosen as ChatBridge's evaluation does.

Shapes: B batch, T tokens, N media, S the side of a picture.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image as Pictures
from PIL import ImageOps
from torch import Tensor
from transformers import BatchFeature, PreTrainedTokenizerFast

from nuthatch.mllm.chat_format import ChatFormat, Message
from nuthatch.mllm.config import CoreConfig, Fit
from nuthatch.mllm.encoders.fbank import FRAME_LENGTH, beats_filter_bank
from nuthatch.mllm.encoders.imagebind import ImageBindConfig, imagebind_clips
from nuthatch.mllm.folders import local_only
from nuthatch.mllm.layout import Medium, lay_out

Picture = Pictures.Image | NDArray[np.uint8]
Video = Sequence[Picture]
"""Frames in the order of time."""
Samples = NDArray[np.floating]
LOUDEST = 8.0
"""Resampling may exceed 1 a little; samples beyond this are no floats in -1 to 1."""


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
        if isinstance(prompts, str) or not len(prompts):
            raise ValueError("given no list of prompts; expected at least one, as in [prompt]")
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
        seen = [one for row in images for one in row]
        heard = [one for row in sounds for one in row]
        return BatchFeature(batch | self._media(seen, heard))

    def batch(
        self,
        talks: Sequence[Sequence[Message]],
        chat: ChatFormat,
        *,
        to_learn: bool = False,
        max_tokens: int | None = None,
        reference_quirks: bool = False,
    ) -> BatchFeature:
        """Whole talks in the chat format of a published system, for `generate` or `forward`.

        Args:
            talks: messages of each talk, see `ChatFormat.segments`, with the media in their parts:
                `{"type": "image", "image": picture}`, `{"type": "video", "video": frames}`,
                `{"type": "audio", "audio": samples}`.
            chat: the format, such as `presets.chatbridge.CHAT`.
            to_learn: also return `labels` and `position_ids`, and pad on the right.
            max_tokens: places a row may have behind BOS, see `lay_out`.
            reference_quirks: lay out as the released code does, faults included, see `Quirk`.

        Returns:
            As `__call__`.

        Raises:
            ValueError: a part without its medium, a chat format of another style than the core
                was trained with, and what `lay_out`, `pixel_values` and `filter_banks` refuse.
        """
        style = self.config.prompt_style
        if chat.style and style and chat.style != style:
            raise ValueError(
                f"given a chat format of style {chat.style!r} for a core that was trained with "
                f"{style!r}: it would speak gibberish; take the format of its preset"
            )
        rows = [chat.segments(messages) for messages in talks]
        media = [each for row in rows for each in row if isinstance(each, Medium)]
        if any(medium.content is None for medium in media):
            raise ValueError(
                "a part of a message holds no medium; expected for instance "
                '{"type": "image", "image": picture}'
            )
        batch = lay_out(
            rows,
            self.config,
            self.tokenizer,
            padding_side="right" if to_learn else "left",
            max_tokens=max_tokens,
            quirk=chat.quirk if reference_quirks else None,
        )
        if not to_learn:
            del batch["labels"]
            if not reference_quirks:
                del batch["position_ids"]  # of the mask
        seen = [medium.content for medium in media if medium.sense == "image"]
        heard = [medium.content for medium in media if medium.sense == "audio"]
        return BatchFeature(dict(batch) | self._media(seen, heard))

    def _media(
        self, seen: Sequence[Picture | Video], heard: Sequence[Samples]
    ) -> dict[str, Tensor]:
        tensors = {}
        if seen:
            frames = [_frames(one) for one in seen]
            tensors["pixel_values"] = self.pixel_values([each for one in frames for each in one])
            if any(len(one) > 1 for one in frames):
                tensors["frame_counts"] = torch.tensor([len(one) for one in frames])
        if heard:
            tensors["filter_banks"] = self.filter_banks(heard)
        return tensors

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
                    f"{token} (token {token_id}); expected one for each of the {kind}, which are "
                    "given as one list a prompt"
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

    def filter_banks(self, sounds: Sequence[Samples], num_segments: int | None = None) -> Tensor:
        """Sounds of any length, to (N, segments, frames, bins) float32, normalised.

        Each sound is (n,) samples, 16 kHz mono, in -1 to 1; see `segments` for which are heard, by
        default `config.num_audio_segments` of each.

        Raises:
            ValueError: no sound, an empty one, one of several channels, or one that holds NaN.
        """
        if not len(sounds):
            raise ValueError("given no sounds, expected at least one")
        if any(isinstance(sound, tuple) for sound in sounds):
            raise ValueError(
                "given (samples, rate), expected samples alone, at 16 kHz: resample them first"
            )
        heard = [filter_bank(np.asarray(sound), self.config, num_segments) for sound in sounds]
        return torch.stack(heard)

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
    def from_pretrained(cls, folder: Any, *, hub: bool = False) -> Self:
        """The processor of a core's folder; with `hub` that of a repository, to be downloaded.

        Raises:
            OSError: there is no such folder, or it holds no `config.json` or no `tokenizer.json`.
        """
        local = local_only(folder, hub=hub)
        config = CoreConfig.from_pretrained(folder, local_files_only=local)
        if local and not (Path(folder) / "tokenizer.json").is_file():
            raise FileNotFoundError(
                f"no tokenizer.json in {folder}; save_pretrained of a CoreProcessor writes it"
            )
        # Not AutoTokenizer: its Llama tokenizer swallows the space at the start of a text.
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=local)
        return cls(config, tokenizer)


def expand_placeholders(ids: Sequence[int], copies: Mapping[int, int]) -> list[int]:
    """Token ids with every placeholder repeated as often as its medium has queries."""
    return [token for token in ids for _ in range(copies.get(token, 1))]


def fit(
    image: Pictures.Image,
    size: int,
    how: Fit,
    colour: tuple[int, ...] = (0, 0, 0),
) -> Pictures.Image:
    """A square of `size` pixels, scaled bicubically: the picture whatever its shape ("stretch"),
    its middle ("crop"), or all of it in a square of `colour` ("pad")."""
    bicubic = Pictures.Resampling.BICUBIC
    if how == "crop":  # as CLIP's: whole pixels, the shorter side first
        shortest = min(image.size)
        scaled = tuple(int(size * side / shortest) for side in image.size)
        image = image.resize((scaled[0], scaled[1]), bicubic)
        left, top = ((side - size) // 2 for side in image.size)
        return image.crop((left, top, left + size, top + size))
    if how == "pad":
        longest = max(image.size)
        square = Pictures.new("RGB", (longest, longest), colour)
        square.paste(image, ((longest - image.width) // 2, (longest - image.height) // 2))
        image = square
    return image.resize((size, size), bicubic)


def filter_bank(sound: Samples, config: CoreConfig, num_segments: int | None = None) -> Tensor:
    """One sound, (n,) samples, as `CoreProcessor.filter_banks` gives it: (segments, frames, bins).

    Raises:
        ValueError: an empty sound, or one that is not mono floats.
    """
    if sound.ndim != 1 or sound.size == 0 or not np.issubdtype(sound.dtype, np.floating):
        raise ValueError(
            f"given a sound of shape {sound.shape} and type {sound.dtype}, expected (n,) mono "
            "samples at 16 kHz as floats in -1 to 1, n > 0"
        )
    if not np.abs(sound).max() <= LOUDEST:  # also NaN
        raise ValueError(
            f"given a sound whose largest sample is {np.abs(sound).max():g}, expected finite "
            "floats in -1 to 1; divide 16-bit samples by 32768, and mend or leave out what is NaN"
        )
    number = num_segments or config.num_audio_segments
    samples = torch.from_numpy(np.ascontiguousarray(sound, dtype=np.float32))
    samples = F.pad(samples, (0, max(0, FRAME_LENGTH - len(samples))))
    if isinstance(config.audio_config, ImageBindConfig):
        size = config.audio_config
        clips = imagebind_clips(
            samples,
            clips=number,
            num_mel_bins=size.num_mel_bins,
            num_frames=size.num_frames,
        )
        return clips.transpose(1, 2)
    bank = beats_filter_bank(
        samples, config.num_mel_bins, mean=config.fbank_mean, std=config.fbank_std
    )
    return segments(bank, config.segment_frames, number)


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
    if not isinstance(image, np.ndarray):
        raise ValueError(
            f"given a picture of type {type(image).__name__}, expected a PIL picture "
            "(`PIL.Image.open(path)`) or an array (height, width, 3) of uint8"
        )
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise ValueError(
            f"given an array of shape {image.shape} and type {image.dtype}, expected "
            "(height, width, 3) uint8 RGB; a video is the list of its frames"
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
