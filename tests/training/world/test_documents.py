"""Charts and pages that are drawn by rules."""

import numpy as np
import pytest

from nuthatch.training.world.documents import chart, lit_page


@pytest.mark.parametrize("kind", ["stem", "errors", "rose", "arrows", "flow", "hexagons"])
def test_a_chart_of_every_kind_shows_something(kind):
    picture = chart(np.random.default_rng(1), (kind,))
    assert picture.std() > 5


def test_a_page_under_a_lamp_is_brighter_at_one_side():
    spread = []
    for seed in range(6):
        picture = lit_page(np.random.default_rng(seed)).astype(float)
        blocks = [np.quantile(part, 0.9) for part in np.array_split(picture, 4, axis=1)]
        spread.append(max(blocks) - min(blocks))
    assert max(spread) > 10
