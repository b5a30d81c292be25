"""A decoder that hangs, crashes or wants too much memory is ended, and says so."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from nuthatch.tools.media import decoding
from nuthatch.tools.media.decoding import decode
from nuthatch.tools.media.ingest import MediaError, read_image

NOISE = np.random.default_rng(0).integers(0, 256, (12, 20, 3), np.uint8)


def gif() -> bytes:
    file = io.BytesIO()
    Image.fromarray(NOISE).save(file, "GIF")
    return file.getvalue()


@pytest.fixture
def decoders(monkeypatch, tmp_path):
    """Decoders of this test alone, which can import what lies in `tmp_path`."""
    monkeypatch.syspath_prepend(tmp_path)
    own = decoding._Decoders()
    monkeypatch.setattr(decoding, "_DECODERS", own)
    yield own
    own.close()


@pytest.fixture
def decoded_by(decoders, monkeypatch, tmp_path):
    """Have a file decoded by the function of this body."""

    def run(body: str) -> decoding.Decoded:
        module = (
            "import os, time\nimport numpy as np\n"
            "from nuthatch.tools.media.decoding import Decoded\n"
        )
        (tmp_path / "odd_decoder.py").write_text(f"{module}def job(file, name): {body}\n")
        swap = (
            "nuthatch.tools.media.decoder_process.JOBS['video'] = ('odd_decoder', 'job'); serve()"
        )
        start = decoding._START.replace("serve()", f"import nuthatch; {swap}")
        monkeypatch.setattr(decoding, "_START", start)
        return decode("video", b"content", "the video")

    return run


def test_the_process_is_kept_for_the_next_file(decoders):
    first = read_image(gif())
    process = decoders._idle[0].process
    assert np.array_equal(first[0], read_image(gif())[0])
    assert [idle.process for idle in decoders._idle] == [process]


def test_after_a_refusal_the_next_file_is_read(decoders):
    with pytest.raises(MediaError):
        decode("image", gif()[:40], "the picture")
    assert decode("image", gif(), "the picture").arrays[0].shape == NOISE.shape
    assert len(decoders._idle) == 1


def test_a_process_that_was_killed_is_replaced(decoders):
    read_image(gif())
    process = decoders._idle[0].process
    process.kill()
    process.wait()
    assert read_image(gif())[0].shape == NOISE.shape


def test_decoders_of_a_parent_are_left_to_the_parent(decoders):
    read_image(gif())
    theirs = decoders._idle[0]
    child = os.fork()
    if not child:
        mine = decoding._DECODERS.take()
        os._exit(int(mine is theirs))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert theirs.process.poll() is None


def test_a_decoder_is_taken_by_one_thread_only(decoders):
    taken = [decoders.take() for _ in range(4)]
    assert len({decoder.process.pid for decoder in taken}) == 4
    for decoder in taken:
        decoders.give_back(decoder)
    assert [decoder.process.poll() is None for decoder in taken].count(True) == 2


# -- decoders that misbehave ----------------------------------------------------------------------


@pytest.mark.parametrize("body", ["time.sleep(99)", "[0 for _ in iter(int, 1)]"])
def test_a_decoder_that_hangs_is_ended(body, decoded_by, decoders, monkeypatch):
    monkeypatch.setattr(decoding, "SECONDS", 1.0)
    with pytest.raises(MediaError, match="not decoded within 1 s") as caught:
        decoded_by(body)
    assert caught.value.code == "limit_exceeded"
    assert decoders._idle == []


@pytest.mark.parametrize("body", ["os.kill(os.getpid(), 11)", "os.abort()", "os._exit(7)"])
def test_a_decoder_that_crashes_says_that_the_file_is_damaged(body, decoded_by):
    with pytest.raises(MediaError, match="the video broke its decoder") as caught:
        decoded_by(body)
    assert caught.value.code == "unsupported_media"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems limit the time alone")
def test_a_decoder_that_wants_more_memory_than_it_may_have_is_refused(decoded_by):
    with pytest.raises(MediaError, match="memory to decode") as caught:
        decoded_by("return np.ones(2**31, np.uint8)")
    assert caught.value.code == "limit_exceeded"


def test_what_a_decoder_raises_is_told_in_one_short_line(decoded_by):
    with pytest.raises(MediaError, match="the video is damaged or cut off") as caught:
        decoded_by("raise KeyError('x' * 9999)")
    assert len(caught.value.message) < 150


def test_what_a_decoder_prints_is_no_answer(decoded_by):
    body = "print('noise', flush=True); os.write(1, b'noise'); return Decoded({'a': 1}, [])"
    assert decoded_by(body).facts == {"a": 1}


def test_a_large_array_and_an_empty_one_come_back_whole(decoded_by):
    body = "return Decoded({}, [np.arange(9**6).reshape(9, -1), np.zeros((0, 3), np.float32)])"
    large, empty = decoded_by(body).arrays
    assert np.array_equal(large, np.arange(9**6).reshape(9, -1))
    assert (empty.shape, empty.dtype) == ((0, 3), np.float32)


def test_a_process_that_cannot_start_says_so(decoders, monkeypatch):
    monkeypatch.setattr(decoding, "_START", "raise SystemExit(1)")
    with pytest.raises(MediaError, match="cannot start it") as caught:
        read_image(gif())
    assert caught.value.code == "dependency_missing"
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(MediaError, match="cannot be started"):
        read_image(gif())


def test_a_script_without_a_main_guard_can_read_any_file(tmp_path):
    (tmp_path / "a.gif").write_bytes(gif())
    script = tmp_path / "script.py"
    script.write_text(
        "from nuthatch.tools.media.ingest import read_image\nprint(read_image('a.gif')[0].shape)\n"
    )
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "(12, 20, 3)\n"
    assert done.stderr == ""
