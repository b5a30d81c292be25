"""What was given is shown in one line that is never long."""

import pytest

from nuthatch.messages import shown


def test_what_is_short_is_shown_as_it_is():
    assert shown("a cup.png") == "a cup.png"
    assert shown(5) == "5"


@pytest.mark.parametrize("given", ["x" * 81, "/" * 10_000, "a\n" * 100, "\0" * 79, "\ud800" * 30])
def test_what_is_long_or_cannot_be_printed_becomes_one_line_of_80_characters(given):
    assert len(shown(given)) <= 80
    assert shown(given).isprintable()


def test_of_what_is_long_both_ends_are_shown():
    path = "/data/" + "a" * 100 + "/cup.png"
    assert shown(path).startswith("/data/aaa")
    assert shown(path).endswith("/cup.png")
    assert "..." in shown(path)
