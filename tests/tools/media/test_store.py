"""Handles name content; bytes lie once in the store."""

import hashlib
import io

import numpy as np
import pytest

from nuthatch.tools.media.geometry import Box, Mask
from nuthatch.tools.media.ingest import MediaError
from nuthatch.tools.media.store import Detection, MediaStore
from tests.paths import EXAMPLES
from tests.tools.media.little_videos import seen, write_video


@pytest.fixture
def store(tmp_path) -> MediaStore:
    return MediaStore(tmp_path)


def pixels(value: int = 7) -> np.ndarray:
    return np.full((10, 16, 3), value, np.uint8)


def found(label: str = "cup") -> Detection:
    box = Box.of((1, 1, 5, 5))
    return Detection(image="image_1", label=label, score=0.9, score_kind="detector score", box=box)


def test_handles_count_up_per_kind(store):
    assert store.add_image(pixels()).handle == "image_1"
    assert store.add_audio(np.ones(160, np.float32) * 0.1).handle == "audio_1"
    assert store.add_image(pixels(9)).handle == "image_2"
    assert store.handles() == ["image_1", "audio_1", "image_2"]
    assert store.handles("image") == ["image_1", "image_2"]


def test_a_blob_is_named_by_its_sha256_and_stored_once(store):
    first, second = store.add_image(pixels()), store.add_image(pixels())
    assert first.sha256 == second.sha256 == hashlib.sha256(first.path.read_bytes()).hexdigest()
    assert len(list(store.blobs.iterdir())) == 1


def test_what_comes_out_is_what_went_in(tmp_path, store):
    noise = np.random.default_rng(0).integers(0, 255, (10, 16, 3), dtype=np.uint8)
    samples = np.linspace(-0.9, 0.9, 333).astype(np.float32)
    image, audio = store.add_image(noise), store.add_audio(samples)
    fresh = MediaStore(tmp_path)
    fresh.restore([image, audio], {})
    assert np.array_equal(fresh.image("image_1"), noise)
    assert np.allclose(fresh.audio("audio_1"), samples, atol=1 / 32000)


def as_files(content, path):
    path.write_bytes(content)
    return [
        path,
        content,
        bytearray(content),
        memoryview(content),
        io.BytesIO(content),
        path.open("rb"),
    ]


@pytest.mark.parametrize("name", ["kitchen.png", "kitchen.wav"])
def test_a_file_stays_as_it_is_whichever_way_it_is_given(name, tmp_path, store):
    content = (EXAMPLES / name).read_bytes()
    add = store.add_image if name.endswith("png") else store.add_audio
    hashes = {add(source).sha256 for source in as_files(content, tmp_path / name)}
    assert hashes == {hashlib.sha256(content).hexdigest()}


def test_content_cannot_be_changed_behind_its_name(store):
    store.add_image(pixels())
    with pytest.raises(ValueError, match="read-only"):
        store.image("image_1")[0, 0] = 1


def test_an_unknown_handle_is_answered_with_those_that_live(store):
    store.add_image(pixels())
    with pytest.raises(MediaError, match=r"no image 'image_7'.*live handles: image_1"):
        store.image("image_7")
    with pytest.raises(MediaError, match="no audio 'image_1'"):
        store.audio("image_1")


def test_lineage_is_kept(store):
    store.add_image(pixels())
    mask = store.add_mask(Mask.of(np.eye(4, dtype=bool)), made_by="call_2", parents=("image_1",))
    assert (mask.handle, mask.made_by, mask.parents) == ("mask_1", "call_2", ("image_1",))
    assert store.mask("mask_1").area == 4


def test_detections_are_named_after_the_reserved_set(store):
    first, second = store.reserve_detections(), store.reserve_detections()
    store.add_detections(second, [found("bell")])
    store.add_detections(first, [found(), found()])
    assert [d.label for d in store.detections("detection_1")] == ["cup", "cup"]
    assert store.detection("detection_2.1").label == "bell"
    assert store.detections("detection_1.2") == [store.detection("detection_1.2")]


def test_an_empty_set_is_no_live_handle_but_an_empty_list(store):
    group = store.reserve_detections()
    assert store.handles("detection") == []
    assert store.detections(group) == []
    with pytest.raises(MediaError, match=r"no medium 'detection_1\.1'"):
        store.detections("detection_1.1")


def test_a_blob_that_is_gone_is_an_error_when_restored(store):
    image = store.add_image(pixels())
    image.path.unlink()
    with pytest.raises(MediaError, match="is gone"):
        MediaStore(store.root).restore([image], {})


def test_a_video_comes_in_with_its_frames_and_its_sound_which_know_where_they_are_from(
    tmp_path, store
):
    store.add_image(pixels())
    path = write_video(tmp_path / "a.mp4", 30, sound=3.0)
    video, *parts = store.add_video(path)
    assert [part.handle for part in parts] == [
        "image_2",
        "image_3",
        "image_4",
        "image_5",
        "audio_1",
    ]
    assert (video.handle, video.width, video.height, video.frames) == ("video_1", 64, 48, 30)
    assert video.size == "64x48, 3.0 s"
    assert video.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert video.path.read_bytes() == path.read_bytes()
    assert [part.video for part in parts] == ["video_1"] * 5
    assert [part.time for part in parts] == [pytest.approx(t) for t in (0.3, 1.1, 1.9, 2.6)] + [
        None
    ]
    assert [part.origin for part in parts[3:]] == ["2.60 s of video_1", "sound of video_1"]
    assert seen(store.image("image_4")) == 19
    assert np.abs(store.audio("audio_1")).max() > 0.4
    assert (parts[0].parents, parts[0].made_by) == ((), None)  # given, and not made by a tool


def test_the_same_video_is_stored_once_as_a_file_or_as_bytes(tmp_path, store):
    path = write_video(tmp_path / "a.mp4", 1)
    first, second = store.add_video(path), store.add_video(path.read_bytes())
    assert [item.handle for item in (*first, *second)] == [
        *("video_1", "image_1", "video_2", "image_2")  # one frame is one picture
    ]
    assert first[0].path == second[0].path
    assert len(list(store.blobs.iterdir())) == 2


def test_a_picture_that_was_cut_from_a_frame_leads_back_to_it(tmp_path, store):
    _, frame = store.add_video(write_video(tmp_path / "a.mp4", 1))
    part = store.add_image(pixels(), made_by="call_1", parents=(frame.handle,))
    closer = store.add_image(pixels(), made_by="call_2", parents=(part.handle,))
    assert store.frame(closer.handle) == frame
    assert store.frame(store.add_image(pixels()).handle) is None


@pytest.mark.parametrize("content", [b"", b"no video", None], ids=["empty", "text", "cut off"])
def test_of_a_video_that_cannot_be_used_nothing_is_stored(content, tmp_path, store):
    path = write_video(tmp_path / "a.mp4")
    with pytest.raises(MediaError) as caught:
        store.add_video(path.read_bytes()[:900] if content is None else content)
    assert caught.value.code == "unsupported_media"
    assert store.items() == []
    assert not store.blobs.exists()
