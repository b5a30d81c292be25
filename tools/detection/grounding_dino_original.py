"""Grounding DINO through its authors' code (the package groundingdino-py), on transformers 5.

The package's own BERT wrapper calls methods that BertModel no longer has. `TextEncoder` takes its
place while the network is built: parameters have the names of the released checkpoints. Prompts,
scores and boxes are those of `grounding_dino`; with the same weights both give the same.
"""

import importlib
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import BatchEncoding, BertConfig, BertModel

from nuthatch.tools.detection.detectors import Calibration
from nuthatch.tools.detection.grounding_dino import GroundingDino, Prompter, digest, pad
from nuthatch.tools.faults import ToolUnavailable
from nuthatch.tools.media.framing import Framing

CONFIGURATIONS = {96: "GroundingDINO_SwinT_OGC", 128: "GroundingDINO_SwinB_cfg"}
"""Channels of the first layer -> the package's file of settings."""
FRAMING = Framing(
    {"shortest_edge": 800, "longest_edge": 1333}, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
)
NOT_USED = ("label_enc.weight", "bert.embeddings.position_ids")
"""In the released files, but no parameters: for training only, and a count from 0 on."""
_PATCH = "backbone.0.patch_embed.proj.weight"
_BUILDING = threading.Lock()


class TextEncoder(nn.Module):
    """BERT whose tokens see what a mask of pairs lets them see; in place of the package's wrapper.

    Args:
        bert_model: its parts are taken over under their names.
    """

    def __init__(self, bert_model: BertModel) -> None:
        super().__init__()
        self.config = bert_model.config
        self.embeddings = bert_model.embeddings
        self.encoder = bert_model.encoder
        self.pooler = bert_model.pooler  # part of the released weights, not used

    def forward(
        self,
        input_ids: Tensor,
        token_type_ids: Tensor,
        attention_mask: Tensor,
        position_ids: Tensor,
    ) -> dict[str, Tensor]:
        """Token ids, types and positions (B, T), the mask (B, T, T), True: sees."""
        embedded = self.embeddings(
            input_ids=input_ids, token_type_ids=token_type_ids, position_ids=position_ids
        )
        lowest = torch.finfo(embedded.dtype).min
        added = (~attention_mask[:, None]).to(embedded.dtype) * lowest
        seen = self.encoder(embedded, attention_mask=added)
        return {"last_hidden_state": seen.last_hidden_state}


class OriginalGroundingDino(GroundingDino):
    """`Detector` by the released checkpoints of Grounding DINO and the code they came with."""

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> Self:
        """From a folder with one `.pth` file, and the configuration and tokenizer of its BERT.

        `bert-base-uncased/config.json` and `bert-base-uncased/tokenizer.json` describe the text
        encoder; its weights are in the checkpoint. Settings are the package's for this size; a
        `config.json` may change some of them (`model_type`: "groundingdino"), among them
        `text_encoder_type`, BERT's folder. `preprocessor_config.json` and `calibration.json` may
        be there. Nothing is looked for elsewhere.

        Raises:
            FileNotFoundError: one of the files is missing.
            ValueError: there are several checkpoints, or one of an unknown size or format.
            RuntimeError: the weights do not fit the configuration.
            ToolUnavailable: groundingdino-py is not installed.
        """
        package = _package()
        path = _checkpoint(folder)
        state = _state(path)
        settings = _settings(folder, path, state)
        bert = folder / settings.text_encoder_type
        for needed in (bert / "config.json", bert / "tokenizer.json"):
            if not needed.is_file():
                raise FileNotFoundError(
                    f"the detector {path.name} needs {needed}: from bert-base-uncased"
                )
        tokenizer = Tokenizer.from_file(str(bert / "tokenizer.json"))
        described = BertConfig.from_json_file(str(bert / "config.json"))
        with _own_text_encoder(package, described, tokenizer):
            network = package.build_groundingdino(settings)
        network.load_state_dict({k: v for k, v in state.items() if k not in NOT_USED})
        for layer in network.transformer.encoder.text_layers:
            layer.register_forward_pre_hook(_mask_each_head, with_kwargs=True)
        framing = folder / "preprocessor_config.json"
        return cls(
            network.eval().to(device),
            Prompter(tokenizer, min(settings.max_text_len, network.max_text_len)),
            Framing.load(framing) if framing.is_file() else FRAMING,
            f"groundingdino-{settings.backbone}-{digest(path)}",
            Calibration.beside(folder),
        )

    def _forward(
        self, values: Tensor, mask: Tensor, ids: Tensor, read: Tensor
    ) -> tuple[Tensor, Tensor]:
        from groundingdino.util.misc import NestedTensor

        prompts = [
            row[: int(length)].tolist() for row, length in zip(ids, read.sum(1), strict=True)
        ]
        out = self._network(NestedTensor(values, mask == 0), captions=prompts)
        return out["pred_logits"], out["pred_boxes"]


