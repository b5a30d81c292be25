"""How often categories are seen, and seen together, over a set of scenes."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Self


@dataclass(frozen=True)
class Company:
    """How often categories are seen, and seen together, over a set of scenes."""

    frequency: Mapping[str, int]
    together: Mapping[str, Mapping[str, int]]

    @classmethod
    def of(cls, scenes: Iterable[Collection[str]]) -> Self:
        """From the categories that each scene shows."""
        frequency: Counter[str] = Counter()
        together: dict[str, Counter[str]] = defaultdict(Counter)
        for present in scenes:
            frequency.update(set(present))
            for first, second in permutations(set(present), 2):
                together[first][second] += 1
        return cls(frequency, dict(together))

    def expected(self, category: str, present: Iterable[str]) -> int:
        """How often the category was seen with those present: high for what belongs here."""
        return sum(self.together.get(each, {}).get(category, 0) for each in present)
