"""What was measured about a domain of sounds or speech, at the end of its model's card."""

from collections.abc import Mapping
from pathlib import Path

from nuthatch.training.evaluate.statistics import Interval

HEADING = "**Domain.**"


def write_section(folder: Path, text: str, figures: Mapping[str, Interval]) -> None:
    """Put `text` and the figures at the end of the card in `folder`, or into a card of its own.

    An earlier section makes way for it.
    """
    rows = [
        f"| {name} | {each.value:.3f} ({each.low:.3f}-{each.high:.3f}) | {each.n:,} |"
        for name, each in figures.items()
    ]
    path = folder / "README.md"
    card = path.read_text(encoding="utf-8").split(HEADING)[0] if path.is_file() else "# Domain\n\n"
    table = ["| figure | value | n |", "|---|---|---|", *rows]
    section = "\n".join([f"{HEADING} {text}", "", *table, ""])
    path.write_text(f"{card.rstrip()}\n\n{section}", encoding="utf-8")
