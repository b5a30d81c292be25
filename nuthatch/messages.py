"""Text for messages: what was given on one short line, and nothing that no encoding has."""

MOST = 80  # characters


def shown(given: object, most: int = MOST) -> str:
    """What was given as one line of at most `most` characters, its middle left out if need be."""
    text = str(given)
    half = (most - 3) // 2
    if len(text) > 4 * most:  # escaping makes a text longer, never shorter
        text = f"{text[: 2 * most]}...{text[-2 * most :]}"
    if not text.isprintable():
        text = repr(text)[1:-1]
    return text if len(text) <= most else f"{text[:half]}...{text[-half:]}"


def as_unicode(text: str) -> str:
    """The text with a question mark for each lone surrogate: no encoding has those."""
    return text.encode("utf-8", "replace").decode()
