"""Whatever names a file: paths, bytes, open files, `data:` addresses. Nothing is fetched."""

import base64
import io
from pathlib import Path
from urllib.parse import quote

import pytest

from nuthatch.tools.media.sources import bytes_of, file_of, name_of
from nuthatch.tools.media.types import MediaError

DATA = bytes(range(256)) * 4
PACKED = base64.b64encode(DATA).decode()


def given(source: object, most: int = 10_000) -> bytes | Path | None:
    return file_of(source, "the picture", most)


def refusal(source: object, most: int = 10_000) -> MediaError:
    with pytest.raises(MediaError) as caught:
        given(source, most)
    assert len(caught.value.message) < 250
    assert caught.value.message.isprintable()
    return caught.value


@pytest.fixture
def path(tmp_path) -> Path:
    (tmp_path / "a.bin").write_bytes(DATA)
    return tmp_path / "a.bin"


@pytest.mark.parametrize("kind", [str, Path, Path.as_uri])
def test_a_path_stays_a_path(path, kind):
    assert given(kind(path)) == path
    assert bytes_of(path) == DATA
    assert name_of(path, "the picture") == str(path)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_are_the_file_itself(kind):
    assert given(kind(DATA)) == DATA
    assert name_of(DATA, "the picture") == "the picture"


def test_an_open_file_is_read_from_its_beginning(path):
    with path.open("rb") as file:
        assert given(file) == DATA
        assert given(file) == DATA
    written = io.BytesIO()
    written.write(DATA)
    assert given(written) == DATA


def test_a_file_that_gives_no_bytes_is_refused(path):
    with path.open(encoding="latin-1") as file:
        assert "binary mode" in refusal(file).message
    assert "cannot be read" in refusal(file).message  # it is closed now
    with (path.parent / "new").open("wb") as file:
        assert "cannot be read" in refusal(file).message


@pytest.mark.parametrize(
    "address",
    [
        f"data:image/png;base64,{PACKED}",
        f"DATA:;BASE64,{PACKED}",
        f"data:image/png;charset=x;base64,{base64.encodebytes(DATA).decode()}",
        f"data:image/png;base64,{quote(PACKED, safe='')}",
        f"data:image/png;base64,{base64.urlsafe_b64encode(DATA).decode().rstrip('=')}",
        f"data:application/octet-stream,{quote(DATA, safe='')}",
    ],
    ids=["base64", "capitals", "lines", "quoted", "url-safe", "percent"],
)
def test_a_data_address_holds_the_file(address):
    assert given(address) == DATA


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("data:image/png;base64,@@@@", "damaged base64"),
        ("data:image/png;base64," + "A" * 9001, "damaged base64"),
        ("data:image/png;base64", "without a comma"),
        ("data:,", "empty"),
        ("data:;base64," + "A" * 20_000, "larger than"),
        ("data:;base64," + "A" * 90_000, "larger than"),
    ],
)
def test_a_damaged_data_address_is_refused(address, words):
    assert words in refusal(address).message


@pytest.mark.parametrize(
    "address",
    [
        "https://user:secret@example.org/cup.png?token=secret",
        Path("https://example.org/cup.png"),  # one slash is lost
        "s3://bucket/" + "x" * 5000,
        "file://server/cup.png",
        "HTTP://EXAMPLE.ORG",
        "http://[",
    ],
)
def test_an_address_is_refused_in_one_short_line_that_keeps_secrets(address):
    message = refusal(address).message
    assert "nothing is fetched" in message
    assert len(message) < 160
    assert "secret" not in message


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("gone.png", "there is no file gone.png"),
        ("x" * 5000, "there is no file"),
        ("a\0b", "there is no file"),
        ("\n" * 300, "there is no file"),
        (PACKED, "base64 is given as a data: address"),
        ("/dev/null", "no ordinary file"),
        (".", "a folder"),
        (b"", "empty"),
        (io.BytesIO(), "empty"),
    ],
)
def test_what_is_no_file_says_why(source, words):
    assert words in refusal(source).message


def test_a_file_that_is_too_large_is_not_read(path):
    for source in (path, io.BytesIO(DATA), f"data:,{quote(DATA, safe='')}"):
        assert refusal(source, 1000).code == "limit_exceeded"
    assert given(DATA, 1000) == DATA  # it is in memory already


@pytest.mark.parametrize("source", [None, 5, [1, 2], object()])
def test_what_names_no_file_is_none(source):
    assert given(source) is None
