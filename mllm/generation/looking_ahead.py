"""Guesses of the next tokens, from what was said before in the same place.

A model that reads a guess checks all its tokens in one pass, and what it would have said itself is
kept: the text is the same, in fewer passes (speculative decoding, Leviathan et al. 2023,
arXiv:2211.17192; with n-grams for the smaller model, as in prompt lookup decoding).
"""

from collections import OrderedDict
from collections.abc import Sequence

SIZES = (8, 4, 2)
"""Tokens before a place that name it: the longest that is known decides."""
LENGTH = 16
"""Tokens of a guess at most: a pass over so many costs little more than over one."""


class Guesses:
    """What followed the latest n-grams; `most` are kept. Not for several threads at once."""

    def __init__(self, most: int = 8192) -> None:
        self.most = most
        self._followed: OrderedDict[tuple[int, ...], tuple[int, ...]] = OrderedDict()

    def remember(self, prompt: Sequence[int], said: Sequence[int]) -> None:
        """Learn from a turn that was said after a prompt."""
        before = list(prompt[-SIZES[0] :])
        tokens = [*before, *said]
        for place in range(len(before), len(tokens)):
            guess = tuple(tokens[place : place + LENGTH])
            for size in SIZES:
                if place >= size:
                    key = tuple(tokens[place - size : place])
                    self._followed[key] = guess
                    self._followed.move_to_end(key)
        while len(self._followed) > self.most:
            self._followed.popitem(last=False)

    def after(self, tokens: Sequence[int]) -> list[int]:
        """What followed the end of these tokens when it was met last; empty: it never was."""
        for size in SIZES:
            guess = self._followed.get(tuple(tokens[-size:]))
            if guess is not None:
                return list(guess)
        return []
