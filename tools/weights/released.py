"""Released weights: what each tool can use, from where, how large, under which licence.

Sizes and hashes stand here where they are known for certain, and are None elsewhere: then the hash
that the hub announces is checked while fetching and kept beside the files (`fetching`). A hub
revision is a commit where one is named: it fixes every file of it.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from nuthatch.messages import shown
from nuthatch.tools.faults import ToolUnavailable

WEIGHTS = (".safetensors", ".pth", ".pt")
"""How files that hold weights end; the rest are configurations and vocabularies."""
LOCK = "nuthatch.lock.json"
"""Lies beside fetched files: what belongs here, sizes and sha256 of what has come, from where."""


@dataclass(frozen=True, slots=True)
class ReleasedFile:
    """A file under its name at the source; None: not known."""

    name: str
    bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Files that come from one place: a hub's repository, a web address, or someone's hands."""

    files: tuple[ReleasedFile, ...]
    repository: str = ""  # on the hub, e.g. "openai/clip-vit-large-patch14"
    revision: str = "main"  # a hub's commit or branch
    url: str = ""  # an address that, with the file's name behind it, gives the file
    folder: str = ""  # below the weights' own folder


@dataclass(frozen=True, slots=True)
class Released:
    """One set of weights: a folder that the loader of `serves` reads."""

    name: str
    serves: str  # the name that tools ask for (`weights.LOADERS`)
    licence: str
    commercial: bool  # whether the licence allows commercial use
    page: str  # where its authors describe it
    sources: tuple[Source, ...]
    note: str = ""

    @property
    def files(self) -> Iterator[tuple[str, Source, ReleasedFile]]:
        """Every file: its path below the folder, and where it comes from."""
        for source in self.sources:
            for file in source.files:
                yield f"{source.folder}/{file.name}".lstrip("/"), source, file

    @property
    def bytes(self) -> int | None:
        """Size of the files that hold weights; None: not known of all."""
        sizes = [file.bytes for path, _, file in self.files if path.endswith(WEIGHTS)]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None


def weights_home(home: str | Path | None = None) -> Path:
    """Where fetched weights live: as given, else NUTHATCH_WEIGHTS, else in NUTHATCH_HOME, else in
    the user's cache."""
    if home is None:
        home = os.environ.get("NUTHATCH_WEIGHTS")
    if not home and (root := os.environ.get("NUTHATCH_HOME")):
        home = Path(root) / "weights"
    return Path(home).expanduser().absolute() if home else _cache()


def weights_folder(name: str, home: str | Path | None = None) -> Path:
    """The folder of these released weights: in `weights_home`; or, where there are none and nothing
    else was asked for, in the user's cache, where they were before NUTHATCH_HOME held them."""
    folder = weights_home(home) / name
    if home is None and not os.environ.get("NUTHATCH_WEIGHTS") and not folder.is_dir():
        earlier = _cache() / name
        return earlier if earlier.is_dir() else folder
    return folder


def _cache() -> Path:
    import platformdirs

    return platformdirs.user_cache_path("nuthatch") / "weights"


def released(name: str) -> Released:
    """The released weights of this name.

    Raises:
        ToolUnavailable: there are none; the message names the nearest.
    """
    if name not in RELEASED:
        near = get_close_matches(name, RELEASED, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(RELEASED)}"
        raise ToolUnavailable(f"there are no released weights '{shown(name)}'; {hint}")
    return RELEASED[name]


def serving(weights: str) -> list[Released]:
    """Released weights for one name that tools ask for, those to try first in front."""
    return [entry for entry in RELEASED.values() if entry.serves == weights]


def _named(*names: str) -> tuple[ReleasedFile, ...]:
    return tuple(ReleasedFile(name) for name in names)


_BERT = _named("tokenizer.json", "tokenizer_config.json", "vocab.txt")
_BPE = _named("merges.txt", "special_tokens_map.json", "tokenizer_config.json", "vocab.json")
_APACHE, _MIT = "Apache-2.0", "MIT"


def _grounding_dino(size: str, revision: str, weights: ReleasedFile) -> Released:
    """In the format of transformers."""
    repository = f"IDEA-Research/grounding-dino-{size}"
    files = (*_named("config.json", "preprocessor_config.json", "special_tokens_map.json"), *_BERT)
    return Released(
        f"grounding-dino-{size}",
        "detect",
        _APACHE,
        True,
        f"https://huggingface.co/{repository}",
        (Source((*files, weights), repository, revision),),
    )


