"""Train the embedded detector: a Grounding DINO small enough for one processor core.

Its two-stage encoder learns first, every cell of the feature map from every scene; from
`matching_from` on the decoder's queries are matched one to one with the objects.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from torch import Tensor, nn
from torchvision.ops import box_convert  # type: ignore[import-untyped]
from transformers import (
    BertConfig,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    RTDetrResNetConfig,
)
from transformers.models.grounding_dino.modeling_grounding_dino import (
    GroundingDinoFrozenBatchNorm2d,
    GroundingDinoObjectDetectionOutput,
    generate_masks_with_special_tokens_and_transfer_map,
)

from nuthatch.tools.detectors import load
from nuthatch.tools.grounding_dino import Framing, GroundingDino, Prompter, pad
from nuthatch.tools.vocabulary import CATEGORIES, SYNONYMS, THEMES, plural
from nuthatch.training.fit import Losses, Schedule, fit
from nuthatch.training.perceive.appearance import vary_appearance
from nuthatch.training.perceive.detect_loss import (
    Truth,
    dense_loss,
    dense_targets,
    matched_loss,
)
from nuthatch.training.perceive.detect_quality import (
    calibrate,
    look,
    measure,
    write_calibration,
    write_card,
)
from nuthatch.training.world.scenes import Scene, make_scene

STRIDE = 8
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Config:
    """Settings of the embedded detector."""

    schedule: Schedule
    out: Path = Path("runs/embedded/detect")
    export: Path = Path("tools/embedded/detect")
    picture_size: int = 128
    width: int = 128
    backbone_widths: tuple[int, int] = (32, 128)
    backbone_depths: tuple[int, int] = (1, 4)
    encoder_layers: int = 1
    decoder_layers: int = 2
    feed_forward: int = 256
    heads: int = 4
    queries: int = 50
    text_tokens: int = 64
    batch: int = 12
    scenes: int = 10_000
    """Different training scenes; prompts and appearance differ each time one comes again."""
    matching_from: int = 600
    """Step at which the decoder starts to learn."""
    evaluate_every: int = 200
    watch_scenes: int = 80
    """Of the split `calibrate`, looked at during training."""
    calibrate_scenes: int = 800
    test_scenes: int = 600
    vary: float = 0.5
    """Share of the pictures that get another appearance."""


def build_tokenizer() -> Tokenizer:
    """WordPiece over the words of the vocabulary; any other word falls apart into letters.

    transformers' Grounding DINO knows its separators by the ids they have in BERT's vocabulary, so
    they keep these ids here.
    """
    fixed = {
        "[PAD]": 0,
        "[UNK]": 100,
        "[CLS]": 101,
        "[SEP]": 102,
        "[MASK]": 103,
        ".": 1012,
        "?": 1029,
    }
    names = [*CATEGORIES, *map(plural, CATEGORIES), *SYNONYMS]
    words = sorted({word for name in names for word in name.replace("-", " - ").split()})
    signs = "abcdefghijklmnopqrstuvwxyz0123456789-'"
    pieces = [*signs, *(f"##{sign}" for sign in signs), *words]
    vocabulary = dict(fixed)
    free = (number for number in range(104, 10_000) if number not in fixed.values())
    for piece in dict.fromkeys(pieces):
        if piece not in vocabulary:
            vocabulary[piece] = next(free)
    taken = set(vocabulary.values())
    for number in range(max(taken)):
        if number not in taken:
            vocabulary[f"[unused{number}]"] = number
    tokenizer = Tokenizer(
        models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=200)
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def build_model(config: Config, vocabulary: int) -> GroundingDinoForObjectDetection:
    """A fresh model on one stride-8 feature map, its batch norms ready to learn."""
    backbone = RTDetrResNetConfig(
        embedding_size=config.backbone_widths[0],
        hidden_sizes=list(config.backbone_widths),
        depths=list(config.backbone_depths),
        layer_type="basic",
        out_features=[f"stage{len(config.backbone_widths)}"],
    )
    text = BertConfig(
        vocab_size=vocabulary,
        hidden_size=config.width,
        num_hidden_layers=1,
        num_attention_heads=config.heads,
        intermediate_size=2 * config.width,
        max_position_embeddings=config.text_tokens,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    model = GroundingDinoForObjectDetection(
        GroundingDinoConfig(
            backbone_config=backbone,
            text_config=text,
            num_queries=config.queries,
            num_feature_levels=1,
            d_model=config.width,
            encoder_layers=config.encoder_layers,
            encoder_ffn_dim=config.feed_forward,
            encoder_attention_heads=config.heads,
            decoder_layers=config.decoder_layers,
            decoder_ffn_dim=config.feed_forward,
            decoder_attention_heads=config.heads,
            dropout=0.0,
            fusion_droppath=0.0,
            max_text_len=config.text_tokens,
        )
    )
    model.requires_grad_(True)  # transformers freezes the stem of every ResNet
    _swap(model, GroundingDinoFrozenBatchNorm2d, _thaw)
    _start_simple(model)
    model.model.backbone.to(memory_format=torch.channels_last)
    return model


def _swap(module: nn.Module, kind: type[nn.Module], make: Callable[[nn.Module], nn.Module]) -> None:
    for name, child in module.named_children():
        if isinstance(child, kind):
            setattr(module, name, make(child))
        else:
            _swap(child, kind, make)


def _thaw(norm: nn.Module) -> nn.BatchNorm2d:
    """transformers has only norms that never learn; the weights of both have the same names."""
    return nn.BatchNorm2d(norm.get_buffer("weight").numel())


@torch.no_grad()
def _start_simple(model: GroundingDinoForObjectDetection) -> None:
    """Start where training is quick.

    Every branch of the encoder starts at zero, so that a fresh encoder is its norms alone and
    `dense_forward` equals the whole model. Scores start at about 0.02, where a focal loss wants
    them; a score is a dot product without a bias, but opposite biases of the two norms before it
    give one. Boxes start at a quarter of the picture's side. Words start further apart than
    positions do, so that names differ from the first step on.
    """
    core = model.model
    for layer in core.encoder.layers:
        fusion, text, deformable = (
            layer.fusion_layer.attn,
            layer.text_enhancer_layer,
            layer.deformable_layer,
        )
        for branch in (
            fusion.out_vision_proj,
            fusion.out_text_proj,
            text.self_attn.out_proj,
            text.fc2,
            deformable.self_attn.output_proj,
            deformable.fc2,
        ):
            branch.weight.zero_()
            branch.bias.zero_()
    text_norm = core.encoder.layers[-1].text_enhancer_layer.layer_norm_after
    text_norm.weight.fill_(0.5)
    text_norm.bias.fill_(0.18)
    for norm in (core.enc_output_norm, core.decoder.layer_norm):
        norm.weight.fill_(0.2)
        norm.bias.fill_(-0.18)
    # From proposals of 0.05 of the picture's side.
    core.encoder_output_bbox_embed.layers[-1].bias.copy_(torch.tensor([0.0, 0.0, 1.8, 1.8]))
    core.text_backbone.embeddings.word_embeddings.weight.normal_(0, 0.1)


def train(config: Config) -> None:
    """Train, or go on with, the detector; then write it to `config.export`."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    model = build_model(config, tokenizer.get_vocab_size())
    prompter = Prompter(tokenizer, config.text_tokens)
    framing = Framing({"height": config.picture_size, "width": config.picture_size}, MEAN, STD)

    def loss(step: int) -> Losses:
        return batch_loss(model, prompter, framing, config, step)

    def evaluate() -> dict[str, float]:
        figures = {}
        for name, kind in (("proposals", Proposals), ("ap", GroundingDino)):
            detector = kind(model, prompter, framing, "in training")
            seen = look(detector, config.watch_scenes, "calibrate")
            for overlap in (50, 75):
                found = seen.average_precision(overlap / 100, resamples=0)
                figures[f"{name}{overlap}"] = found.value
        return figures

    fit(
        model,
        loss,
        config.schedule,
        config.out,
        config=config,
        evaluate=evaluate,
        evaluate_every=config.evaluate_every,
    )
    export(model, tokenizer, config, config.export)
    weights = config.export / "model.safetensors"
    seen = look(load(config.export), config.calibrate_scenes, "calibrate")
    calibration = calibrate(seen, weights)
    write_calibration(calibration, config.export / "calibration.json")
    figures = measure(load(config.export), config.test_scenes)
    text = json.dumps({name: each._asdict() for name, each in figures.items()}, indent=1)
    (config.out / "figures.json").write_text(text + "\n", encoding="utf-8")
    schedule = (
        f"{config.schedule.steps} steps of {config.batch} scenes, AdamW, learning rate "
        f"{config.schedule.lr:g} with warm-up and cosine; "
        f"matching from step {config.matching_from}."
    )
    write_card(config.export, figures, calibration, schedule)