def _mask_each_head(
    layer: Any, args: tuple[Any, ...], given: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The mask (B, T, T) of a text layer as (B x heads, T, T), the heads of one prompt together.

    The layer itself would repeat it the other way round, so that the prompts of a batch would get
    each other's masks.
    """
    mask = given["src_mask"].repeat_interleave(layer.nhead, dim=0)
    return args, {**given, "src_mask": mask}


class _Prompts:
    """In place of the network's tokenizer: prompts come as token ids, and are padded only."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def convert_tokens_to_ids(self, tokens: Sequence[str]) -> list[int | None]:
        return [self._tokenizer.token_to_id(token) for token in tokens]

    def __call__(self, prompts: Sequence[Sequence[int]], **_: Any) -> BatchEncoding:
        ids, read = pad(prompts)
        types = torch.zeros_like(ids)
        return BatchEncoding({"input_ids": ids, "token_type_ids": types, "attention_mask": read})


def _package() -> Any:
    """The package's module that builds the network."""
    try:
        return importlib.import_module("groundingdino.models.GroundingDINO.groundingdino")
    except ImportError as error:
        raise ToolUnavailable(
            "weights as Grounding DINO's authors released them need the package groundingdino-py "
            f"({error}): pip install 'nuthatch[groundingdino]'; or use weights in the format of "
            "transformers, e.g. grounding-dino-tiny",
            "dependency_missing",
        ) from error


@contextmanager
def _own_text_encoder(package: Any, bert: BertConfig, tokenizer: Tokenizer) -> Iterator[None]:
    """Meanwhile the package builds networks with our text encoder, and nothing from the network."""
    ours = {
        "BertModelWarper": TextEncoder,
        "get_tokenlizer": SimpleNamespace(
            get_tokenlizer=lambda _: _Prompts(tokenizer),
            get_pretrained_language_model=lambda _: BertModel(bert),
        ),
    }
    with _BUILDING:
        theirs = {name: getattr(package, name) for name in ours}
        try:
            for name, value in ours.items():
                setattr(package, name, value)
            yield
        finally:
            for name, value in theirs.items():
                setattr(package, name, value)


def _checkpoint(folder: Path) -> Path:
    found = sorted(folder.glob("*.pth"))
    if not found:
        raise FileNotFoundError(f"no checkpoint at {folder}: expected groundingdino_swint_ogc.pth")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ValueError(f"several checkpoints at {folder} ({names}); leave one there")
    return found[0]


def _state(path: Path) -> dict[str, Tensor]:
    """The parameters under the names of the network: without `module.`, if it was trained in
    parallel."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    state = content.get("model", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError(f"{path} holds no parameters under 'model'")
    return {name.removeprefix("module."): value for name, value in state.items()}


def _settings(folder: Path, path: Path, state: dict[str, Tensor]) -> SimpleNamespace:
    """The package's settings for this size, and what `config.json` changes."""
    width = state[_PATCH].shape[0] if _PATCH in state else None
    if width not in CONFIGURATIONS:
        raise ValueError(
            f"{path} is no Grounding DINO with Swin-T or Swin-B: {_PATCH} has {width} channels, "
            f"expected {' or '.join(map(str, CONFIGURATIONS))}"
        )
    module = importlib.import_module(f"groundingdino.config.{CONFIGURATIONS[width]}")
    settings = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    own = folder / "config.json"
    changed = json.loads(own.read_text(encoding="utf-8")) if own.is_file() else {}
    changed.pop("model_type", None)
    unknown = sorted(set(changed) - set(settings))
    if unknown:
        raise ValueError(f"{own} has unknown settings: {', '.join(unknown)}")
    # Saves memory in training only, and warns.
    quiet = {"use_checkpoint": False, "use_transformer_ckpt": False}
    return SimpleNamespace(**(settings | changed | quiet))
