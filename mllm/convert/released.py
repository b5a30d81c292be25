"""Released files of a published system become the folder of a core.

What each file holds is said by the system's preset; nothing is read that is not accounted for, and
no more than a shard is in memory at a time.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import LlamaConfig, PreTrainedTokenizerFast

from nuthatch.mllm.bridges.qformer import Sense
from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.convert.reading import Checkpoint, CheckpointError, open_checkpoint
from nuthatch.mllm.convert.writing import write_sharded
from nuthatch.mllm.core import Core
from nuthatch.mllm.presets import Preset
from nuthatch.mllm.presets.names import (
    QUERY_BIAS,
    VALUE_BIAS,
    Dropped,
    Part,
    Plan,
    by_reason,
    made,
    plan,
)

SHARD_BYTES = 500_000_000
TIED = ("language_model.lm_head.weight", "language_model.model.embed_tokens.weight")
HEARING = re.compile(r"(^|\.)audio(_|\.|$)")
"""Names of ours that belong to the ear."""
PLACEHOLDERS = ("<image>", "<audio>")
TOKENS = ("bos_token_id", "eos_token_id", "pad_token_id")
SIZES = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "max_position_embeddings",
    "rms_norm_eps",
    "hidden_act",
    "tie_word_embeddings",
    "rope_theta",
    "rope_parameters",
    "rope_scaling",
)
"""What a language model's own config may say of it; files of LLaVA's hold much besides."""
LICENCES = {
    "language_model.": "Vicuna and LLaMA: LLaMA's licence; its version 1 is not for commercial use",
    "audio_tower.stem": "ImageBind: CC BY-NC 4.0, not for commercial use",
}
"""Terms that users should know of, by what the names of the weights begin with."""
ITS_AUTHORS = "the checkpoint: see its authors; weights tuned from LLaMA keep LLaMA's licence"
LLAMAS = ("llama", "llava")
"""What configs of a language model call themselves."""


class System(Protocol):
    """A module of `presets` whose released files can be converted."""

    SOURCES: dict[str, tuple[Part | Dropped, ...]]
    preset: Callable[..., Preset]


@dataclass(frozen=True)
class Report:
    """What was made of which files."""

    used: dict[str, int]
    """Tensors taken from each source; one that a later source replaces is not counted."""
    replaced: dict[str, int]
    """Tensors of each source that a later one replaces."""
    dropped: dict[str, list[str]]
    """Names left out on purpose, by the reason."""
    filled: list[str]
    """Parameters that no file has and that are always the same."""
    licences: list[str] = field(default_factory=list)
    ignored: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What each source holds besides weights."""
    tokenizer: Path | None = None
    """The folder whose tokenizer was taken."""

    def lines(self) -> Iterator[str]:
        """The report for people."""
        for source, number in self.used.items():
            replaced = self.replaced.get(source, 0)
            also = f", {replaced} replaced by later files" if replaced else ""
            yield f"{source}: {number} tensors used{also}"
        for why, names in self.dropped.items():
            yield f"left out {', '.join(names) if len(names) < 4 else _some(names)}: {why}"
        for source, beside in self.ignored.items():
            yield f"{source}: left out {', '.join(beside)}: no weights"
        for name in self.filled:
            yield f"in no file, a constant: {name}"
        if self.tokenizer is None:
            yield (
                "no tokenizer: the language model's folder holds no tokenizer.json; make one of "
                "its tokenizer.model with transformers' LlamaTokenizer (needs sentencepiece and "
                "protobuf), put it there and convert again"
            )
        else:
            yield f"tokenizer of {self.tokenizer}, with placeholders for media"
        yield from self.licences


