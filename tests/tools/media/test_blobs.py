"""What users give is kept to the byte; what is made of it carries pixels and samples only."""

import base64
import hashlib
import io
import os
import re
import time
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

from nuthatch.agent.agent import Agent
from nuthatch.agent.planner import ScriptedPlanner
from nuthatch.tools.media import blobs as blobs_module
from nuthatch.tools.media import ingest
from nuthatch.tools.media import store as media
from nuthatch.tools.media.blobs import Blobs, encode_png, named_in, read_mask, suffix_of
from nuthatch.tools.media.files import StoreError
from nuthatch.tools.media.ingest import MediaError, encode_wav, read_image
from nuthatch.tools.media.store import Media, MediaStore
from nuthatch.tools.toolbox import Toolbox
from tests.agent.little_tools import Cut

SECRET = "Nuthatch Lane 7"
RNG = np.random.default_rng(0)
SCENE = RNG.integers(0, 255, (6, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)  # 48 high, 64 wide


def photograph(orientation: int = 1) -> bytes:
    """A JPEG with all that a camera writes beside the pixels."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = SECRET
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    xmp = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'>{SECRET}</x:xmpmeta>".encode()
    file = io.BytesIO()
    Image.fromarray(SCENE).save(
        file, "JPEG", quality=95, exif=exif, icc_profile=profile, comment=SECRET, xmp=xmp
    )
    return file.getvalue()


def page() -> bytes:
    """A PNG with text chunks."""
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", SECRET)
    texts.add_itxt("Author", SECRET)
    file = io.BytesIO()
    Image.fromarray(SCENE).save(file, "PNG", pnginfo=texts)
    return file.getvalue()


ORIGINALS = {"JPEG": (photograph, "jpg"), "PNG": (page, "png")}


# -- what comes in --------------------------------------------------------------------------------


@pytest.mark.parametrize(("make", "ending"), ORIGINALS.values(), ids=ORIGINALS)
@pytest.mark.parametrize("as_file", [True, False], ids=["a file", "bytes"])
def test_a_given_picture_is_kept_to_the_byte(make, ending, as_file, tmp_path):
    content = make()
    (tmp_path / "given").write_bytes(content)
    item = MediaStore(tmp_path / "home").add_image(tmp_path / "given" if as_file else content)
    assert item.path.read_bytes() == content
    assert item.path.name == f"{hashlib.sha256(content).hexdigest()}.{ending}"


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG"])
def test_a_given_sound_is_kept_to_the_byte_and_heard_as_before(kind, tmp_path):
    soundfile = pytest.importorskip("soundfile")
    file = io.BytesIO()
    soundfile.write(file, np.sin(np.arange(44_100) / 9)[:, None] * [0.5, 0.1], 44_100, format=kind)
    store = MediaStore(tmp_path)
    item = store.add_audio(file.getvalue())
    assert item.path.read_bytes() == file.getvalue()
    assert item.path.suffix == f".{kind.lower()}"
    heard = store.audio("audio_1")
    assert heard.dtype == np.float32
    assert np.array_equal(heard, ingest.read_audio(file.getvalue())[0])
    assert item.seconds == pytest.approx(1.0)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_are_those_of_the_upright_original(orientation, tmp_path):
    content = photograph(orientation)
    item = MediaStore(tmp_path).add_image(content)
    fresh = MediaStore(tmp_path)
    fresh.restore([item], {})
    with Image.open(io.BytesIO(content)) as file:
        upright = np.asarray(ImageOps.exif_transpose(file).convert("RGB"))
    assert np.array_equal(fresh.image("image_1"), upright)
    assert (item.width, item.height) == upright.shape[1::-1]
    assert np.array_equal(fresh.image("image_1"), read_image(content)[0])


def test_an_array_is_kept_as_png_and_stays_the_users(tmp_path):
    store = MediaStore(tmp_path)
    given = SCENE.copy()
    item = store.add_image(given)
    given[:] = 0
    assert np.array_equal(store.image("image_1"), SCENE)
    with Image.open(item.path) as file:
        assert np.array_equal(np.asarray(file), SCENE)
        assert (file.format, file.info) == ("PNG", {})


def test_samples_need_no_package_to_be_heard_again(tmp_path, monkeypatch):
    samples = np.linspace(-0.9, 0.9, 333).astype(np.float32)
    item = MediaStore(tmp_path).add_audio(samples)
    monkeypatch.setattr(blobs_module, "read_audio", lambda *_: pytest.fail("not one of ours"))
    fresh = MediaStore(tmp_path)
    fresh.restore([item], {})
    assert np.allclose(fresh.audio("audio_1"), samples, atol=1 / 32000)


def test_a_sound_that_only_begins_like_ours_is_read_as_any_other(tmp_path):
    pytest.importorskip("soundfile")
    content = encode_wav(np.full(100, 0.5, np.float32)) + b"LIST\x04\x00\x00\x00INFO"
    store = MediaStore(tmp_path)
    assert store.add_audio(content).seconds == pytest.approx(100 / 16_000)
    fresh = MediaStore(tmp_path)
    fresh.restore(store.items(), {})
    assert len(fresh.audio("audio_1")) == 100


def test_blobs_of_earlier_versions_stay_readable(tmp_path):
    picture = io.BytesIO()
    Image.fromarray(SCENE).save(picture, "PNG", compress_level=1)
    sound = io.BytesIO()
    with wave.open(sound, "wb") as out:
        out.setparams((1, 2, 16_000, 0, "NONE", "not compressed"))
        out.writeframes((np.arange(64, dtype="<i2") * 100).tobytes())
    items = []
    for kind, content, ending in (("image", picture, "png"), ("audio", sound, "wav")):
        sha256 = hashlib.sha256(content.getvalue()).hexdigest()
        path = tmp_path / "blobs" / f"{sha256}.{ending}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.getvalue())
        items.append(Media(handle=f"{kind}_1", type=kind, sha256=sha256, path=path))
    store = MediaStore(tmp_path)
    store.restore(items, {})
    assert np.array_equal(store.image("image_1"), SCENE)
    assert np.array_equal(store.audio("audio_1"), (np.arange(64) * 100 / 32768).astype(np.float32))


def test_a_picture_is_decoded_once_and_what_is_decoded_is_bounded(tmp_path, monkeypatch):
    store = MediaStore(tmp_path)
    monkeypatch.setattr(media, "DECODED_BYTES", 2 * SCENE.nbytes)
    read: list[Path] = []
    real = media.read_pixels
    monkeypatch.setattr(media, "read_pixels", lambda path: (read.append(path), real(path))[1])
    for shade in range(3):
        store.add_image(encode_png(SCENE // (shade + 1)))
    for handle in ("image_2", "image_3", "image_2"):
        store.image(handle)
    assert read == []
    store.image("image_1")
    store.image("image_1")
    assert len(read) == 1
    assert store._bytes() <= 2 * SCENE.nbytes


def test_a_picture_larger_than_files_may_be_is_read_back_if_it_was_made_here(tmp_path, monkeypatch):
    item = MediaStore(tmp_path).add_image(SCENE)
    monkeypatch.setattr(ingest, "MAX_FILE_BYTES", 10)
    fresh = MediaStore(tmp_path)
    fresh.restore([item], {})
    assert np.array_equal(fresh.image("image_1"), SCENE)


@pytest.mark.parametrize("content", [None, b"", b"no picture"], ids=["gone", "empty", "damaged"])
def test_a_blob_that_is_gone_or_damaged_is_told_typed(content, tmp_path):
    store = MediaStore(tmp_path)
    store.add_image(SCENE)
    store.add_audio(np.full(99, 0.1, np.float32))
    for item in store.items():
        item.path.unlink()
        if content is not None:
            item.path.write_bytes(content)
    fresh = MediaStore(tmp_path)
    fresh._items = {item.handle: item for item in store.items()}
    for read in (lambda: fresh.image("image_1"), lambda: fresh.audio("audio_1")):
        with pytest.raises(MediaError, match=r"cannot be read|is empty|no picture|no sound"):
            read()
    with pytest.raises(MediaError):
        read_mask(store.items()[0].path)


@pytest.mark.parametrize(
    ("start", "ending"),
    [
        (b"\xff\xd8\xff\xe1", "jpg"),
        (b"RIFF\0\0\0\0WAVE", "wav"),
        (b"RIFF\0\0\0\0WEBP", "webp"),
        (b"ID3", "mp3"),
        (b"../../x", "image"),
    ],
)
def test_a_blob_is_named_by_what_it_holds(start, ending):
    assert suffix_of(start, "image") == ending


# -- what goes out --------------------------------------------------------------------------------


def bare(content: bytes) -> None:
    """No trace of what stood beside the pixels."""
    for trace in (SECRET, "Exif", "GPS", "ICC", "iCCP", "xmpmeta", "Author"):
        assert trace.encode() not in content, trace


@pytest.mark.parametrize(("make", "_"), ORIGINALS.values(), ids=ORIGINALS)
def test_what_leaves_the_home_carries_pixels_only(make, _, tmp_path):
    assert SECRET.encode() in make()
    script = [("cut", {"image": "image_1"}), "A cup."]
    agent = Agent(ScriptedPlanner(script), [Cut()], verify=False, home=tmp_path)
    answer = agent.ask("?", image=make())
    saved = answer.save_picture()
    assert saved is not None
    bare(saved.read_bytes())
    (encoded,) = re.findall(r"base64,([^\"]+)\"", answer._repr_html_())
    bare(base64.b64decode(encoded))
    bare(answer.media[1].path.read_bytes())  # what the tool cut out


def test_what_a_tool_makes_of_a_file_carries_pixels_only(tmp_path):
    store = MediaStore(tmp_path)
    bare(store.add_image(photograph(6), made_by="call_1").path.read_bytes())
    assert np.array_equal(store.image("image_1"), read_image(photograph(6))[0])


def test_a_picture_of_a_view_carries_pixels_only():
    box = Toolbox([Cut()])
    view = box.run("cut", image=photograph())
    file = io.BytesIO()
    view.picture().save(file, "PNG")
    bare(file.getvalue())
    bare(view._repr_html_().encode())


def test_a_painted_picture_keeps_the_text_of_its_making_and_no_other(tmp_path):
    item = MediaStore(tmp_path).add_image(photograph(), made_by="call_1", texts={"nuthatch": "{}"})
    with Image.open(item.path) as file:
        assert file.info == {"nuthatch": "{}"}
    bare(item.path.read_bytes())


# -- the folder -----------------------------------------------------------------------------------


def test_content_that_comes_again_counts_as_new(tmp_path):
    blobs = Blobs(tmp_path)
    _, path = blobs.store(b"a", "image")
    os.utime(path, (1.0, 1.0))
    blobs.store(b"a", "image")
    assert time.time() - path.stat().st_mtime < 60


def test_nothing_half_written_stays_after_an_error(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(blobs_module.shutil, "copyfileobj", full)
    with pytest.raises(StoreError, match="make room") as caught:
        MediaStore(tmp_path).add_image(SCENE)
    assert caught.value.code == "write_failed"
    assert list((tmp_path / "blobs").iterdir()) == []


def test_what_a_killed_process_left_half_written_is_removed_later(tmp_path):
    blobs = Blobs(tmp_path)
    _, path = blobs.store(b"a", "image")
    (blobs.folder / "b.image.0123.partial").write_bytes(b"half")
    blobs.tidy()
    assert list(blobs.folder.iterdir()) == [path]


def test_hashes_are_found_in_a_journal_whatever_else_it_holds():
    one, other = "a1" * 32, "b2" * 32
    journal = b'\xff{"sha256": "%b"\n}}{ "path": "%b.png' % (one.encode(), other.encode())
    assert named_in(journal + b"c" * 70) == {one, other}
