"""Every tool with a model behind it: what ships, and tiny random weights of the other kinds."""

from pathlib import Path

import numpy as np

from nuthatch.tools.audio import load_sound_tagger
from nuthatch.tools.audio.transcriber import Transcriber
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.captioning import load as load_captioning
from nuthatch.tools.catalogue import all_tools
from nuthatch.tools.composite.describe import Describe
from nuthatch.tools.image_generation import sdxl as painter
from nuthatch.tools.image_generation.edit_image import EditImage
from nuthatch.tools.image_generation.generate_image import GenerateImage
from nuthatch.tools.image_generation.recipe import Recipe
from nuthatch.tools.media.geometry import Box, Mask
from nuthatch.tools.media.store import Detection, MediaStore
from nuthatch.tools.segmentation.segment_everything import SegmentEverything
from nuthatch.tools.tagging import taggers
from nuthatch.tools.weights.store import Weights
from tests.tools.audio.test_audioset_tagger import folder as save_audioset
from tests.tools.audio.whispers import tiny, tiny_miniature
from tests.tools.detection.test_grounding_dino import tiny_detector
from tests.tools.image_generation.little_painter import save_base
from tests.tools.tagging.lens_models import save_blip, save_clip
from tests.training.evaluate.trials import tiny_trial

RECIPE = Recipe(steps=2)
TOOLS: ToolSet = all_tools().with_tools(
    Describe(captions=2),
    SegmentEverything(points_per_side=3, min_predicted_iou=0.1, min_stability=0.1),
    GenerateImage(RECIPE),
    EditImage(RECIPE),
)
OTHERS = ("detect", "tag", "describe_attributes", "describe", "caption", "caption_many")
OTHERS += ("ground", "tag_sound", "transcribe")
"""Tools that have a back end of another kind."""


def shipped(folder: Path) -> Weights:
    """The weights of the package, with tiny ones for the core and for what does not ship."""
    weights = Weights()
    weights.put("core", tiny_trial())
    weights.put("transcribe", Transcriber(tiny_miniature(), "miniature"))
    weights.put("generate_image", painter.load(save_base(folder / "painter")))
    return weights


def others(folder: Path) -> Weights:
    """Grounding DINO, CLIP, BLIP, BEATs with a classifier and a Whisper of many languages."""
    weights = Weights()
    weights.put("core", tiny_trial())
    weights.put("detect", tiny_detector())
    weights.put("tag", taggers.load(save_clip(folder / "clip")))
    weights.put("caption", load_captioning.load(save_blip(folder / "blip")))
    (folder / "beats").mkdir()
    weights.put("tag_sound", load_sound_tagger.load(save_audioset(folder / "beats")))
    weights.put("transcribe", Transcriber(tiny(), "multilingual"))
    return weights


def little_media(folder: Path, seed: int = 0) -> MediaStore:
    """Two pictures (60x40 and 300x9), a sound of 1 s, and on the first picture two masks, of which
    one is empty, and two detections, of which one is as small as a box can be."""
    media = MediaStore(folder)
    noise = np.random.default_rng(seed)
    media.add_image(noise.integers(0, 256, (40, 60, 3), dtype=np.uint8))
    media.add_image(noise.integers(0, 256, (9, 300, 3), dtype=np.uint8))
    media.add_audio(noise.uniform(-0.3, 0.3, 16_000).astype(np.float32))
    for pixels in (np.eye(40, 60, dtype=bool), np.zeros((40, 60), bool)):
        media.add_mask(Mask.of(pixels), made_by=None, parents=("image_1",))
    boxes = [(2.0, 3.0, 20.0, 30.0), (59.0, 39.0, np.nextafter(59.0, 60.0), 40.0)]
    found = [
        Detection(image="image_1", label="cup", score=0.5, score_kind="s", box=Box.of(box))
        for box in boxes
    ]
    media.add_detections(media.reserve_detections(), found)
    return media