def batch_loss(
    model: GroundingDinoForObjectDetection,
    prompter: Prompter,
    framing: Framing,
    config: Config,
    step: int,
) -> Losses:
    """The losses of the batch that belongs to this step."""
    drawn = range(step * config.batch, (step + 1) * config.batch)
    scenes = [training_scene(number % config.scenes, config.picture_size) for number in drawn]
    values = pixels(scenes, framing, config, step)
    rng = np.random.default_rng((0xDE7EC7, step))
    if step < config.matching_from:
        return _dense_step(model, prompter, scenes, values, rng)
    return _matched_step(model, prompter, scenes, values, rng)


def _dense_step(
    model: GroundingDinoForObjectDetection,
    prompter: Prompter,
    scenes: Sequence[Scene],
    values: Tensor,
    rng: np.random.Generator,
) -> Losses:
    """All categories in one prompt for all scenes, at every cell."""
    prompt = prompter.prompt([phrase(rng, name) for name in CATEGORIES])
    ids = torch.tensor([prompt.ids])
    truths = [truth_of(scene, CATEGORIES, prompt.spans, len(prompt.ids)) for scene in scenes]
    logits, box_logits, grid = dense_forward(model, values, ids)
    return dense_loss(logits, box_logits, dense_targets(truths, grid), torch.ones_like(ids))


