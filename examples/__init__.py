"""Pictures, sounds and scripts to try the package with; they come with every installation."""

from importlib.resources import files
from pathlib import Path

_MEDIA = (".png", ".wav", ".json")


def example(name: str) -> Path:
    """The file of an example that ships with the package, such as "kitchen.png".

    Raises:
        FileNotFoundError: there is none of this name; the message lists those that are.
    """
    folder = Path(str(files("nuthatch.examples")))
    path = folder / name
    if not path.is_file():
        shipped = sorted(each.name for each in folder.iterdir() if each.suffix in _MEDIA)
        raise FileNotFoundError(
            f"given {name!r}, expected an example of the package: {', '.join(shipped)}"
        )
    return path
