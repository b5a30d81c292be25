"""Load the captioner that a weights folder holds: its `config.json` names the back end."""

import json
from pathlib import Path

from nuthatch.tools.captioning.captioner import Captioner


def load(folder: Path, device: str = "cpu") -> Captioner:
    """The captioner whose `config.json` and weights lie in `folder`.

    Raises:
        FileNotFoundError: the folder holds no `config.json`.
        ValueError: no back end knows the model type that it names.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"no captioner at {folder}: expected config.json and model.safetensors there"
        )
    model_type = json.loads(path.read_text(encoding="utf-8")).get("model_type")
    if model_type == "blip":
        from nuthatch.tools.captioning.blip import BlipCaptioner

        return BlipCaptioner.load(folder, device)
    raise ValueError(f"{path} names model_type {model_type!r}; known: 'blip'")
