"""How messages show what was given: in one line, and never long."""

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
