"""The table of released weights: what it promises, and what `nuthatch weights` shows of it."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from nuthatch.tools.faults import ToolUnavailable
from nuthatch.tools.weights import released as released_weights
from nuthatch.tools.weights.released import (
    RELEASED,
    Released,
    ReleasedFile,
    Source,
    released,
    serving,
    weights_home,
)
from nuthatch.tools.weights.store import FULL_SIZE_LOADERS, LOADERS
from nuthatch.weights_report import print_weights
from tests.tools.weights.little_hub import LittleHub

ENTRIES = pytest.mark.parametrize("entry", RELEASED.values(), ids=list(RELEASED))


@ENTRIES
def test_every_set_serves_a_name_that_can_be_loaded_under_a_licence(entry: Released) -> None:
    assert entry.serves in {**LOADERS, **FULL_SIZE_LOADERS}
    assert entry.licence
    assert entry.page.startswith("https://")


@ENTRIES
def test_every_file_has_one_place_below_its_folder(entry: Released) -> None:
    paths = [path for path, _, _ in entry.files]
    assert len(paths) == len(set(paths))
    for path in paths:
        assert not path.startswith("/")
        assert ".." not in path.split("/")


@ENTRIES
def test_hashes_are_whole_and_what_comes_from_a_web_address_has_one(entry: Released) -> None:
    for path, source, file in entry.files:
        assert file.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", file.sha256), path
        assert not (source.repository and source.url)
        if source.url:  # a hub announces one, a web address does not
            assert file.sha256, path
            assert source.url.startswith("https://")


@ENTRIES
def test_what_cannot_be_fetched_says_how_it_is_had(entry: Released) -> None:
    if not all(source.repository or source.url for source in entry.sources):
        assert "by hand" in entry.note


def test_whisper_is_fetched_from_where_its_package_fetches_it() -> None:
    import whisper

    for entry in serving("transcribe"):
        ((_, source, file),) = entry.files
        assert source.url + file.name in whisper._MODELS.values()
        assert source.url.split("/")[-2] == file.sha256


def test_segment_anything_is_known_by_the_names_that_its_loader_looks_for() -> None:
    names = [path for entry in serving("segment") for path, _, _ in entry.files]
    assert [name[:9] for name in names] == ["sam_vit_b", "sam_vit_l", "sam_vit_h"]


def test_a_size_is_told_when_it_is_known_of_all_weights() -> None:
    files = (ReleasedFile("config.json"), ReleasedFile("a.safetensors", 3))
    known = Released("x", "tag", "MIT", True, "https://x.example", (Source(files),))
    more = Source((ReleasedFile("b.safetensors"),))
    partly = Released("x", "tag", "MIT", True, "https://x.example", (Source(files), more))
    assert (known.bytes, partly.bytes) == (3, None)
    assert RELEASED["sdxl-base"].bytes == 6_938_011_430


def test_an_unknown_name_names_the_nearest() -> None:
    with pytest.raises(ToolUnavailable, match="did you mean 'whisper-small'"):
        released("whisper-smal")
    with pytest.raises(ToolUnavailable, match="there are: grounding-dino-tiny"):
        released("?")


def test_the_weights_home_is_as_given_or_named_or_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUTHATCH_WEIGHTS", str(tmp_path))
    assert weights_home() == tmp_path
    assert weights_home("~/mine") == Path.home() / "mine"
    monkeypatch.delenv("NUTHATCH_WEIGHTS")
    monkeypatch.delenv("NUTHATCH_HOME", raising=False)
    assert weights_home().parts[-2:] == ("nuthatch", "weights")


# -- nuthatch weights -----------------------------------------------------------------------------

WEIGHTS = b"weights" * 100
NAME = "tiny-sam"


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Released:
    file = ReleasedFile("sam_vit_b_tiny.pth", len(WEIGHTS))
    source = Source((file,), "authors/tiny")
    entry = Released(NAME, "segment", "CC-BY-NC-4.0", False, "https://x.example", (source,))
    monkeypatch.setitem(released_weights.RELEASED, NAME, entry)
    return entry


def rows(capsys: pytest.CaptureFixture[str]) -> dict[tuple[str, str], dict[str, object]]:
    record = json.loads(capsys.readouterr().out)
    return {(row["serves"], row["name"]): row for row in record["weights"]}


def test_weights_are_listed_with_their_tools_size_licence_source_and_whether_they_are_here(
    tiny: Released, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert print_weights(as_json=True, home=tmp_path) == 0
    found = rows(capsys)
    shipped = found["segment", "embedded"]
    assert (shipped["here"], shipped["source"]) == (True, "in the package")
    row = found["segment", NAME]
    assert row["tools"] == shipped["tools"] == ["segment"]
    assert (row["here"], row["bytes"]) == (False, len(WEIGHTS))
    assert (row["licence"], row["commercial"]) == ("CC-BY-NC-4.0", False)
    assert row["path"] == str(tmp_path / NAME)
    assert {name for _, name in found} >= set(RELEASED)


def test_the_table_can_be_read(
    tiny: Released, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    assert print_weights(home=tmp_path) == 0
    printed = capsys.readouterr().out
    (line,) = (line for line in printed.splitlines() if NAME in line)
    assert re.search(r"not here +0 MB +CC-BY-NC-4\.0 \(not for commerce\) +x\.example", line)
    assert str(tmp_path) in printed


def test_fetched_weights_are_here_and_verified_and_a_change_is_found(
    tiny: Released, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    with LittleHub() as hub:
        hub.put("authors/tiny", "sam_vit_b_tiny.pth", WEIGHTS, large=True)
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        assert print_weights(NAME, verify_all=True, as_json=True, home=tmp_path) == 0
    ((_, row),) = rows(capsys).items()
    assert row["here"] is True
    assert row["files"] == [
        {
            "path": "sam_vit_b_tiny.pth",
            "state": "right",
            "detail": f"sha256 {hashlib.sha256(WEIGHTS).hexdigest()}",
        }
    ]
    (tmp_path / NAME / "sam_vit_b_tiny.pth").write_bytes(WEIGHTS[1:])
    assert print_weights(verify_all=True, home=tmp_path) == 1
    assert "wrong" in capsys.readouterr().out


def test_weights_that_are_not_here_are_nothing_to_verify(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert print_weights(verify_all=True, as_json=True, home=tmp_path) == 0
    assert all(row["files"] == [] for row in rows(capsys).values())