def _original_grounding_dino(size: str, release: str, weights: ReleasedFile) -> Released:
    """As its authors published it, with the tokenizer that their code takes from BERT."""
    page = "https://github.com/IDEA-Research/GroundingDINO"
    bert = Source(
        (*_named("config.json"), *_BERT),
        "google-bert/bert-base-uncased",
        "86b5e0934494bd15c9632b12f734a8a67f723594",
        folder="bert-base-uncased",
    )
    return Released(
        f"groundingdino-{size}",
        "detect",
        _APACHE,
        True,
        page,
        (bert, Source((weights,), url=f"{page}/releases/download/{release}/")),
        "for the back end of the package groundingdino-py",
    )


def _sam(size: str, weights: ReleasedFile) -> Released:
    return Released(
        f"sam-vit-{size}",
        "segment",
        _APACHE,
        True,
        "https://github.com/facebookresearch/segment-anything",
        (Source((weights,), url="https://dl.fbaipublicfiles.com/segment_anything/"),),
    )


def _clip(
    name: str, repository: str, revision: str, weights: ReleasedFile, note: str = ""
) -> Released:
    files = (*_named("config.json", "preprocessor_config.json", "tokenizer.json"), *_BPE)
    return Released(
        name,
        "tag",
        _MIT,
        True,
        f"https://huggingface.co/{repository}",
        (Source((*files, weights), repository, revision),),
        note,
    )


def _whisper(size: str, file: str, bytes: int, sha256: str) -> Released:
    """The package's own files; their addresses hold the hash."""
    return Released(
        f"whisper-{size}",
        "transcribe",
        _MIT,
        True,
        "https://github.com/openai/whisper",
        (
            Source(
                (ReleasedFile(f"{file}.pt", bytes, sha256),),
                url=f"https://openaipublic.azureedge.net/main/whisper/models/{sha256}/",
            ),
        ),
    )


def _parts(*parts: str, sizes: dict[str, tuple[int, str]] | None = None) -> list[ReleasedFile]:
    """Files of the parts of a diffusers folder, in half precision."""
    known = sizes or {}
    files = [ReleasedFile("model_index.json"), ReleasedFile("scheduler/scheduler_config.json")]
    for part in parts:
        if part.startswith("tokenizer"):
            files += [ReleasedFile(f"{part}/{file.name}") for file in _BPE]
            continue
        weights = "model" if part.startswith("text") else "diffusion_pytorch_model"
        path = f"{part}/{weights}.fp16.safetensors"
        files += [ReleasedFile(f"{part}/config.json"), ReleasedFile(path, *known.get(part, ()))]
    return files


_SDXL_SIZES = {
    "text_encoder": (
        246_144_152,
        "660c6f5b1abae9dc498ac2d21e1347d2abdb0cf6c0c0c8576cd796491d9a6cdd",
    ),
    "text_encoder_2": (
        1_389_382_176,
        "ec310df2af79c318e24d20511b601a591ca8cd4f1fce1d8dff822a356bcdb1f4",
    ),
    "unet": (
        5_135_149_760,
        "83e012a805b84c7ca28e5646747c90a243c65c8ba4f070e2d7ddc9d74661e139",
    ),
    "vae": (
        167_335_342,
        "bcb60880a46b63dea58e9bc591abe15f8350bde47b405f9c38f4be70c6161e68",
    ),
}
_SDXL_BASE = Source(
    tuple(
        _parts(
            "text_encoder",
            "text_encoder_2",
            "tokenizer",
            "tokenizer_2",
            "unet",
            "vae",
            sizes=_SDXL_SIZES,
        )
    ),
    "stabilityai/stable-diffusion-xl-base-1.0",
    "462165984030d82259a11f4367a4eed129e94a7b",
)
_SDXL_REFINER = Source(
    tuple(_parts("text_encoder_2", "tokenizer_2", "unet", "vae")),
    "stabilityai/stable-diffusion-xl-refiner-1.0",
    folder="refiner",
)


def _sdxl(name: str, note: str, *sources: Source) -> Released:
    return Released(
        name,
        "generate_image",
        "CreativeML Open RAIL++-M",
        True,
        "https://huggingface.co/stabilityai/stable-diffusion-xl-base-1.0",
        sources,
        f"the licence forbids certain uses (its attachment A){note}",
    )


