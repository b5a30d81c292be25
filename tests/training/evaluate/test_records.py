from collections.abc import Sequence
from pathlib import Path

import pytest

from nuthatch.training.evaluate.records import Part, Records, Row, measure


def squares(indices: Sequence[int]) -> list[Row]:
    return [{"index": index, "square": index * index} for index in indices]


def test_rows_come_in_order_and_stay_on_disk(tmp_path: Path):
    rows = measure([Part("squares", 5, squares, batch=2)], tmp_path, workers=1)["squares"]
    assert [row["square"] for row in rows] == [0, 1, 4, 9, 16]
    assert list(Records(tmp_path / "squares.jsonl").rows.values()) == rows


def test_a_second_run_measures_only_what_is_missing(tmp_path: Path):
    asked: list[int] = []

    def work(indices: Sequence[int]) -> list[Row]:
        asked.extend(indices)
        return squares(indices)

    measure([Part("squares", 3, work)], tmp_path, workers=1)
    rows = measure([Part("squares", 6, work)], tmp_path, workers=1)["squares"]
    assert asked == [0, 1, 2, 3, 4, 5]
    assert len(rows) == 6
    assert len(measure([Part("squares", 2, work)], tmp_path, workers=1)["squares"]) == 2


def test_what_was_measured_before_a_failure_is_kept(tmp_path: Path):
    def fails_at_four(indices: Sequence[int]) -> list[Row]:
        if 4 in indices:
            raise RuntimeError("the fourth cannot be measured")
        return squares(indices)

    with pytest.raises(RuntimeError, match="fourth"):
        measure([Part("squares", 6, fails_at_four, batch=2)], tmp_path, workers=1)
    assert sorted(Records(tmp_path / "squares.jsonl").rows) == [0, 1, 2, 3]


def test_a_line_cut_off_by_a_kill_is_measured_again(tmp_path: Path):
    path = tmp_path / "squares.jsonl"
    measure([Part("squares", 3, squares)], tmp_path, workers=1)
    path.write_bytes(path.read_bytes()[:-5])
    rows = measure([Part("squares", 3, squares)], tmp_path, workers=1)["squares"]
    assert [row["square"] for row in rows] == [0, 1, 4]
    assert len(path.read_text().splitlines()) == 3


def test_processes_give_the_same_rows(tmp_path: Path):
    part = Part("absolute", 4, absolute, batch=2)
    rows = measure([part], tmp_path, workers=2)["absolute"]
    assert [row["value"] for row in rows] == [0, 1, 2, 3]


def absolute(indices: Sequence[int]) -> list[Row]:
    return [{"index": index, "value": abs(index)} for index in indices]
