"""Grounding DINO through its authors' package: the released format, and the same as transformers.

The network has the released backbone (Swin-T), since the package knows no smaller one; all else is
tiny. Weights are random.
"""

import importlib
import json
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import (
    BertConfig,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    SwinConfig,
)

from nuthatch.tools.detection import load as load_detection
from nuthatch.tools.detection.detectors import Found
from nuthatch.tools.detection.grounding_dino import GroundingDino, Prompter
from nuthatch.tools.faults import ToolUnavailable
from nuthatch.tools.media.framing import Framing
from nuthatch.tools.weights.store import Weights

pytest.importorskip("groundingdino")
from nuthatch.tools.detection import grounding_dino_original as original
from tests.tools.detection.test_grounding_dino import ROOM, picture, tokenizer

ONE = torch.ones(1, 1, dtype=torch.long)
SMALL = {"enc_layers": 1, "dec_layers": 2, "dim_feedforward": 32, "num_queries": 8}
TEXT = {
    "vocab_size": 1030,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": ROOM,
}
FRAMING = Framing({"shortest_edge": 64, "longest_edge": 96}, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))

# Names of the released checkpoints -> names in transformers. Projections of query, key and value
# that lie in one matrix there are three here; heads that are one there have several names here.
NAMES = (
    (r"backbone\.0\.patch_embed\.proj", "model.{swin}.embeddings.patch_embeddings.projection"),
    (r"backbone\.0\.patch_embed\.norm", "model.{swin}.embeddings.norm"),
    (r"backbone\.0\.layers\.(\d)\.downsample", r"model.{swin}.encoder.layers.\1.downsample"),
    (r"backbone\.0\.layers\.(\d)\.blocks\.(\d)", r"model.{swin}.encoder.layers.\1.blocks.\2"),
    (r"\.attn\.relative_position_bias_table", ".attention.relative_position_bias.{table}"),
    (r"(blocks.*)\.attn\.qkv", r"\1.attention.{qkv}_proj"),
    (r"(blocks.*)\.attn\.proj", r"\1.attention.o_proj"),
    (r"(blocks.*)\.norm1", r"\1.layernorm_before"),
    (r"(blocks.*)\.norm2", r"\1.layernorm_after"),
    (r"backbone\.0\.norm1", "model.{backbone}.hidden_states_norms.stage2"),
    (r"backbone\.0\.norm2", "model.{backbone}.hidden_states_norms.stage3"),
    (r"backbone\.0\.norm3", "model.{backbone}.hidden_states_norms.stage4"),
    (r"^input_proj", "model.input_proj_vision"),
    (r"^bert", "model.text_backbone"),
    (r"^feat_map", "model.text_projection"),
    (r"transformer\.level_embed", "model.level_embed"),
    (r"transformer\.tgt_embed", "model.query_position_embeddings"),
    (r"transformer\.enc_out_bbox_embed", "model.encoder_output_bbox_embed"),
    (r"transformer\.enc_output", "model.enc_output"),
    (r"transformer\.encoder\.text_layers\.(\d)", r"model.encoder.layers.\1.text_enhancer_layer"),
    (r"(text_enhancer_layer)\.norm1", r"\1.layer_norm_before"),
    (r"(text_enhancer_layer)\.norm2", r"\1.layer_norm_after"),
    (r"transformer\.encoder\.fusion_layers\.(\d)", r"model.encoder.layers.\1.fusion_layer"),
    (r"\.gamma_v", ".vision_param"),
    (r"\.gamma_l", ".text_param"),
    (r"layer_norm_v\.", "layer_norm_vision."),
    (r"layer_norm_l\.", "layer_norm_text."),
    (r"(fusion_layer\.attn\..*)v_proj", r"\1vision_proj"),
    (r"(fusion_layer\.attn\..*)l_proj", r"\1text_proj"),
    (r"transformer\.encoder\.layers\.(\d)", r"model.encoder.layers.\1.deformable_layer"),
    (r"(deformable_layer)\.norm1", r"\1.self_attn_layer_norm"),
    (r"(deformable_layer)\.norm2", r"\1.final_layer_norm"),
    (r"transformer\.decoder\.norm", "model.decoder.layer_norm"),
    (r"transformer\.decoder\.ref_point_head", "model.decoder.reference_points_head"),
    (r"transformer\.decoder\.bbox_embed", "model.decoder.bbox_embed"),
    (r"transformer\.decoder\.layers", "model.decoder.layers"),
    (r"\.cross_attn", ".encoder_attn"),
    (r"\.ca_text", ".encoder_attn_text"),
    (r"\.catext_norm", ".encoder_attn_text_layer_norm"),
    (r"(decoder\.layers\.\d)\.norm1", r"\1.encoder_attn_layer_norm"),
    (r"(decoder\.layers\.\d)\.norm2", r"\1.self_attn_layer_norm"),
    (r"(decoder\.layers\.\d)\.norm3", r"\1.final_layer_norm"),
    (r"\.in_proj_(weight|bias)", r".{qkv}.\1"),
    (r"(^model\.(?:en|de)coder.*)\.linear1", r"\1.fc1"),
    (r"(^model\.(?:en|de)coder.*)\.linear2", r"\1.fc2"),
)
PLACES = {
    "backbone": "backbone.conv_encoder.model",
    "swin": "backbone.conv_encoder.model.swin",
    "table": "relative_position_bias_table",
}


def renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The released parameters under the names of transformers."""
    made: dict[str, Tensor] = {}
    for name, value in state.items():
        if "relative_position_index" in name or "bert.pooler" in name:
            continue
        for pattern, new in NAMES:
            name = re.sub(pattern, new, name)
        for place, where in PLACES.items():
            name = name.replace(f"{{{place}}}", where)
        if "{qkv}" in name:
            words = ("q", "k", "v") if "swin" in name else ("query", "key", "value")
            for word, part in zip(words, value.chunk(3), strict=True):
                made[name.replace("{qkv}", word)] = part
        else:
            made[name] = value
    return made


def random_state() -> dict[str, Tensor]:
    """Parameters of a small network under the released names; none of them is left at zero."""
    torch.manual_seed(0)
    package = original._package()
    module = vars(importlib.import_module("groundingdino.config.GroundingDINO_SwinT_OGC"))
    settings = {name: value for name, value in module.items() if not name.startswith("_")}
    with original._own_text_encoder(package, BertConfig(**TEXT), tokenizer()):
        network = package.build_groundingdino(SimpleNamespace(**{**settings, **SMALL}))
    state = network.state_dict()
    for value in {value.data_ptr(): value for value in state.values()}.values():
        if value.is_floating_point():
            value += 0.03 * torch.randn_like(value)
    for kind in ("weight", "bias"):
        state[f"transformer.encoder.text_layers.0.norm2.{kind}"] *= 0.1  # scores between 0 and 1
    return state


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the authors released, small: a checkpoint, BERT's configuration and tokenizer."""
    path = tmp_path_factory.mktemp("original")
    bert = path / "bert-base-uncased"
    bert.mkdir()
    BertConfig(**TEXT).to_json_file(bert / "config.json")
    tokenizer().save(str(bert / "tokenizer.json"))
    FRAMING.save(path / "preprocessor_config.json")
    settings = {"model_type": "groundingdino", "max_text_len": ROOM, **SMALL}
    (path / "config.json").write_text(json.dumps(settings))
    state = {f"module.{name}": value for name, value in random_state().items()}
    unused = {"module.label_enc.weight": torch.zeros(2), "module.bert.embeddings.position_ids": ONE}
    torch.save({"model": state | unused}, path / "groundingdino_swint_ogc.pth")
    return path


@pytest.fixture(scope="module")
def ours(folder: Path) -> GroundingDino:
    detector: GroundingDino = Weights(folders={"detect": folder}).get("detect")
    return detector


@pytest.fixture(scope="module")
def theirs(folder: Path) -> GroundingDino:
    """The same weights through transformers."""
    config = GroundingDinoConfig(
        backbone_config=SwinConfig(
            embed_dim=96,
            depths=[2, 2, 6, 2],
            num_heads=[3, 6, 12, 24],
            window_size=7,
            image_size=224,
            out_indices=[2, 3, 4],
        ),
        text_config=BertConfig(**TEXT),
        num_queries=8,
        d_model=256,
        encoder_layers=1,
        encoder_ffn_dim=32,
        decoder_layers=2,
        decoder_ffn_dim=32,
        max_text_len=ROOM,
    )
    network = GroundingDinoForObjectDetection(config).eval()
    content = torch.load(folder / "groundingdino_swint_ogc.pth", weights_only=True)["model"]
    given = {name.removeprefix("module."): value for name, value in content.items()}
    given = renamed({k: v for k, v in given.items() if k not in original.NOT_USED})
    missing, unexpected = network.load_state_dict(given, strict=False)
    # The last norm of the backbone's classifier is never used.
    assert {name.rpartition(".")[0] for name in missing} == {f"model.{PLACES['swin']}.layernorm"}
    assert unexpected == []
    return GroundingDino(network, Prompter(tokenizer(), ROOM), FRAMING, "transformers")


