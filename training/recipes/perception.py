"""Recipes of the perception models: the keys of `embedded/1_perceive_*.yaml`."""

from dataclasses import dataclass, field
from pathlib import Path

from nuthatch.tools.detection.heatmap_shape import Shape
from nuthatch.training.config import Settings
from nuthatch.training.recipes.schedule import Schedule


@dataclass(frozen=True)
class DetectRecipe(Settings):
    """Settings of the recipe `1_perceive_detect.yaml`."""

    schedule: Schedule = field(default_factory=lambda: Schedule(steps=3000, lr=2e-3))
    """How long and how fast to train."""
    shape: Shape = field(default_factory=Shape)
    """Sizes of the network."""
    batch: int = 16
    """Scenes in a batch."""
    scenes: int = 12_000
    """Different training scenes; their appearance differs each time one comes again."""
    vary: float = 0.4
    """Share of the pictures that get another appearance."""
    other_names: float = 0.1
    """Share of the labels that are a plural or a synonym instead of the category's own name."""
    evaluate_every: int = 300
    """Steps between two evaluations on the split `calibrate`."""
    watch_scenes: int = 100
    """Scenes of such an evaluation."""
    calibrate_scenes: int = 1000
    """Scenes of the split `calibrate` that scores are calibrated on."""
    test_scenes: int = 1000
    """Scenes of the split `test` that the figures of the card are measured on."""
    out: Path = Path("runs/embedded/detect")
    """Folder of checkpoints and logs."""
    export: Path = Path("tools/embedded/detect")
    """Folder that weights, calibration and card are written into."""


@dataclass(frozen=True)
class PictureDomainRecipe(Settings):
    """Settings of the recipe `1_perceive_picture_domain.yaml`."""

    seed: int = 0
    """Seed of all random draws."""
    scenes: int = 1500
    """Scenes of the split `train`, the pictures inside of the domain."""
    restyled: int = 700
    """Scenes in other styles of drawing, inside of the domain too."""
    crowds: int = 150
    """Crowds, inside of the domain too."""
    others: int = 160
    """Pictures of each other kind, outside of the domain; of some kinds a multiple of it."""
    vary: float = 0.4
    """Share of scenes with another appearance, and of photographs and what resembles them."""
    change: float = 0.4
    """Share of the other pictures that are changed as scenes are."""
    cells: int = 64
    """Cells of each picture that are learnt from, drawn at random."""
    hidden: int = 48
    """Width of the classifier's hidden layer."""
    noise: float = 0.2
    """Standard deviation of the noise on every feature of a cell, relative to the feature's."""
    batch: int = 96
    """Pictures in a batch, half of them inside of the domain."""
    schedule: Schedule = field(default_factory=lambda: Schedule(steps=1500, lr=2e-3))
    """How long and how fast to train."""
    weighed: int = 240
    """Scenes, and as many other pictures, from which the weight of plain areas is fitted."""
    calibrate_scenes: int = 1000
    """Scenes of the split `calibrate` that set the threshold."""
    kept: float = 0.99
    """Share of these that lie inside of the domain."""
    test_pictures: int = 200
    """Pictures of each kind that the figures of the card are measured on."""
    detect: Path = Path("tools/embedded/detect")
    """Folder of the detector."""
    out: Path = Path("runs/embedded/picture_domain")
    """Folder of checkpoints and logs."""
    export: Path = Path("tools/embedded/detect")
    """Folder that the domain is written into: to ship, that of the detector."""


@dataclass(frozen=True)
class SegmentRecipe(Settings):
    """Settings of the recipe `1_perceive_segment.yaml`."""

    seed: int = 0
    """Seed of all random draws."""
    images: int = 4
    """Scenes in a batch."""
    boxes: int = 3
    """Box prompts of a scene; half as many point prompts, at least one."""
    jitter: float = 0.06
    """Each side of a box moves by up to this part of the box."""
    schedule: Schedule = field(default_factory=lambda: Schedule(steps=2600, lr=1e-3))
    """How long and how fast to train."""
    evaluate_every: int = 400
    """Steps between two evaluations on the split `calibrate`."""
    test_scenes: int = 400
    """Scenes of the split `test` that the figures of the card are measured on."""
    out: str = "runs/embedded/segment"
    """Folder of checkpoints and logs."""
    export: str = "tools/embedded/segment"
    """Folder that weights and card are written into."""


@dataclass(frozen=True)
class SoundDomainRecipe(Settings):
    """Settings of the recipe `1_perceive_sound_domain.yaml`."""

    seed: int = 0
    """Seed of all random draws."""
    clips: int = 3000
    """Clips of the split `train`, the sounds inside of the domain."""
    unlike: int = 5000
    """Other sounds, outside of the domain."""
    talk: int = 400
    """Windows full of speech, outside too; each counts four times."""
    calibration_clips: int = 2500
    """Clips of the split `calibrate` that set the threshold."""
    hidden: int = 32
    """Width of the classifier's hidden layer."""
    layers: int = 2
    """Layers of the tagger's encoder whose features are used."""
    epochs: int = 40
    """Passes over all sounds."""
    lr: float = 2e-3
    """Learning rate of the first epoch; it falls linearly to 0."""
    test_clips: int = 500
    """Clips of each kind that the figures of the card are measured on."""
    tag_sound: str = "tools/embedded/tag_sound"
    """Folder of the tagger."""
    out: str = "runs/embedded/sound_domain"
    """Folder of the figures."""
    export: str = "tools/embedded/tag_sound"
    """Folder that the domain is written into: to ship, that of the tagger."""


