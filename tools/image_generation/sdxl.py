"""Stable Diffusion XL at every size through diffusers (Podell et al. 2023, arXiv:2307.01952).

A folder as diffusers saves it: `model_index.json`, and a sub-folder for each part with weights in
safetensors. The base model removes the first 80 % of the noise; a refiner, if there is one in
`refiner/` inside or beside the folder, the rest (section 2.5). The same base model paints parts of
pictures anew: what is known of the picture is put back after every step.

Weights are taken in their `fp16` variant where it serves: on accelerators, or where nothing else
is there. No part is loaded that is not checked name by name.
"""

import filecmp
import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLInpaintPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from numpy.typing import NDArray
from PIL import Image
from tokenizers import Tokenizer
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from nuthatch.tools.image_generation.recipe import Recipe
from nuthatch.tools.media.ingest import Pixels
from nuthatch.tools.weights.devices import give_back, is_out_of_memory
from nuthatch.tools.weights.fetching import sha256_of

HANDOVER = 0.8
"""Of the noise schedule: the base model's share."""
LEAST_REFINED_STEPS = 5
"""Fewer leave the refiner none in some schedules."""

MODELS: dict[str, Any] = {
    "vae": AutoencoderKL,
    "unet": UNet2DConditionModel,
    "text_encoder": CLIPTextModel,
    "text_encoder_2": CLIPTextModelWithProjection,
}
OTHER_PARTS = {"tokenizer", "tokenizer_2", "scheduler"}  # no weights
REFINER_PARTS = {"vae", "unet", "text_encoder_2", "tokenizer_2", "scheduler"}


@dataclass(frozen=True)
class Length:
    """Of a prompt: tokens with start and end, by the tokenizer that makes most of it."""

    tokens: int
    limit: int

    @property
    def is_truncated(self) -> bool:
        """The model does not read it to its end."""
        return self.tokens > self.limit