_ALL = (
    _grounding_dino(
        "tiny",
        "a2bb814dd30d776dcf7e30523b00659f4f141c71",
        ReleasedFile(
            "model.safetensors",
            689_359_096,
            "1a2412ef99bd74bcd3c2a246fa1e48581f8889a1300c9051974741314fc042f3",
        ),
    ),
    _grounding_dino(
        "base",
        "12bdfa3120f3e7ec7b434d90674b3396eccf88eb",
        ReleasedFile(
            "model.safetensors",
            933_400_872,
            "5548f844c928c4b6f411fa8cbcc2bfa8dbbba437cb1d513975519f93c2a9ed21",
        ),
    ),
    _original_grounding_dino(
        "swint",
        "v0.1.0-alpha",
        ReleasedFile(
            "groundingdino_swint_ogc.pth",
            693_997_677,
            "3b3ca2563c77c69f651d7bd133e97139c186df06231157a64c507099c52bc799",
        ),
    ),
    _original_grounding_dino(
        "swinb",
        "v0.1.0-alpha2",
        ReleasedFile(
            "groundingdino_swinb_cogcoor.pth",
            938_057_991,
            "46270f7a822e6906b655b729c90613e48929d0f2bb8b9b76fd10a856f3ac6ab7",
        ),
    ),
    _sam(
        "b",
        ReleasedFile(
            "sam_vit_b_01ec64.pth",
            375_042_383,
            "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        ),
    ),
    _sam(
        "l",
        ReleasedFile(
            "sam_vit_l_0b3195.pth",
            1_249_524_607,
            "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        ),
    ),
    _sam(
        "h",
        ReleasedFile(
            "sam_vit_h_4b8939.pth",
            2_564_550_879,
            "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
        ),
    ),
    _clip(
        "clip-vit-l-14",
        "openai/clip-vit-large-patch14",
        "32bd64288804d66eefd0ccbe215aa642df71cc41",
        ReleasedFile(
            "model.safetensors",
            1_710_540_580,
            "a2bf730a0c7debf160f7a6b50b3aaf3703e7e88ac73de7a314903141db026dcb",
        ),
        "the licence is that of its code; its card advises against use in products",
    ),
    _clip(
        "clip-vit-h-14",
        "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
        "main",
        ReleasedFile("model.safetensors"),
    ),
    Released(
        "blip-large",
        "caption",
        "BSD-3-Clause",
        True,
        "https://huggingface.co/Salesforce/blip-image-captioning-large",
        (
            Source(
                (
                    *_named("config.json", "preprocessor_config.json", "special_tokens_map.json"),
                    *_BERT,
                    ReleasedFile("model.safetensors", 1_879_014_680),
                ),
                "Salesforce/blip-image-captioning-large",
                "353689b859fcf0523410b1806dace5fb46ecdf41",
            ),
        ),
    ),
    _whisper(
        "tiny",
        "tiny",
        75_572_083,
        "65147644a518d12f04e32d6f3b26facc3f8dd46e5390956a9424a650c0ce22b9",
    ),
    _whisper(
        "base",
        "base",
        145_262_807,
        "ed3a0b6b1c0edf879ad9b11b1af5a0e6ab5db9205f891f668f8b0e6c6326e34e",
    ),
    _whisper(
        "small",
        "small",
        483_617_219,
        "9ecf779972d90ba49c06d968637d720dd632c55bbf19d441fb42bf17a411e794",
    ),
    _whisper(
        "medium",
        "medium",
        1_528_008_539,
        "345ae4da62f9b3d59415adc60127b97c714f32e89e936602e85993674d08dcb1",
    ),
    _whisper(
        "turbo",
        "large-v3-turbo",
        1_617_941_637,
        "aff26ae408abcba5fbf8813c21e62b0941638c5f6eebfb145be0c9839262a19a",
    ),
    _whisper(
        "large",
        "large-v3",
        3_087_371_615,
        "e5b1a55b89c1367dacf97e3e19bfd829a01529dbfdeefa8caeb59b3f1b81dadb",
    ),
    Released(
        "beats",
        "tag_sound",
        _MIT,
        True,
        "https://github.com/microsoft/unilm/tree/master/beats",
        (Source(_named("BEATs_iter3_plus_AS2M_finetuned_on_AS2M_cpt2.pt")),),
        "its authors give it out by links on that page; take it from there by hand",
    ),
    _sdxl("sdxl-base", "", _SDXL_BASE),
    _sdxl("sdxl", "; base and refiner", _SDXL_BASE, _SDXL_REFINER),
)
RELEASED = {entry.name: entry for entry in _ALL}
