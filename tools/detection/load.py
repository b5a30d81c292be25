"""Load the detector that a weights folder holds: its `config.json` names the back end."""

import json
from pathlib import Path

from nuthatch.tools.detection.detectors import Detector


def load(folder: Path, device: str = "cpu") -> Detector:
    """The detector whose weights lie in `folder`: the back end is chosen by what lies there.

    A `config.json` names it by its `model_type`; without one, a `.pth` file is a checkpoint as the
    authors of Grounding DINO released it.

    Raises:
        FileNotFoundError: the folder holds neither.
        ValueError: no back end knows the model type.
        ToolUnavailable: the back end's package is not installed.
    """
    path = folder / "config.json"
    if path.is_file():
        model_type = json.loads(path.read_text(encoding="utf-8")).get("model_type")
    elif any(folder.glob("*.pth")):
        model_type = "groundingdino"
    else:
        raise FileNotFoundError(
            f"no detector at {folder}: expected config.json and model.safetensors there, or "
            "groundingdino_swint_ogc.pth"
        )
    if model_type == "grounding-dino":
        from nuthatch.tools.detection.grounding_dino import GroundingDino

        return GroundingDino.load(folder, device)
    if model_type == "groundingdino":
        from nuthatch.tools.detection.grounding_dino_original import OriginalGroundingDino

        return OriginalGroundingDino.load(folder, device)
    if model_type == "heatmap":
        from nuthatch.tools.detection.heatmap_detector import HeatmapDetector

        return HeatmapDetector.load(folder, device)
    known = "'grounding-dino' (transformers), 'groundingdino' (released .pth), 'heatmap'"
    raise ValueError(f"{path} names model_type {model_type!r}; known: {known}")