class Painter:
    """One base model, perhaps a refiner; one painting at a time, since schedulers have a state.

    Args:
        base: a `StableDiffusionXLPipeline`.
        refiner: a `StableDiffusionXLImg2ImgPipeline`, or None.
        model_id: the name in results.
    """

    def __init__(self, base: Any, refiner: Any, model_id: str) -> None:
        zeros = base.config.force_zeros_for_empty_prompt
        inpaint: Any = StableDiffusionXLInpaintPipeline(
            **base.components, force_zeros_for_empty_prompt=zeros
        )
        self._base, self._refiner, self._inpaint = base, refiner, inpaint
        self.model_id = model_id
        self.cell = int(base.vae_scale_factor)
        """Pixels a side of one latent."""
        self.side = int(base.default_sample_size) * self.cell
        """Pixels a side of the pictures that the model was trained on."""
        tokenizers = (base.tokenizer, base.tokenizer_2)
        self._limit = min(int(each.model_max_length) for each in tokenizers)
        # Copies: the pipeline's own switch truncation on and off, which no other thread may see.
        self._counters = [_counter(each.backend_tokenizer) for each in tokenizers]
        self._vaes = {id(p.vae): (p.vae, p.vae.dtype) for p in (base, refiner) if p is not None}
        for pipeline in (base, refiner, inpaint):
            if pipeline is not None:
                pipeline.set_progress_bar_config(disable=True)
        for vae, _ in self._vaes.values():
            vae.enable_slicing()  # decoding takes the most memory: one picture at a time
        self._lock = threading.Lock()

    def refines(self, recipe: Recipe) -> bool:
        """Whether the refiner has a share in pictures painted from words."""
        return self._refiner is not None and recipe.steps >= LEAST_REFINED_STEPS

    def length(self, prompt: str) -> Length:
        """Of a prompt."""
        return Length(max(len(each.encode(prompt).ids) for each in self._counters), self._limit)

    def paint(
        self,
        prompt: str,
        seeds: Sequence[int],
        *,
        width: int,
        height: int,
        recipe: Recipe,
        check: Callable[[], None] = lambda: None,
    ) -> list[Pixels]:
        """One picture a seed, (height, width, 3) uint8 RGB; each as it would be alone.

        Together if they fit into memory, else in smaller groups.

        Args:
            width, height: pixels, multiples of 8.
            check: called between steps; what it raises ends the painting.

        Raises:
            MemoryError: not even one picture fits.
            FloatingPointError: the weights make numbers that are not finite.
        """
        pictures: list[Pixels] = []
        together = len(seeds)
        with self._at_work(check):
            while len(pictures) < len(seeds):
                some = seeds[len(pictures) : len(pictures) + together]
                painted = self._within_memory(
                    partial(self._paint, prompt, some, width, height, recipe, check)
                )
                if painted is not None:
                    pictures += painted
                elif together == 1:
                    raise self._too_large(width, height)
                else:
                    together //= 2
        return pictures

    def repaint(
        self,
        pixels: Pixels,
        part: NDArray[np.bool_],
        prompt: str,
        seed: int,
        *,
        recipe: Recipe,
        check: Callable[[], None] = lambda: None,
    ) -> Pixels:
        """The picture with this part painted anew, as a whole through the autoencoder.

        Args:
            pixels: (H, W, 3) uint8 RGB, sides multiples of 8.
            part: (H, W), in whole latents (`cell` pixels a side).
            check: see `paint`.

        Raises:
            MemoryError, FloatingPointError: see `paint`.
        """
        height, width = part.shape
        arguments = {
            "prompt": prompt,
            "image": Image.fromarray(pixels),
            "mask_image": Image.fromarray(part.astype(np.uint8) * 255),
            "width": width,
            "height": height,
            "strength": recipe.strength,
            "generator": [_generator(seed)],
            **_settings(recipe, check),
        }
        with self._at_work(check):
            painted = self._within_memory(lambda: _pixels(self._inpaint(**arguments).images))
        if painted is None:
            raise self._too_large(width, height)
        return painted[0]

    # -- inside ---------------------------------------------------------------------------------

    def _paint(
        self,
        prompt: str,
        seeds: Sequence[int],
        width: int,
        height: int,
        recipe: Recipe,
        check: Callable[[], None],
    ) -> list[Pixels]:
        common = _settings(recipe, check) | {
            "prompt": [prompt] * len(seeds),
            "generator": [_generator(seed) for seed in seeds],
        }
        size = {"width": width, "height": height}
        if not self.refines(recipe):
            return _pixels(self._base(**size, **common).images)
        until = {"denoising_end": HANDOVER, "output_type": "latent"}
        noisy = self._base(**size, **common | until).images
        return _pixels(self._refiner(image=noisy, denoising_start=HANDOVER, **common).images)

    def _within_memory(self, paint: Callable[[], list[Pixels]]) -> list[Pixels] | None:
        """None if it does not fit into memory."""
        try:
            return paint()
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        # Here, not above: while the error lives, it holds what filled the memory.
        self._restore()
        give_back()
        return None

    def _too_large(self, width: int, height: int) -> MemoryError:
        return MemoryError(
            f"a picture of {width}x{height} does not fit into the memory of '{self._base.device}'; "
            "take a smaller one, or a larger device"
        )

    @contextmanager
    def _at_work(self, check: Callable[[], None]) -> Iterator[None]:
        """Alone, and whatever happens, the models are left as they were."""
        with self._lock:
            check()  # it may have been given up while it waited
            try:
                yield
            finally:
                self._restore()

    def _restore(self) -> None:
        """A pipeline that stops half-way leaves its decoder in the wider type of its work."""
        for vae, dtype in self._vaes.values():
            if vae.dtype != dtype:
                vae.to(dtype)


def _settings(recipe: Recipe, check: Callable[[], None]) -> dict[str, Any]:
    def after_step(_pipeline: Any, _step: int, _time: Any, tensors: dict[str, Any]) -> Any:
        check()
        return tensors

    return {
        "num_inference_steps": recipe.steps,
        "guidance_scale": recipe.guidance,
        "negative_prompt": recipe.negative_prompt,
        "output_type": "np",
        "callback_on_step_end": after_step,
    }


def _generator(seed: int) -> torch.Generator:
    """On the processor: the same noise whatever the device."""
    return torch.Generator("cpu").manual_seed(seed)


def _pixels(images: NDArray[np.float32]) -> list[Pixels]:
    """(N, H, W, 3) from 0 to 1 as N pictures of uint8."""
    if not np.isfinite(images).all():
        raise FloatingPointError(
            "the painter's weights make numbers that are not finite; their autoencoder may not "
            "bear half precision: its config.json should say force_upcast"
        )
    return list((images * 255).round().astype(np.uint8))


def _counter(tokenizer: Tokenizer) -> Tokenizer:
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.no_truncation()
    copy.no_padding()
    return copy


# -- loading --------------------------------------------------------------------------------------