def convert(
    system: System,
    sources: Mapping[str, str | Path | Sequence[str | Path]],
    out: str | Path,
    *,
    config: CoreConfig | None = None,
    senses: Sequence[Sense] | None = None,
    any_language_model: bool = False,
    dtype: torch.dtype | None = None,
    progress: Callable[[Iterable[str]], Iterable[str]] = iter,
) -> Report:
    """Write the core's folder: weights in shards, `config.json`, and the tokenizer where there is
    one.

    Args:
        system: a module of `presets` with `SOURCES`.
        sources: files or folders by the names that `SOURCES` gives them; where two hold the same
            tensor, the one that `SOURCES` names later counts.
        out: the folder to write.
        config: sizes, where they are not those of the preset.
        senses: what the core is to sense, where that is less than the system did: ("image",) leaves
            out ears and all that belongs to them.
        any_language_model: take a language model of another vocabulary than the preset's.
        dtype: what weights are converted to; as they are by default.
        progress: wraps the names of tensors while they are written, such as `tqdm`.

    Raises:
        CheckpointError: a file is damaged, or is not what its name says.
        ValueError: an unknown source; a tensor that is not known, missing, or of another shape; a
            language model of another version than the system was trained with.
        FileExistsError: the folder holds weights already.
    """
    if unknown := sources.keys() - system.SOURCES.keys():
        raise ValueError(
            f"given {', '.join(sorted(unknown))}, expected some of {', '.join(system.SOURCES)}"
        )
    given = {name: open_checkpoint(sources[name]) for name in system.SOURCES if name in sources}
    if config is None:
        config = _config(system, given, senses)
        if not any_language_model:
            _check_language_model(system, config)
        elif config.text_config.vocab_size != _vocabulary(system, config):
            config.prompt_style = ""  # another Vicuna: nobody knows how it was spoken to
    plans = {
        name: _planned(name, checkpoint, system.SOURCES[name], config.senses)
        for name, checkpoint in given.items()
    }
    made_of: dict[str, str] = {}  # of each of our names the source that counts
    for name, planned in plans.items():
        made_of |= dict.fromkeys(planned.sources, name)
    shapes = _shapes(config)
    constants = {
        name: value
        for name, value in getattr(system, "NEVER_TRAINED", {}).items()
        if name in shapes and name not in made_of
    }
    if TIED[0] not in made_of and config.text_config.tie_word_embeddings:
        shapes.pop(TIED[0])
    absent = [name for name in system.SOURCES if name not in given]
    _check(shapes, plans, made_of, constants, given, absent)

    def tensors() -> Iterator[tuple[str, Tensor]]:
        for ours in progress([*made_of, *constants]):
            if ours in constants:
                yield ours, torch.full(shapes[ours], constants[ours])
            else:
                source = made_of[ours]
                yield ours, made(plans[source].sources[ours], given[source].read)

    write_sharded(out, tensors(), max_shard_bytes=SHARD_BYTES, dtype=dtype, owned=True)
    config.save_pretrained(out)
    tokenizer = _save_tokenizer(sources, config, Path(out))
    return Report(
        used={name: sum(made == name for made in made_of.values()) for name in plans},
        replaced={
            name: sum(made_of[ours] != name for ours in planned.sources)
            for name, planned in plans.items()
        },
        dropped=by_reason(pair for each in plans.values() for pair in each.dropped.items()),
        filled=list(constants),
        licences=[
            *(
                says
                for begin, says in LICENCES.items()
                if any(n.startswith(begin) for n in made_of)
            ),
            *([ITS_AUTHORS] if "checkpoint" in given else []),
        ],
        ignored={name: each.ignored for name, each in given.items() if each.ignored},
        tokenizer=tokenizer,
    )


def _planned(
    name: str, checkpoint: Checkpoint, parts: Sequence[Part | Dropped], senses: Sequence[Sense]
) -> Plan:
    try:
        planned = plan(checkpoint.names(), parts)
    except ValueError as error:
        raise CheckpointError(f"{name}: {error}") from error
    if "audio" in senses:
        return planned
    unheard = [ours for ours in planned.sources if HEARING.search(ours)]
    for ours in unheard:
        for theirs in planned.sources.pop(ours):
            planned.dropped[theirs] = "for hearing, which this core does not"
    return planned


def _config(
    system: System, given: Mapping[str, Checkpoint], senses: Sequence[Sense] | None
) -> CoreConfig:
    """The preset's sizes, with those that the files speak of."""
    changes: dict[str, Any] = {} if senses is None else {"senses": tuple(senses)}
    found = getattr(system, "found_in", None)
    if found is not None and "checkpoint" in given:
        changes |= found(given["checkpoint"], given["checkpoint"].config)
    for name in ("vicuna", "checkpoint"):
        if name in given and "hidden_size" in given[name].config:
            kind = given[name].config.get("model_type", LLAMAS[0])
            if not kind.startswith(LLAMAS):
                raise ValueError(f"{name} is a model of type {kind!r}, expected a Llama or Vicuna")
            expected = system.preset(**changes).config.text_config
            text = LlamaConfig(
                **{
                    **{size: value for size, value in given[name].config.items() if size in SIZES},
                    # Configs of 2023 name other tokens, such as -1 for padding.
                    **{token: getattr(expected, token) for token in TOKENS},
                }
            )
            changes |= {
                "text_config": text,
                "image_token_id": text.vocab_size,
                "audio_token_id": text.vocab_size + 1,
            }
            break
    return system.preset(**changes).config


