"""Fetching released weights from a hub and a web server that fail as real ones do."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants, hf_hub_download

from nuthatch.tools.weights import released as released_weights
from nuthatch.tools.weights.fetching import FetchFailed, fetch, read_lock, verify
from nuthatch.tools.weights.released import LOCK, Released, ReleasedFile, Source
from tests.tools.weights.little_hub import COMMIT, LittleHub

WEIGHTS = bytes(range(256)) * 4000  # 1 MB
CONFIG = b'{"model_type": "tiny"}'
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
CHUNK = 50_000
PAGE = "https://authors.example/tiny"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LittleHub]:
    with LittleHub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", CHUNK)  # 10 MB: what a cut may lose
        hub.put("authors/tiny", "config.json", CONFIG)
        hub.put("authors/tiny", "sub/model.safetensors", WEIGHTS, large=True)
        yield hub


def publish(monkeypatch: pytest.MonkeyPatch, *sources: Source, note: str = "") -> Released:
    entry = Released("tiny", "detect", "MIT", True, PAGE, sources, note)
    monkeypatch.setitem(released_weights.RELEASED, "tiny", entry)
    return entry


@pytest.fixture
def on_hub(monkeypatch: pytest.MonkeyPatch) -> Released:
    files = (ReleasedFile("config.json"), ReleasedFile("sub/model.safetensors"))
    return publish(monkeypatch, Source(files, "authors/tiny"))


def on_web(
    monkeypatch: pytest.MonkeyPatch, hub: LittleHub, sha256: str | None = SHA256
) -> Released:
    hub.put("web", "model.pth", WEIGHTS)
    files = (ReleasedFile("model.pth", sha256=sha256),)
    return publish(monkeypatch, Source(files, url=f"{hub.address}/web/resolve/main/"))


# -- a hub ----------------------------------------------------------------------------------------


def test_files_of_a_hub_land_in_one_folder_with_a_lock_that_says_what_they_are(
    hub: LittleHub, on_hub: Released, tmp_path: Path
) -> None:
    folder = fetch("tiny", tmp_path)
    assert folder == tmp_path / "tiny"
    assert (folder / "sub/model.safetensors").read_bytes() == WEIGHTS
    lock = read_lock(folder)
    assert lock["wanted"] == ["config.json", "sub/model.safetensors"]
    large = lock["files"]["sub/model.safetensors"]
    assert (large["sha256"], large["bytes"]) == (SHA256, len(WEIGHTS))
    assert large["revision"] == COMMIT
    small = lock["files"]["config.json"]
    assert len(small["compared_with"]) == 40  # git's id: all a hub says of small files
    assert small["sha256"] == hashlib.sha256(CONFIG).hexdigest()


def test_progress_is_shown(
    hub: LittleHub,
    on_hub: Released,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TQDM_POSITION", "-1")  # as on a terminal
    fetch("tiny", tmp_path)
    assert "100%" in capfd.readouterr().err


def test_the_token_goes_to_the_hub_and_to_nobody_whom_it_sends_us_to(
    hub: LittleHub, on_hub: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fetch("tiny", tmp_path)
    resolve = "/authors/tiny/resolve/main"
    assert hub.tokens == {
        f"{resolve}/{name}": "Bearer hf_secret" for name in ("config.json", "sub/model.safetensors")
    }
    assert any(path.startswith("/elsewhere/") for _, path, _ in hub.asked)


def test_files_in_the_cache_of_huggingface_hub_are_taken_from_there_also_offline(
    hub: LittleHub, on_hub: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    for name in ("config.json", "sub/model.safetensors"):
        hf_hub_download("authors/tiny", name, endpoint=hub.address)
    hub.asked.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert (fetch("tiny", tmp_path) / "sub/model.safetensors").read_bytes() == WEIGHTS
    assert hub.asked == []


def test_what_is_there_is_not_asked_for_again(
    hub: LittleHub, on_hub: Released, tmp_path: Path
) -> None:
    fetch("tiny", tmp_path)
    hub.asked.clear()
    fetch("tiny", tmp_path)
    assert hub.asked == []


def test_a_cut_connection_keeps_what_has_come_and_the_next_call_goes_on_from_there(
    hub: LittleHub, on_hub: Released, tmp_path: Path
) -> None:
    large = hub.files["/authors/tiny/resolve/main/sub/model.safetensors"]
    large.cut_after = 300_000
    with pytest.raises(FetchFailed, match="What has come is kept") as failed:
        fetch("tiny", tmp_path)
    assert f"{tmp_path}/tiny/sub/model.safetensors  from {hub.address}" in failed.value.message
    assert set(read_lock(tmp_path / "tiny")["files"]) == {"config.json"}
    hub.is_down, large.cut_after = False, None
    hub.asked.clear()
    folder = fetch("tiny", tmp_path)
    assert (folder / "sub/model.safetensors").read_bytes() == WEIGHTS
    assert hub.ranges() == ["bytes=300000-"]


def test_content_other_than_announced_is_removed_and_both_hashes_are_named(
    hub: LittleHub, on_hub: Released, tmp_path: Path
) -> None:
    wrong = b"x" + WEIGHTS[1:]
    large = hub.put("authors/tiny", "sub/model.safetensors", wrong, large=True)
    del hub.files[f"/elsewhere/{large.digest}"]
    large.announced = WEIGHTS
    hub.files[f"/elsewhere/{large.digest}"] = large
    with pytest.raises(FetchFailed) as failed:
        fetch("tiny", tmp_path)
    assert SHA256 in failed.value.message
    assert hashlib.sha256(wrong).hexdigest() in failed.value.message
    assert not (tmp_path / "tiny/sub/model.safetensors").exists()
    large.content = WEIGHTS
    fetch("tiny", tmp_path)  # nothing of the wrong one is in the way


def test_a_small_file_other_than_announced_is_refused_too(
    hub: LittleHub, on_hub: Released, tmp_path: Path
) -> None:
    small = hub.put("authors/tiny", "config.json", b'{"model_type": "evil"}')
    small.announced = CONFIG
    with pytest.raises(FetchFailed, match="expected"):
        fetch("tiny", tmp_path)


def test_a_hub_that_announces_other_weights_than_were_published_is_not_asked_for_them(
    hub: LittleHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = (ReleasedFile("sub/model.safetensors", sha256="0" * 64),)
    publish(monkeypatch, Source(files, "authors/tiny"))
    with pytest.raises(FetchFailed, match=f"announces sha256 {SHA256}.*expected {'0' * 64}"):
        fetch("tiny", tmp_path)
    assert hub.ranges("GET") == []


def test_a_file_that_the_hub_has_not_is_named(hub: LittleHub, tmp_path: Path, monkeypatch) -> None:
    publish(monkeypatch, Source((ReleasedFile("gone.json"),), "authors/tiny"))
    with pytest.raises(FetchFailed, match=rf"there is no .*gone\.json.*see {PAGE}"):
        fetch("tiny", tmp_path)


def test_parts_of_a_release_may_come_from_several_places_into_folders_of_their_own(
    hub: LittleHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.put("authors/other", "config.json", b"{}")
    publish(
        monkeypatch,
        Source((ReleasedFile("config.json"),), "authors/tiny"),
        Source((ReleasedFile("config.json"),), "authors/other", folder="refiner"),
    )
    folder = fetch("tiny", tmp_path)
    assert (folder / "config.json").read_bytes() == CONFIG
    assert (folder / "refiner/config.json").read_bytes() == b"{}"


# -- a web address --------------------------------------------------------------------------------


def test_a_file_of_a_web_address_is_compared_with_the_hash_that_is_known(
    hub: LittleHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_web(monkeypatch, hub)
    folder = fetch("tiny", tmp_path)
    assert (folder / "model.pth").read_bytes() == WEIGHTS
    assert [path.name for path in folder.glob("*.part")] == []


def test_a_cut_web_transfer_goes_on(
    hub: LittleHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_web(monkeypatch, hub)
    served = hub.files["/web/resolve/main/model.pth"]
    served.cut_after = 200_000
    with pytest.raises(FetchFailed, match="goes on from there"):
        fetch("tiny", tmp_path)
    assert not (tmp_path / "tiny/model.pth").exists()
    hub.is_down, served.cut_after = False, None
    hub.asked.clear()
    assert (fetch("tiny", tmp_path) / "model.pth").read_bytes() == WEIGHTS
    assert hub.ranges() == ["bytes=200000-"]


def test_a_part_of_another_file_is_found_out_by_the_hash_and_the_next_call_begins_anew(
    hub: LittleHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_web(monkeypatch, hub)
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny/model.pth.part").write_bytes(b"of another file")
    with pytest.raises(FetchFailed, match=f"expected {SHA256}; the file was removed"):
        fetch("tiny", tmp_path)
    assert (fetch("tiny", tmp_path) / "model.pth").read_bytes() == WEIGHTS


def test_a_part_that_is_as_long_as_the_file_is_fetched_anew(
    hub: LittleHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_web(monkeypatch, hub)
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny/model.pth.part").write_bytes(b"x" * len(WEIGHTS))
    assert (fetch("tiny", tmp_path) / "model.pth").read_bytes() == WEIGHTS


def test_an_address_that_moved_is_followed_and_one_that_is_gone_is_named(
    hub: LittleHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.put("web", "large.pth", WEIGHTS, large=True)  # answered from elsewhere
    source = Source((ReleasedFile("large.pth"),), url=f"{hub.address}/web/resolve/main/")
    publish(monkeypatch, source)
    assert (fetch("tiny", tmp_path) / "large.pth").read_bytes() == WEIGHTS
    publish(monkeypatch, Source((ReleasedFile("gone.pth"),), url=f"{hub.address}/"))
    with pytest.raises(FetchFailed, match=rf"there is no .*gone\.pth.*see {PAGE}"):
        fetch("tiny", tmp_path / "other")


# -- without a network, and by hand ---------------------------------------------------------------


def test_offline_nobody_is_asked_and_the_message_says_which_files_belong_where(
    hub: LittleHub, on_hub: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(FetchFailed, match="HF_HUB_OFFLINE is set") as failed:
        fetch("tiny", tmp_path)
    for path in ("config.json", "sub/model.safetensors"):
        there = f"{tmp_path}/tiny/{path}  from {hub.address}/authors/tiny/resolve/main/{path}"
        assert there in failed.value.message
    assert hub.asked == []


def test_a_hub_that_cannot_be_reached_is_told_with_the_same_advice(
    on_hub: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(FetchFailed, match=r"could not be fetched \(ConnectError") as failed:
        fetch("tiny", tmp_path)
    assert "by hand" in failed.value.message


def test_files_put_there_by_hand_are_compared_and_kept_and_offline_they_are_enough(
    hub: LittleHub, on_hub: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny/sub").mkdir(parents=True)
    (tmp_path / "tiny/sub/model.safetensors").write_bytes(WEIGHTS)
    (tmp_path / "tiny/config.json").write_bytes(b"{}")
    with pytest.raises(FetchFailed, match=r"config\.json has hash .* remove it"):
        fetch("tiny", tmp_path)
    assert (tmp_path / "tiny/config.json").read_bytes() == b"{}"  # theirs: we do not remove it
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = fetch("tiny", tmp_path)
    assert read_lock(folder)["files"]["sub/model.safetensors"]["sha256"] == SHA256
    assert hub.ranges("GET") == []


def test_what_cannot_be_fetched_says_so_and_where_it_belongs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch, Source((ReleasedFile("beats.pt"),)), note="links on that page only")
    with pytest.raises(FetchFailed, match="links on that page only") as failed:
        fetch("tiny", tmp_path)
    assert f"{tmp_path}/tiny/beats.pt  from {PAGE}" in failed.value.message
    (tmp_path / "tiny/beats.pt").write_bytes(b"by hand")
    assert (fetch("tiny", tmp_path) / LOCK).is_file()


def test_no_room_is_found_out_before_anything_comes(
    hub: LittleHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = (ReleasedFile("sub/model.safetensors", bytes=10**18),)
    publish(monkeypatch, Source(files, "authors/tiny"))
    with pytest.raises(FetchFailed, match="1,000,000,000,000,000,000 bytes more"):
        fetch("tiny", tmp_path)
    assert hub.asked == []


def test_two_processes_do_not_fetch_the_same_at_once(
    hub: LittleHub, on_hub: Released, tmp_path: Path
) -> None:
    from filelock import FileLock

    (tmp_path / "tiny").mkdir()
    with (
        FileLock(tmp_path / "tiny/.fetching.lock"),
        pytest.raises(FetchFailed, match="another process is fetching 'tiny'"),
    ):
        fetch("tiny", tmp_path)


# -- later ----------------------------------------------------------------------------------------


def test_verify_finds_what_changed_what_is_gone_and_what_nobody_can_compare(
    hub: LittleHub, on_hub: Released, tmp_path: Path
) -> None:
    folder = fetch("tiny", tmp_path)
    assert [found.state for found in verify(folder)] == ["right", "right"]
    (folder / "sub/model.safetensors").write_bytes(WEIGHTS[:-1])
    (folder / "config.json").unlink()
    missing, wrong = verify(folder)
    assert (missing.path, missing.state) == ("config.json", "missing")
    assert (wrong.state, SHA256 in wrong.detail) == ("wrong", True)
    (folder / "config.json").write_bytes(CONFIG)
    (folder / LOCK).unlink()
    assert {found.state for found in verify(folder, on_hub)} == {"unknown"}


def test_what_was_published_counts_more_than_what_was_noted(
    hub: LittleHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = on_web(monkeypatch, hub, sha256=None)
    folder = fetch("tiny", tmp_path)
    lock = json.loads((folder / LOCK).read_text())
    (folder / "model.pth").write_bytes(b"changed")
    lock["files"]["model.pth"]["sha256"] = hashlib.sha256(b"changed").hexdigest()
    (folder / LOCK).write_text(json.dumps(lock))
    assert verify(folder, entry)[0].state == "right"  # nobody knows better
    known = on_web(monkeypatch, hub)
    assert verify(folder, known)[0].state == "wrong"


def test_a_lock_that_cannot_be_read_counts_for_nothing(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text("[")
    assert read_lock(tmp_path) == {}
