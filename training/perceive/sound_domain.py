"""Fit the sound tagger's domain: a boundary between the miniature's sounds and all others.

The tagger's lower layers are computed once; one hidden layer learns to tell clips of the split
"train" from `unlike` sounds, and the threshold keeps KEPT of the clips of the split "calibrate".
What it is worth is measured on sounds of other makes (`sound_domain_quality`).
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from nuthatch.mllm.encoders.fbank import beats_filter_bank
from nuthatch.tools.audio.sound_tagger import SoundTagger, load_saved
from nuthatch.tools.domain.sounds import SoundDomain
from nuthatch.tools.weights.fetching import sha256_of
from nuthatch.training.perceive.domain_card import write_section
from nuthatch.training.perceive.sound_domain_quality import measure
from nuthatch.training.perceive.unlike import unlike_sound, unlike_talk
from nuthatch.training.recipes.perception import SoundDomainRecipe
from nuthatch.training.world.sounds import make_sound
from nuthatch.training.world.synthesis import Samples

KEPT = 0.98
REPEATED = 4
SECTION = f"""`domain.safetensors` tells the sounds of the miniature world from others, by the lower
layers of this tagger (`nuthatch.tools.domain.sounds`). Outside of it the tagger names no event, and
no claim about the sound is judged. Learned from clips of the split "train" against speech of
espeak-ng, resynthesised speech, music, tones, noise, textures and clips made unnatural, all
synthesised (`nuthatch.training.perceive.unlike`); the threshold keeps {KEPT:.0%} of the clips of
"calibrate". `kept`: clips of "test" that lie inside. `refused`: other sounds that lie outside.
`other_*`: sounds of the events by a second synthesiser (`nuthatch.training.evaluate.
other_synthesis`), and what `verify` makes of the true sentence "I hear X" about each. 95 %
intervals. Command: first line of `training/recipes/embedded/1_perceive_sound_domain.yaml`."""
FIRST_CLIP, FIRST_CALIBRATION, FIRST_UNLIKE = 1_000_000, 50_000, 10_000


def train(config: SoundDomainRecipe) -> None:
    """Compute features (kept in the run folder), fit, choose the threshold, export, measure."""
    model, out, export = Path(config.tag_sound), Path(config.out), Path(config.export)
    for folder in (out, export):
        folder.mkdir(parents=True, exist_ok=True)
    tagger: SoundTagger = load_saved(model)
    torch.manual_seed(config.seed)
    weights = sha256_of(model / "model.safetensors")[:12]
    domain = SoundDomain(tagger.config.beats.width, config.layers, config.hidden, weights=weights)
    sets = {
        "inside": (make_sound(FIRST_CLIP + i, "train").samples for i in range(config.clips)),
        "unlike": (unlike_sound(FIRST_UNLIKE + i) for i in range(config.unlike)),
        "talk": map(unlike_talk, range(config.talk)),
        "calibrate": (
            make_sound(FIRST_CALIBRATION + i, "calibrate").samples
            for i in range(config.calibration_clips)
        ),
    }
    features = {
        name: kept_features(out / f"{name}.npz", tagger, domain, sounds)
        for name, sounds in sets.items()
    }
    unlike = torch.cat([features["unlike"], *[features["talk"]] * REPEATED])
    fit(domain, features["inside"][:, :-1], unlike[:, :-1], config)
    with torch.inference_mode():
        odds = domain(features["calibrate"][:, :-1]) - features["calibrate"][:, -1]
    domain.threshold = float(odds.quantile(1 - KEPT))
    domain.save(export)
    tagger.domain = SoundDomain.beside(export)
    figures = measure(tagger, config.test_clips)
    record = {name: figure._asdict() for name, figure in figures.items()}
    (out / "figures.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    write_section(export, SECTION, figures)


def kept_features(
    path: Path, tagger: SoundTagger, domain: SoundDomain, sounds: Iterator[Samples]
) -> Tensor:
    """(sounds, D + 1) features and crowding of the first window of each; kept at `path`."""
    if not path.is_file():
        found = [first_window(tagger, domain, sound) for sound in tqdm(sounds, desc=path.stem)]
        np.savez(path, features=np.stack(found))
    with np.load(path, allow_pickle=False) as held:
        return torch.from_numpy(held["features"])


@torch.inference_mode()
def first_window(
    tagger: SoundTagger, domain: SoundDomain, sound: Samples
) -> npt.NDArray[np.float32]:
    """(D + 1,) features of the first window of a sound, and its crowding."""
    window = np.zeros(tagger.window_samples, np.float32)
    window[: len(sound)] = sound[: len(window)]
    one = torch.from_numpy(window)[None]
    features = domain.features(tagger.beats, beats_filter_bank(one, tagger.config.num_mel_bins))
    told = torch.cat([features[0], domain.crowding(tagger.probabilities(one))])
    found: npt.NDArray[np.float32] = told.numpy()
    return found


def fit(domain: SoundDomain, inside: Tensor, unlike: Tensor, config: SoundDomainRecipe) -> None:
    """Fit by binary cross-entropy, with dropout; features are standardised on the way, and the
    standardisation ends in the first layer."""
    rows = torch.cat([inside, unlike])
    is_inside = torch.cat([torch.ones(len(inside)), torch.zeros(len(unlike))])
    mean, scale = rows.mean(dim=0), rows.std(dim=0) + 1e-3
    rows = (rows - mean) / scale
    optimizer = torch.optim.AdamW(domain.parameters(), lr=config.lr, weight_decay=1e-2)
    for epoch in range(config.epochs):
        for group in optimizer.param_groups:
            group["lr"] = config.lr * (1 - epoch / config.epochs)
        for batch in torch.randperm(len(rows)).split(128):
            hidden = F.gelu(domain.hidden(F.dropout(rows[batch], 0.2)))
            odds = domain.odds(F.dropout(hidden, 0.3)).squeeze(-1)
            loss = F.binary_cross_entropy_with_logits(odds, is_inside[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        domain.hidden.weight.div_(scale)
        domain.hidden.bias.sub_(domain.hidden.weight @ mean)