def _matched_step(
    model: GroundingDinoForObjectDetection,
    prompter: Prompter,
    scenes: Sequence[Scene],
    values: Tensor,
    rng: np.random.Generator,
) -> Losses:
    """A prompt for every scene; the proposals as before, and the queries matched with objects."""
    asked = [ask(rng, scene, scenes) for scene in scenes]
    prompts = [prompter.prompt(_fit(prompter, [name for name, _ in each])) for each in asked]
    ids, read = pad([prompt.ids for prompt in prompts])
    truths = [
        truth_of(scene, [category for _, category in each], prompt.spans, ids.shape[1])
        for scene, each, prompt in zip(scenes, asked, prompts, strict=True)
    ]
    out = model(
        pixel_values=values,
        input_ids=ids,
        attention_mask=read,
        pixel_mask=torch.ones(len(scenes), *values.shape[-2:]).long(),
    )
    text = ids.shape[1]
    targets = dense_targets(truths, values.shape[-1] // STRIDE)
    losses = dense_loss(
        out.enc_outputs_class[..., :text], out.enc_outputs_coord_logits, targets, read
    )
    logits, boxes = decoder_outputs(model, out, read)
    return losses | matched_loss(logits[..., :text], boxes, truths, read)


def dense_forward(
    model: GroundingDinoForObjectDetection, values: Tensor, ids: Tensor
) -> tuple[Tensor, Tensor, int]:
    """The proposals of a model whose encoder has learned nothing yet, in a third of the time.

    Such an encoder is its norms alone (see `_start_simple`), so pictures and prompt do not meet
    before the scores, and one prompt (1, T) serves all pictures (B, 3, H, W).

    Returns:
        Logits (B, C, T), box logits (B, C, 4), and the side of the square grid of C cells.
    """
    core = model.model
    alone, positions = generate_masks_with_special_tokens_and_transfer_map(ids, core.special_tokens)
    text = core.text_backbone(
        ids, alone[:, None], torch.zeros_like(ids), positions
    ).last_hidden_state
    text = core.text_projection(text)
    mask = torch.ones(len(values), *values.shape[-2:], dtype=torch.long)
    ((features, inside),), _ = core.backbone(values, mask)
    cells = core.input_proj_vision[0](features).flatten(2).transpose(1, 2)
    for layer in core.encoder.layers:
        fusion, enhancer, deformable = (
            layer.fusion_layer,
            layer.text_enhancer_layer,
            layer.deformable_layer,
        )
        text = enhancer.layer_norm_before(fusion.layer_norm_text(text))
        text = enhancer.layer_norm_after(text)
        cells = deformable.self_attn_layer_norm(fusion.layer_norm_vision(cells))
        cells = deformable.final_layer_norm(cells)
    grid = features.shape[-1]
    cells, proposals = core.generate_encoder_output_proposals(
        cells, ~inside.flatten(1), [(grid, grid)]
    )
    return cells @ text.transpose(1, 2), core.encoder_output_bbox_embed(cells) + proposals, grid


class Proposals(GroundingDino):
    """Reads the encoder's proposals instead of the decoder's queries: to watch the first part."""

    @staticmethod
    def _read(out: GroundingDinoObjectDetectionOutput) -> tuple[Tensor, Tensor]:
        return out.enc_outputs_class, out.enc_outputs_coord_logits.sigmoid()


@cache
def training_scene(seed: int, size: int) -> Scene:
    """Kept: drawing a scene takes a tenth of the time of learning from it."""
    return replace(make_scene(seed, "train", size=size), instances=np.zeros((0, 0), np.uint8))


def decoder_outputs(
    model: GroundingDinoForObjectDetection, out: GroundingDinoObjectDetectionOutput, read: Tensor
) -> tuple[Tensor, Tensor]:
    """Logits (L, B, Q, T) and boxes (L, B, Q, 4) of every decoder layer."""
    references = torch.cat(
        [out.init_reference_points[:, None], out.intermediate_reference_points[:, :-1]], 1
    )
    logits, boxes = [], []
    for layer in range(out.intermediate_hidden_states.shape[1]):
        hidden = out.intermediate_hidden_states[:, layer]
        logits.append(
            model.class_embed[layer](hidden, out.encoder_last_hidden_state_text, read.bool())
        )
        moved = model.bbox_embed[layer](hidden) + torch.special.logit(
            references[:, layer], eps=1e-5
        )
        boxes.append(moved.sigmoid())
    return torch.stack(logits), torch.stack(boxes)


def ask(rng: np.random.Generator, scene: Scene, company: Sequence[Scene]) -> list[tuple[str, str]]:
    """(phrase, category) pairs to ask for, in random order.

    All that is there, and absent categories drawn as often as they occur: from other scenes, and
    from themes of what is there. Some prompts are short, some name nothing that is there.
    """
    present = list(scene.counts())
    others = [name for other in company for name in other.counts()]
    fitting = [name for theme in THEMES.values() if set(theme) & set(present) for name in theme]
    drawn = [*rng.choice(others, 14), *rng.choice(fitting or CATEGORIES, 10), scene.focus]
    absent = [str(name) for name in dict.fromkeys(drawn) if name not in present]
    rng.shuffle(absent)
    short = rng.random()
    if short < 0.05:
        present = []
    elif short < 0.15:
        present = [str(name) for name in rng.permutation(present)[: 1 + rng.integers(3)]]
    room = int(rng.integers(0, 4)) if short < 0.15 else int(rng.integers(6, 19))
    names = [*present, *absent[: max(room, 1)]]
    rng.shuffle(names)
    return [(phrase(rng, name), name) for name in names]


_OTHER_NAMES = {
    name: [plural(name), *(other for other, known in SYNONYMS.items() if known == name)]
    for name in CATEGORIES
}


def phrase(rng: np.random.Generator, category: str) -> str:
    """Mostly the category's own name, sometimes its plural or a synonym."""
    if rng.random() < 0.1:
        others = _OTHER_NAMES[category]
        return others[rng.integers(len(others))]
    return category


def _fit(prompter: Prompter, names: Sequence[str]) -> list[str]:
    """As many of the names, in order, as one prompt holds."""
    return prompter.chunks(names)[0]


def truth_of(scene: Scene, asked: Sequence[str], spans: Sequence[range], tokens: int) -> Truth:
    """The asked-for objects of a scene; boxes as shares of its side.

    Args:
        scene: what is there.
        asked: the category of every label, as far as the prompt has room (see `spans`).
        spans: tokens of the labels that are in the prompt.
        tokens: length of the padded prompt.
    """
    marks = torch.zeros(len(spans), tokens)
    for row, span in enumerate(spans):
        marks[row, span.start : span.stop] = 1
    known = {category: index for index, category in enumerate(asked[: len(spans)])}
    objects = [each for each in scene.objects if each.category in known]
    corners = torch.tensor([each.box for each in objects]).reshape(-1, 4) / scene.size
    labels = torch.tensor([known[each.category] for each in objects], dtype=torch.long)
    return Truth(box_convert(corners, "xyxy", "cxcywh"), labels, marks)


def pixels(scenes: Sequence[Scene], framing: Framing, config: Config, step: int) -> Tensor:
    """Network input (B, 3, H, W); most pictures with another appearance."""
    generator = torch.Generator().manual_seed(step)
    images = torch.from_numpy(np.stack([scene.image for scene in scenes]))
    images = images.permute(0, 3, 1, 2).float() / 255
    changed = torch.rand(len(scenes), generator=generator) < config.vary
    varied = vary_appearance(images, generator)
    images = torch.where(changed[:, None, None, None], varied, images)
    mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in (framing.mean, framing.std))
    return ((images - mean) / std).contiguous(memory_format=torch.channels_last)


def export(
    model: GroundingDinoForObjectDetection,
    tokenizer: Tokenizer,
    config: Config,
    folder: Path,
) -> None:
    """Write what `GroundingDino.load` and transformers' `from_pretrained` read; weights as bf16."""
    folder.mkdir(parents=True, exist_ok=True)
    tied = set(model.all_tied_weights_keys)
    weights = {
        name: value.to(torch.bfloat16).contiguous()
        for name, value in model.state_dict().items()
        if name not in tied and not name.endswith("num_batches_tracked")
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    model.config.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    size = {"height": config.picture_size, "width": config.picture_size}
    framing = {"size": size, "image_mean": list(MEAN), "image_std": list(STD)}
    text = json.dumps(framing, indent=2) + "\n"
    (folder / "preprocessor_config.json").write_text(text, encoding="utf-8")