def load(folder: Path, device: str = "cpu") -> Painter:
    """The painter that lies in `folder`, in float32 on a processor and else in float16.

    Raises:
        FileNotFoundError: the folder, or one of its parts, holds no weights in safetensors.
        ValueError: it is no Stable Diffusion XL, or has a part that is not known.
        RuntimeError: weights and configuration of a part do not fit.
    """
    parts = _Parts(torch.float32 if torch.device(device).type == "cpu" else torch.float16)
    base = parts.pipeline(folder, StableDiffusionXLPipeline)
    places = (folder / "refiner", folder.parent / "refiner")
    place = next((each for each in places if each.is_dir()), None)
    refiner = None if place is None else parts.pipeline(place, StableDiffusionXLImg2ImgPipeline)
    for name in ("tokenizer", "tokenizer_2"):
        positions = getattr(base, name.replace("tokenizer", "text_encoder")).config
        if getattr(base, name).model_max_length > positions.max_position_embeddings:
            raise ValueError(
                f"{folder / name} makes prompts of more tokens than the text encoder's "
                f"{positions.max_position_embeddings}; set model_max_length"
            )
    digest = parts.sha256()[:12]
    model_id = f"stable-diffusion-xl{'' if refiner is None else '-refined'}-{digest}"
    return Painter(base.to(device), None if refiner is None else refiner.to(device), model_id)


@dataclass
class _Parts:
    """Loads pipelines part by part; a part whose files are the same as another's is that one."""

    dtype: torch.dtype
    loaded: dict[Path, tuple[str, Any]] = field(default_factory=dict)
    """Folder of a part -> its name, and the model."""

    def pipeline(self, folder: Path, kind: Any) -> Any:
        """The pipeline in a folder; no file is looked for elsewhere."""
        path = folder / "model_index.json"
        if not path.is_file():
            raise FileNotFoundError(f"no painter at {folder}: expected model_index.json there")
        index = json.loads(path.read_text(encoding="utf-8"))
        found = index.get("_class_name") if isinstance(index, dict) else None
        if found != kind.__name__:
            raise ValueError(f"{path} is a {found}; expected {kind.__name__}")
        named = {
            n: part[1] for n, part in index.items() if isinstance(part, list) and len(part) > 1
        }
        present = {name: cls for name, cls in named.items() if cls is not None}
        is_base = kind is StableDiffusionXLPipeline
        if missing := (MODELS.keys() | OTHER_PARTS if is_base else REFINER_PARTS) - present.keys():
            raise ValueError(f"{path} lacks {', '.join(sorted(missing))}")
        for name, cls in present.items():
            if name not in OTHER_PARTS and not (name in MODELS and MODELS[name].__name__ == cls):
                known = ", ".join(f"{n} ({each.__name__})" for n, each in MODELS.items())
                raise ValueError(f"{path} has a part {name} ({cls}); known: {known}")
        models = {name: self._model(folder / name) for name in present if name in MODELS}
        return kind.from_pretrained(folder, **models, local_files_only=True)

    def sha256(self) -> str:
        """One hash over the weights that were read, in the order of their reading."""
        files = [path for folder in self.loaded for path in self._files(folder)[0]]
        return hashlib.sha256("\n".join(map(sha256_of, files)).encode()).hexdigest()

    def _model(self, folder: Path) -> Any:
        for other, (name, model) in self.loaded.items():
            # A refiner fetched for use beside its base comes without the parts that they share.
            if name == folder.name and (not folder.is_dir() or self._are_same(folder, other)):
                return model
        _, variant = self._files(folder)
        model, report = MODELS[folder.name].from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            variant=variant,
            dtype=self.dtype,
            output_loading_info=True,
        )
        wrong = {kind: sorted(map(str, names)) for kind, names in report.items() if names}
        if wrong:
            raise RuntimeError(f"weights and configuration at {folder} do not fit: {wrong}")
        model.eval().requires_grad_(False)
        self.loaded[folder] = (folder.name, model)
        return model

    def _files(self, folder: Path) -> tuple[list[Path], str | None]:
        """Files of weights, and the variant that they are."""
        files = sorted(folder.glob("*.safetensors"))
        half = [path for path in files if ".fp16" in path.name]
        whole = [path for path in files if path not in half]
        if not files:
            raise FileNotFoundError(f"no weights at {folder}: expected *.safetensors there")
        if half and (self.dtype == torch.float16 or not whole):
            return half, "fp16"
        return whole, None

    def _are_same(self, one: Path, other: Path) -> bool:
        """Byte by byte, and with the same configuration but for where it came from."""
        files = [self._files(folder)[0] for folder in (one, other)]
        if [path.name for path in files[0]] != [path.name for path in files[1]]:
            return False
        if _config(one) != _config(other):
            return False
        return all(filecmp.cmp(a, b, shallow=False) for a, b in zip(*files, strict=True))


def _config(folder: Path) -> dict[str, Any]:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    where_from = ("transformers_version", "torch_dtype", "dtype")
    return {k: v for k, v in config.items() if not k.startswith("_") and k not in where_from}