def _check_language_model(system: System, config: CoreConfig) -> None:
    expected, found = _vocabulary(system, config), config.text_config.vocab_size
    if found != expected:
        raise ValueError(
            f"the language model has {found:,} tokens, but this system was trained with a Vicuna "
            f"of {expected:,} (v0 has 32,001, v1.1 and later 32,000) and speaks gibberish with "
            "another; give that one, or take any with --any-language-model"
        )


def _vocabulary(system: System, config: CoreConfig) -> int:
    """Tokens of the Vicuna that a system of this style was trained with."""
    usual = system.preset().config
    if usual.prompt_style == config.prompt_style:
        return int(usual.text_config.vocab_size)
    return {"v0": 32001, "v1": 32000}[config.prompt_style]


def _shapes(config: CoreConfig) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        core = Core(config)
    return {name: tuple(tensor.shape) for name, tensor in core.state_dict().items()}


def _check(
    shapes: Mapping[str, tuple[int, ...]],
    plans: Mapping[str, Plan],
    made_of: Mapping[str, str],
    constants: Mapping[str, float],
    given: Mapping[str, Checkpoint],
    absent: Sequence[str],
) -> None:
    wrong: dict[str, list[str]] = {"missing": [], "not known": [], "of another shape": []}
    for ours, source in made_of.items():
        names = plans[source].sources[ours]
        if ours not in shapes:
            wrong["not known"] += [f"{name} ({source})" for name in names]
            continue
        expected = shapes[ours]
        if names[0].endswith((QUERY_BIAS, VALUE_BIAS)):  # two make one with that of the keys
            if len(names) == 1:
                raise ValueError(f"{source} has {names[0]}, but not the bias that belongs to it")
            expected = (expected[0] // 3,)
        wrong["of another shape"] += [
            f"{name} ({source}): {given[source].shape(name)}, expected {expected}"
            for name in names
            if given[source].shape(name) != expected
        ]
    wrong["missing"] = [name for name in shapes if name not in made_of and name not in constants]
    if any(wrong.values()):
        more = ""
        if wrong["missing"] and absent:
            more = f"; not given: {', '.join(absent)}"
            if wrong["missing"] == [TIED[0]]:
                more += "; or say tie_word_embeddings in --sizes"
            if all(HEARING.search(name) for name in wrong["missing"]):
                more += "; or leave out hearing: --senses image"
        raise ValueError(
            "the files do not make this core; "
            + "; ".join(
                f"{what}: {len(names)}, such as {', '.join(names[:5])}"
                for what, names in wrong.items()
                if names
            )
            + more
        )


def _some(names: Sequence[str]) -> str:
    return f"{len(names)}, such as {names[0]}"


def _save_tokenizer(
    sources: Mapping[str, str | Path | Sequence[str | Path]], config: CoreConfig, out: Path
) -> Path | None:
    """The language model's tokenizer, with the placeholders behind its tokens, and its folder."""
    mine = [sources[name] for name in ("vicuna", "checkpoint") if name in sources]
    given = ([one] if isinstance(one, str | Path) else one for one in mine)
    for folder in (Path(path) for paths in given for path in paths):
        if (folder / "tokenizer.json").is_file():
            # Not AutoTokenizer: its Llama tokenizer swallows the space at the start of a text.
            tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
            if min(config.media_token_ids) >= config.text_config.vocab_size:
                _add_placeholders(tokenizer, config, folder)
            tokenizer.save_pretrained(out)
            return folder
    return None


def _add_placeholders(tokenizer: PreTrainedTokenizerFast, config: CoreConfig, folder: Path) -> None:
    missing = config.text_config.vocab_size - len(tokenizer)
    tokenizer.add_tokens([f"<unused_{number}>" for number in range(missing)])
    tokenizer.add_special_tokens({"additional_special_tokens": list(PLACEHOLDERS)})
    found = tuple(tokenizer.convert_tokens_to_ids(list(PLACEHOLDERS)))
    if found != config.media_token_ids:
        raise ValueError(
            f"the tokenizer in {folder} gives the placeholders {PLACEHOLDERS} the tokens {found}, "
            f"the config has {config.media_token_ids}; is it the language model's?"
        )
