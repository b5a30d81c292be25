"""Recipes of the core's stages: the keys of `embedded/2_see.yaml` to `embedded/6_join.yaml`."""

from dataclasses import dataclass, field
from pathlib import Path

from nuthatch.tools.weights.store import EMBEDDED
from nuthatch.training.config import Settings
from nuthatch.training.recipes.schedule import Schedule

SHARES: dict[str, float] = {
    "sight": 60,
    "offered": 30,
    "generated": 16,
    "following": 10,
    "drills": 12,
    "talk": 3,
    "echo": 6,
}
"""How often each kind of lesson is drawn."""


@dataclass(frozen=True)
class SeeRecipe(Settings):
    """Settings of the recipe `2_see.yaml`."""

    schedule: Schedule = field(default_factory=lambda: Schedule(steps=4800, lr=1e-3))
    """How long and how fast to train."""
    vision: dict[str, int] = field(default_factory=dict)
    """Sizes of the encoder that differ from those of the embedded core."""
    batch: int = 8
    """Pictures in a batch."""
    crowds: int = 4
    """So many pictures of a batch are crowds, see `world.crowds`; the others are scenes."""
    vary: float = 0.3
    """Share of the pictures that get another appearance."""
    other_names: float = 0.1
    """Share of the names that are a plural or a synonym instead of the category's own."""
    names_fixed_at: int = 1600
    """From this step on the phrase encoder rests; its vectors are exported at once."""
    names: Path | None = None
    """`learner.safetensors` of an earlier run whose phrase encoder is taken over, at rest."""
    start: Path | None = None
    """`learner.safetensors` of an earlier run, to start from all that it learned."""
    evaluate_every: int = 600
    """Steps between two evaluations on the split `calibrate`."""
    watch_scenes: int = 100
    """Scenes of such an evaluation."""
    measure_scenes: int = 800
    """Scenes of the evaluation in the end, of the same split."""
    out: Path = Path("runs/embedded/see")
    """Folder of checkpoints, logs and figures."""
    export: Path = Path("runs/embedded/see/export")
    """Folder that later stages read."""


@dataclass(frozen=True)
class ListenRecipe(Settings):
    """Settings of the recipe `3_listen.yaml`."""

    schedule: Schedule = field(default_factory=lambda: Schedule(steps=5000, lr=7e-4))
    """How long and how fast to train."""
    start: Path | None = EMBEDDED / "tag_sound"
    """The sound tagger to go on from; null: from scratch."""
    audio: dict[str, int] = field(default_factory=dict)
    """Sizes of the encoder that differ from those of the embedded core."""
    clips: int = 12
    """Clips in a batch."""
    pairs: float = 0.8
    """Share of the clips with two events."""
    background: float = 0.04
    """Share of the clips with none."""
    evaluate_every: int = 500
    """Steps between two evaluations on the split `calibrate`."""
    watch_clips: int = 300
    """Clips of such an evaluation, two events each."""
    measure_clips: int = 2000
    """Clips of the evaluation in the end, of the same split."""
    out: Path = Path("runs/embedded/listen")
    """Folder of checkpoints, logs and figures."""
    export: Path = Path("runs/embedded/listen/export")
    """Folder that later stages read."""


@dataclass(frozen=True)
class ReadAndCallRecipe(Settings):
    """Settings of the recipe `4_read_and_call.yaml`."""

    see: Path = Path("runs/embedded/see/export")
    """Export folder of stage `see`: only its phrase vectors are needed."""
    schedule: Schedule = field(
        default_factory=lambda: Schedule(steps=3000, lr=1.5e-3, warmup_steps=60)
    )
    """How long and how fast to train."""
    core: dict[str, dict[str, int]] = field(default_factory=dict)
    """Sizes that differ from those of the embedded core, by part, such as `text_config`."""
    tokens: int = 2560
    """Tokens in a batch."""
    scenes: float = 0.5
    """Share of pictures that are scenes of the world; the others are layouts alone."""
    shares: dict[str, float] = field(default_factory=lambda: SHARES)
    """How often each kind of lesson is drawn."""
    echo_until: int = 300
    """Up to this step there are echoes alone, see `Lessons.echo`: a model that can copy learns all
    the rest sooner."""
    tokenizer_samples: int = 4000
    """Dialogues that the tokenizer is trained on."""
    threads: int = 1
    """Threads of this process. Two stages side by side, a thread each, take less time than one
    after the other with two."""
    evaluate_every: int = 500
    """Steps between two evaluations on held-out dialogues."""
    watch: int = 60
    """Dialogues of each figure of such an evaluation."""
    measure: int = 300
    """Dialogues of each figure of the evaluation in the end."""
    out: Path = Path("runs/embedded/read_and_call")
    """Folder of checkpoints, logs and figures."""
    export: Path = Path("runs/embedded/read_and_call/export")
    """Folder that later stages read; the tokenizer is kept there from the start."""


