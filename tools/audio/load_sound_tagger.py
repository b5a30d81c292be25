"""Load the sound tagger that a weights folder holds: the package's own, or BEATs on AudioSet."""

from pathlib import Path

from nuthatch.tools.audio import audioset_tagger
from nuthatch.tools.audio.sound_tagger import Listener, load_saved


def load(folder: Path, device: str = "cpu") -> Listener:
    """The `Listener` in a folder, ready to listen, in float32: the `SoundTagger` that was saved
    there, or a released file of BEATs with a classifier (`audioset_tagger.load`).

    Raises:
        FileNotFoundError: the folder holds no tagger.
        ValueError: the folder holds something else.
        RuntimeError: the weights do not fit the configuration.
    """
    if not (folder / "config.json").is_file() and any(folder.glob("*.pt")):
        return audioset_tagger.load(folder, device)
    return load_saved(folder, device)
