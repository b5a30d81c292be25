"""Pictures that a domain check is measured with."""

import numpy as np
import pytest

from nuthatch.training.evaluate.outside import KINDS, pictures
from nuthatch.training.world import outside


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_pictures_of_a_kind_are_always_the_same(kind):
    one, two = (list(pictures(kind, 2)) for _ in range(2))
    assert all(picture.dtype == np.uint8 and picture.shape[2] == 3 for picture in one)
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_no_kind_is_one_that_is_learnt_from():
    assert not {f"{kind}s" for kind in outside.KINDS} & (set(KINDS) - {"photographs", "charts"})