@dataclass(frozen=True)
class BridgeRecipe(Settings):
    """Settings of the recipe `5_bridge.yaml`."""

    schedule: Schedule = field(default_factory=lambda: Schedule(steps=4400, lr=6e-4))
    """How long and how fast to train."""
    see: Path = Path("runs/embedded/see/export")
    """Export folder of stage `see`."""
    listen: Path = Path("runs/embedded/listen/export")
    """Export folder of stage `listen`."""
    core: dict[str, dict[str, int]] = field(default_factory=dict)
    """Sizes that differ from those of the embedded core, by part, such as `bridge_config`."""
    start: Path | None = None
    """Export folder of an earlier run of this stage, to start from what it learned."""
    scenes: int = 16
    """Pictures in a batch of pictures."""
    crowds: int = 4
    """So many of them are crowds, see `world.crowds`; the others are scenes."""
    clips: int = 16
    """Sounds in a batch of sounds."""
    sound_every: int = 5
    """Every so many steps a batch of sounds instead of pictures."""
    vary: float = 0.3
    """Share of the pictures that get another appearance."""
    pairs: float = 0.7
    """Share of the clips with two events."""
    background: float = 0.06
    """Share of the clips with none."""
    anchors_until: int = 2200
    """Up to this step matching looks at the distance to the anchors only."""
    evaluate_every: int = 300
    """Steps between two evaluations on the split `calibrate`."""
    watch_scenes: int = 200
    """Scenes of such an evaluation."""
    watch_clips: int = 100
    """Clips of such an evaluation."""
    measure_scenes: int = 800
    """Scenes of the evaluation in the end, of the same split."""
    measure_clips: int = 800
    """Clips of the evaluation in the end, of the same split."""
    out: Path = Path("runs/embedded/bridge")
    """Folder of checkpoints, logs and figures."""
    export: Path = Path("runs/embedded/bridge/export")
    """Folder that later stages read."""


@dataclass(frozen=True)
class JoinRecipe(Settings):
    """Settings of the recipe `6_join.yaml`."""

    see: Path = Path("runs/embedded/see/export")
    """Export folder of stage `see`."""
    listen: Path = Path("runs/embedded/listen/export")
    """Export folder of stage `listen`."""
    read_and_call: Path = Path("runs/embedded/read_and_call/export")
    """Export folder of stage `read_and_call`."""
    bridge: Path = Path("runs/embedded/bridge/export")
    """Export folder of stage `bridge`."""
    start: Path | None = None
    """Folder of a core that an earlier run of this stage exported, to start from it instead of from
    the stages before."""
    start_heads: Path | None = None
    """`heads.safetensors` in the run folder of that earlier run."""
    schedule: Schedule = field(
        default_factory=lambda: Schedule(steps=1500, lr=6e-4, warmup_steps=60)
    )
    """How long and how fast to train."""
    core: dict[str, dict[str, int]] = field(default_factory=dict)
    """Sizes that differ from those of the embedded core, by part."""
    rates: dict[str, float] = field(
        default_factory=lambda: {"core.bridge.qformer": 0.5, "core.audio_tower": 0.1}
    )
    """By what the learning rate is multiplied in parts of the model."""
    muon: tuple[str, ...] = ("core.language_model.model.layers", "core.bridge.qformer")
    """Modules whose matrices take Muon's steps, see `optimizer_and_rate`."""
    tokens: int = 2560
    """Tokens in a batch."""
    shares: dict[str, float] = field(
        default_factory=lambda: {
            "sight": 62,
            "offered": 10,
            "generated": 8,
            "following": 3,
            "drills": 7,
            "talk": 4,
        }
    )
    """How often each kind of lesson is drawn."""
    vary: float = 0.3
    """Share of the pictures that get another appearance; of these no tint is taught."""
    threads: int = 1
    """Threads of this process. Two stages side by side, a thread each, take less time than one
    after the other with two."""
    worker: bool = False
    """Whether batches are made in a process of their own."""
    evaluate_every: int = 300
    """Steps between two evaluations on held-out dialogues."""
    watch: int = 60
    """Dialogues of each figure of such an evaluation."""
    measure: int = 300
    """Dialogues of each figure of the evaluation in the end."""
    out: Path = Path("runs/embedded/join")
    """Folder of checkpoints, logs and figures."""
    export: Path = Path("runs/embedded/join/export")
    """Folder of the core that ships, with its card."""
