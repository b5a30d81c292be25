"""Hundreds of hostile files through every reader: read, or refused in words, soon."""

import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nuthatch.tools.media import decoding
from nuthatch.tools.media.ingest import MediaError, read_audio, read_image
from nuthatch.tools.media.store import MediaStore
from nuthatch.tools.media.video import read_video
from tests.tools.media.hostile_media import hostile_files

pytestmark = pytest.mark.slow
MOST_SECONDS = 20.0
MOST_KILOBYTES = 2**20


def outcome(read: Callable[[Any], object], source: object, name: str) -> bool:
    """Whether it was read; if not, the reason is said in one short line."""
    began, reason = time.monotonic(), None
    try:
        read(source)
    except MediaError as error:
        reason = error.message
    assert time.monotonic() - began < MOST_SECONDS, name
    assert reason is None or (10 < len(reason) < 300 and reason.isprintable()), name
    return reason is None


def test_hostile_files_are_read_or_refused_within_time_and_memory(tmp_path: Path):
    decoding._DECODERS.close()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    others = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # of tests before this one
    store = MediaStore(tmp_path / "store")
    files = read = 0
    for name, data in hostile_files(tmp_path):
        files += 1
        path = tmp_path / "file"
        path.write_bytes(data)
        for reader in (read_image, read_audio, lambda source: read_video(source, 4)):
            read += outcome(reader, path, name)
        for add in (store.add_image, store.add_audio, store.add_video):
            outcome(add, data, name)
    assert files >= 200
    assert read > 20  # some are hardly damaged
    decoding._DECODERS.close()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_KILOBYTES
    decoders = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert decoders < max(others + 1, 1.5 * MOST_KILOBYTES)