@dataclass(frozen=True)
class SpeechDomainRecipe(Settings):
    """Settings of the recipe `1_perceive_speech_domain.yaml`."""

    sentences: int = 300
    """Sentences of the split `calibrate`, inside of the domain."""
    other_speakers: int = 200
    """Sentences of other voices of the synthesiser, inside too."""
    unlike: int = 500
    """Recordings of other speech, outside of the domain."""
    test_sentences: int = 300
    """Sentences of each kind that the figures of the card are measured on."""
    transcribe: str = "tools/embedded/transcribe"
    """Folder of the transcriber."""
    out: str = "runs/embedded/speech_domain"
    """Folder of the figures."""
    export: str = "tools/embedded/transcribe"
    """Folder that the domain is written into: to ship, that of the transcriber."""


@dataclass(frozen=True)
class TagRecipe(Settings):
    """Settings of the recipe `1_perceive_tag.yaml`."""

    seed: int = 7
    """Seed of all random draws."""
    widths: tuple[int, ...] = (32, 64, 128, 160)
    """Channels of the network's stages."""
    scenes: int = 5
    """Scenes of a batch; each gives a crop of every object (at most 8) and some tiles."""
    crowds: int = 8
    """Pictures of a batch in which every object is of another category."""
    tiles: int = 4
    """Tiles of each picture, beside the crops of its objects."""
    recoloured: float = 0.25
    """Share of crops in colours that no sprite has; their tint is not asked."""
    schedule: Schedule = field(default_factory=lambda: Schedule(steps=2200, lr=2e-3))
    """How long and how fast to train."""
    evaluate_every: int = 400
    """Steps between two evaluations on the split `calibrate`."""
    calibrate_scenes: int = 1500
    """Scenes of the split `calibrate` that scores are calibrated on."""
    test_scenes: int = 1000
    """Scenes of the split `test` that the figures of the card are measured on."""
    out: str = "runs/embedded/tag"
    """Folder of checkpoints and logs."""
    export: str = "tools/embedded/tag"
    """Folder that weights, calibration and card are written into."""


@dataclass(frozen=True)
class TagSoundRecipe(Settings):
    """Settings of the recipe `1_perceive_tag_sound.yaml`."""

    seed: int = 0
    """Seed of all random draws."""
    clips: int = 12
    """Clips in a batch."""
    pairs: float = 0.65
    """Share of the clips with two events."""
    background: float = 0.05
    """Share of the clips with none."""
    moments: float = 1.0
    """Weight of the loss on each moment of 160 ms, beside that on the whole clip."""
    width: int = 192
    """Width of the encoder; 32 to an attention head."""
    layers: int = 4
    """Layers of the encoder."""
    schedule: Schedule = field(default_factory=lambda: Schedule(steps=2300, lr=1e-3))
    """How long and how fast to train."""
    evaluate_every: int = 460
    """Steps between two evaluations on the split `calibrate`."""
    calibration_clips: int = 6000
    """Clips of the split `calibrate` that scores are calibrated on."""
    test_clips: int = 2000
    """Clips of the split `test` that the figures of the card are measured on."""
    out: str = "runs/embedded/tag_sound"
    """Folder of checkpoints and logs."""
    export: str = "tools/embedded/tag_sound"
    """Folder that weights, calibration and card are written into."""


@dataclass(frozen=True)
class TranscribeRecipe(Settings):
    """Settings of the recipe `1_perceive_transcribe.yaml`."""

    seed: int = 0
    """Seed of all random draws."""
    sentences: int = 12000
    """Sentences that are synthesised."""
    batch: int = 8
    """Windows in a batch."""
    window: int = 250
    """Positions of 40 ms that the encoder takes."""
    width: int = 128
    """Width of encoder and decoder; 32 to an attention head."""
    encoder_layers: int = 4
    """Layers of the encoder."""
    decoder_layers: int = 1
    """Layers of the decoder."""
    phonemes: float = 0.3
    """Weight of the phonemes, told from the lower half of the encoder."""
    tokens: float = 0.5
    """Weight of the words, told from the encoder alone."""
    guided: float = 0.3
    """Weight of looking at each word when it is said."""
    blurred: float = 0.15
    """Share of the words before that are others than was said, so that the decoder must listen."""
    easy: int = 600
    """Steps over which sentences grow longer and disturbances stronger: from the hardest at once
    nothing is learned for a long time."""
    joined: float = 0.2
    """Share of batches whose windows hold up to four sentences, as many as fit."""
    silent: float = 0.03
    """Share of windows without speech."""
    whole: float = 0.03
    """Share of batches whose windows are followed by silence up to the whole context."""
    schedule: Schedule = field(default_factory=lambda: Schedule(steps=14000, lr=2e-3))
    """How long and how fast to train."""
    evaluate_every: int = 2000
    """Steps between two evaluations on the split `calibrate`."""
    test_sentences: int = 500
    """Sentences of the split `test` that the figures of the card are measured on."""
    out: str = "runs/embedded/transcribe"
    """Folder of the corpus, checkpoints and logs."""
    export: str = "tools/embedded/transcribe"
    """Folder that weights and card are written into."""