IMAGES = [picture(60, 90), picture(96, 40, seed=1), picture(64, 64, seed=2)]
LABELS = [["cup", "teddy bear"], ["dog"], ["wine", "cup", "bear dog cup"]]


def everything(detector: GroundingDino) -> list[list[Found]]:
    """All boxes of all labels, in an order that does not depend on scores."""
    detector.duplicate_iou = 1.0
    results = detector.find(IMAGES, LABELS, threshold=0.0)
    return [sorted(found, key=lambda each: (each.label, each.box)) for found in results]


def test_both_back_ends_give_the_same_boxes_and_scores(
    ours: GroundingDino, theirs: GroundingDino
) -> None:
    assert isinstance(ours, original.OriginalGroundingDino)
    scores = []
    for found, expected in zip(everything(ours), everything(theirs), strict=True):
        assert [each.label for each in found] == [each.label for each in expected]
        assert [x.score for x in found] == pytest.approx([x.score for x in expected], abs=1e-4)
        for a, b in zip(found, expected, strict=True):
            assert a.box == pytest.approx(b.box, abs=1e-4 * 40)  # of the shortest side
        scores += [each.score for each in found]
    assert np.std(scores) > 0.1  # else it would be easy


def test_prompts_of_one_batch_do_not_touch_each_other(ours: GroundingDino) -> None:
    image = IMAGES[2]
    together = ours.find([image] * len(LABELS), LABELS, threshold=0.0)
    for labels, expected in zip(LABELS, together, strict=True):
        (alone,) = ours.find([image], [labels], threshold=0.0)
        assert [x.score for x in alone] == pytest.approx([x.score for x in expected], abs=1e-4)


def test_the_name_in_evidence_tells_back_end_size_and_weights(ours: GroundingDino) -> None:
    assert re.fullmatch(r"groundingdino-swin_T_224_1k-[0-9a-f]{12}", ours.model_id)


def test_a_parameter_too_many_or_too_few_is_refused(folder: Path, tmp_path: Path) -> None:
    state = dict(torch.load(folder / "groundingdino_swint_ogc.pth", weights_only=True)["model"])
    state["module.feat_map.scale"] = state.pop("module.feat_map.bias")
    copy(folder, tmp_path)
    torch.save({"model": state}, tmp_path / "small.pth")
    with pytest.raises(RuntimeError, match=r"feat_map\.bias"):
        load_detection.load(tmp_path)


def copy(folder: Path, to: Path) -> None:
    """All but the checkpoint."""
    for name in ("config.json", "preprocessor_config.json"):
        shutil.copy(folder / name, to)
    shutil.copytree(folder / "bert-base-uncased", to / "bert-base-uncased")


@pytest.mark.parametrize(("channels", "backbone"), [(96, "swin_T_224_1k"), (128, "swin_B_384_22k")])
def test_the_size_is_read_off_the_weights(tmp_path: Path, channels: int, backbone: str) -> None:
    state = {"backbone.0.patch_embed.proj.weight": torch.zeros(channels, 3, 4, 4)}
    settings = original._settings(tmp_path, tmp_path / "model.pth", state)
    assert (settings.backbone, settings.num_queries) == (backbone, 900)


def test_what_cannot_be_loaded_says_why(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    state = {"backbone.0.patch_embed.proj.weight": torch.zeros(96, 3, 4, 4)}
    torch.save({"model": state}, path)
    with pytest.raises(FileNotFoundError, match="bert-base-uncased"):
        load_detection.load(tmp_path)
    torch.save({"model": {"head.weight": torch.zeros(2)}}, path)
    with pytest.raises(ValueError, match="no Grounding DINO"):
        load_detection.load(tmp_path)
    torch.save({"model": state}, tmp_path / "second.pth")
    with pytest.raises(ValueError, match="several checkpoints"):
        load_detection.load(tmp_path)


def test_a_checkpoint_with_code_in_it_is_not_run(tmp_path: Path) -> None:
    torch.save({"model": Path("/")}, tmp_path / "model.pth")
    with pytest.raises(ToolUnavailable, match="cannot be loaded"):
        Weights(folders={"detect": tmp_path}).get("detect")


def test_without_the_package_it_is_said_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "groundingdino_swint_ogc.pth").touch()
    monkeypatch.setitem(sys.modules, "groundingdino.models.GroundingDINO.groundingdino", None)
    with pytest.raises(ToolUnavailable, match=r"nuthatch\[groundingdino\]") as fault:
        Weights(folders={"detect": tmp_path}).get("detect")
    assert fault.value.code == "dependency_missing"
