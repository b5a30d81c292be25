"""Fetch released weights: from a hub or a web address, with progress, resumed, checked by hash.

Files land in `weights_folder(name)`. What has come is written down in a lock file beside them, so
that `verify` can compare later. A cut connection leaves what has come; the next call goes on from
there. A file with a wrong hash is removed. Without a network the message says which files belong
where: put there by hand they are as good as fetched.

Requests and progress bars are huggingface_hub's (HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE hold,
files in its cache are taken from there). Its own downloads begin anew after a cut and compare sizes
only; so what has come is kept, and hashes are compared, here.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from nuthatch.messages import shown
from nuthatch.tools.faults import ToolUnavailable
from nuthatch.tools.weights.released import (
    LOCK,
    Released,
    ReleasedFile,
    Source,
    released,
    weights_folder,
)

HUB = "https://huggingface.co"
T = TypeVar("T")


class FetchFailed(ToolUnavailable):
    """Weights could not be fetched; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What `verify` found of one file; "unknown": there is nothing to compare its hash with."""

    path: str
    state: Literal["right", "wrong", "missing", "unknown"]
    detail: str


def fetch(name: str, home: str | Path | None = None) -> Path:
    """Fetch what is missing of the released weights `name`; gives their folder.

    Files that are there already, by hand or by an earlier call, are checked and kept.

    Raises:
        ToolUnavailable: there are no such weights, or huggingface_hub is not installed.
        FetchFailed: no network, a cut connection, a missing file, a wrong hash, no room.
    """
    entry = released(name)
    folder = weights_folder(name, home)
    try:
        import huggingface_hub  # noqa: F401  # asked for here, so that its lack is told once
        from filelock import FileLock, Timeout
    except ImportError as error:
        raise ToolUnavailable(
            f"fetching needs a package that is missing ({error.name}): "
            "pip install 'nuthatch[vision]'",
            "dependency_missing",
        ) from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".fetching.lock", timeout=0):
            _fetch(entry, folder)
    except Timeout as error:
        raise FetchFailed(f"another process is fetching '{name}' into {shown(folder)}") from error
    except OSError as error:
        raise FetchFailed(
            f"cannot write to {shown(folder)}: {error.strerror or error}; make room there, or name "
            "another folder in NUTHATCH_WEIGHTS; what has come is kept"
        ) from error
    return folder


def verify(folder: Path, entry: Released | None = None) -> list[Checked]:
    """Hash every file that `entry` or the folder's lock file names, and compare."""
    noted: dict[str, Any] = read_lock(folder).get("files", {})
    known = {path: file.sha256 for path, _, file in entry.files} if entry else {}
    found = []
    for path in sorted({*noted, *known}):
        expected = known.get(path) or noted.get(path, {}).get("sha256")
        file = folder / path
        if not file.is_file():
            found.append(Checked(path, "missing", f"not at {file}"))
            continue
        actual = sha256_of(file)
        if expected is None:
            found.append(Checked(path, "unknown", f"sha256 {actual}, nothing to compare with"))
        elif actual == expected:
            found.append(Checked(path, "right", f"sha256 {actual}"))
        else:
            detail = f"sha256 {actual}, expected {expected}: remove {file} and fetch it again"
            found.append(Checked(path, "wrong", detail))
    return found


def read_lock(folder: Path) -> dict[str, Any]:
    """The lock file of a folder; empty where there is none or it cannot be read."""
    try:
        lock = json.loads((folder / LOCK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return lock if isinstance(lock, dict) else {}


def sha256_of(file: Path) -> str:
    """Sha256 of a file of any size."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def by_hand(entry: Released, folder: Path) -> str:
    """Where to put which files of `entry`, if they cannot be fetched."""
    errands = (_Errand(entry, folder, *file) for file in entry.files)
    lines = [f"  {errand.target}  from {errand.address or entry.page}" for errand in errands]
    return "\n".join([f"put '{entry.name}' there by hand ({entry.page}):", *lines])


# -- inside ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Errand:
    """One file to bring."""

    entry: Released
    folder: Path
    path: str
    source: Source
    file: ReleasedFile

    @property
    def target(self) -> Path:
        return self.folder / self.path

    @property
    def part(self) -> Path:
        """What has come of a file that is not whole yet."""
        return self.target.with_name(f"{self.target.name}.part")

    @property
    def address(self) -> str:
        """Where it is to be had; empty: only from hand to hand."""
        source, name = self.source, self.file.name
        if source.repository:
            hub = _endpoint() or HUB
            return f"{hub}/{source.repository}/resolve/{source.revision}/{name}"
        return f"{source.url}{name}" if source.url else ""

    @property
    def again(self) -> str:
        return f"nuthatch weights --fetch {self.entry.name}"


@dataclass(frozen=True, slots=True)
class _Announced:
    """What is known of a file before it comes."""

    location: str
    digest: str  # sha256 (64 digits), git's id of the content (40), or "" where nobody says
    bytes: int | None
    revision: str = ""  # the hub's commit


def _fetch(entry: Released, folder: Path) -> None:
    errands = [_Errand(entry, folder, *file) for file in entry.files]
    lock = read_lock(folder)
    if lock.get("released") != entry.name:
        lock = {"released": entry.name, "files": {}}
    lock["wanted"] = [errand.path for errand in errands]
    _check_room(errands)
    for errand in errands:
        if errand.path in lock["files"] and errand.target.is_file():
            continue
        lock["files"][errand.path] = _bring(errand)
        _write(folder / LOCK, lock)


def _bring(errand: _Errand) -> dict[str, Any]:
    """One file, there and checked; what the lock file says of it."""
    target, file = errand.target, errand.file
    was_there = target.is_file() or _from_cache(errand)
    announced = _Announced(errand.address, file.sha256 or "", file.bytes)
    # What was put there by hand is taken as it is where there is nobody to ask.
    enough = was_there and (announced.digest or _is_offline())
    if errand.source.repository and not enough:
        announced = _announced(errand)
    if not was_there:
        _transfer(errand, announced)
    sha256 = sha256_of(target)
    actual = _git_id(target) if len(announced.digest) == 40 else sha256
    if announced.digest and actual != announced.digest:
        compared = f"{target} has hash {actual}, expected {announced.digest}"
        if was_there:
            raise FetchFailed(f"{compared}; remove it, then: {errand.again}")
        target.unlink()
        raise FetchFailed(
            f"{compared}; the file was removed. Try again: {errand.again}; if it happens twice, "
            f"what {errand.address} gives is not what was published"
        )
    return {
        "bytes": target.stat().st_size,
        "sha256": sha256,
        "compared_with": announced.digest,
        "source": errand.address,
        "revision": announced.revision,
    }


def _from_cache(errand: _Errand) -> bool:
    """Copy the file from huggingface_hub's cache; False: it is not in there."""
    from huggingface_hub import try_to_load_from_cache

    source = errand.source
    if not source.repository:
        return False
    cached = try_to_load_from_cache(source.repository, errand.file.name, revision=source.revision)
    if not isinstance(cached, str):
        return False
    errand.target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(cached, errand.part)
    os.replace(errand.part, errand.target)
    return True


def _announced(errand: _Errand) -> _Announced:
    """What the hub says of a file; a hash that is known here must be the same."""
    from huggingface_hub import get_hf_file_metadata

    said = _online(errand, lambda: get_hf_file_metadata(errand.address, endpoint=_endpoint()))
    known, digest = errand.file.sha256, said.etag or ""
    if known and len(digest) == 64 and digest != known:
        raise FetchFailed(
            f"the hub announces sha256 {digest} for {errand.address}, expected {known}; nothing "
            "was fetched: what it gives is not what was published"
        )
    trusted = known or (digest if len(digest) in (40, 64) else "")
    return _Announced(said.location, trusted, said.size, said.commit_hash or "")


def _transfer(errand: _Errand, announced: _Announced) -> None:
    """Bring the file, going on where an earlier transfer was cut."""
    if not announced.location:
        raise FetchFailed(
            f"'{errand.entry.name}' cannot be fetched: {errand.entry.note}\n"
            f"{by_hand(errand.entry, errand.folder)}"
        )
    errand.target.parent.mkdir(parents=True, exist_ok=True)
    _online(errand, lambda: _go_on(errand, announced))
    os.replace(errand.part, errand.target)


def _go_on(errand: _Errand, announced: _Announced) -> None:
    """Append to the part what is missing of it."""
    from huggingface_hub import get_token
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.file_download import http_get

    headers, token = {}, get_token()
    # The token is for the hub, and for nobody whom it sends us to.
    if token and errand.source.repository and _host(announced.location) == _host(errand.address):
        headers["authorization"] = f"Bearer {token}"
    for attempt in (1, 2):
        try:
            with errand.part.open("ab") as stream:
                http_get(
                    announced.location,
                    stream,
                    resume_size=stream.tell(),
                    headers=headers,
                    expected_size=announced.bytes,
                    displayed_filename=errand.path,
                )
            return
        except HfHubHTTPError as error:
            # There is nothing behind the part: it is whole, or of another file. Begin anew.
            if error.response.status_code != 416 or attempt == 2:
                raise
            errand.part.unlink()


def _online(errand: _Errand, ask: Callable[[], T]) -> T:
    """What `ask` gives; what goes wrong on the net becomes `FetchFailed`."""
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    # The base of all errors of the client (httpx, httpx2) that the hub's library is built on.
    ClientError: type[Exception] = HfHubHTTPError.__bases__[0]
    entry = errand.entry
    if _is_offline():
        raise FetchFailed(
            f"'{entry.name}' is not here, and HF_HUB_OFFLINE is set; unset it, or\n"
            f"{by_hand(entry, errand.folder)}"
        )
    try:
        return ask()
    except GatedRepoError as error:
        raise FetchFailed(
            f"{errand.address} is given to those who accept its terms: do so at {entry.page}, then "
            "set HF_TOKEN, or log in with: hf auth login"
        ) from error
    except RepositoryNotFoundError as error:
        raise FetchFailed(
            f"there is no repository {errand.source.repository} at {_endpoint() or HUB}, or it is "
            f"not public; see {entry.page}"
        ) from error
    except (ClientError, OSError) as error:
        if isinstance(error, HfHubHTTPError) and error.response.status_code == 404:
            raise FetchFailed(
                f"there is no {errand.address}; its authors may have moved it: see {entry.page}"
            ) from error
        said = (str(error).strip() or "no reason given").splitlines()[0]
        raise FetchFailed(
            f"{errand.address} could not be fetched ({type(error).__name__}: {said}). What has "
            f"come is kept, and {errand.again} goes on from there; or\n"
            f"{by_hand(entry, errand.folder)}"
        ) from error


def _endpoint() -> str | None:
    """The hub to ask; read anew, so that it may be set after huggingface_hub was imported."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


def _is_offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def _check_room(errands: list[_Errand]) -> None:
    missing = sum(errand.file.bytes or 0 for errand in errands if not errand.target.is_file())
    folder, name = errands[0].folder, errands[0].entry.name
    free = shutil.disk_usage(folder).free
    if missing > free:
        raise FetchFailed(
            f"'{name}' needs {missing:,} bytes more, {shown(folder)} has room for {free:,}; make "
            "room, or name another folder in NUTHATCH_WEIGHTS"
        )


def _git_id(file: Path) -> str:
    """What git calls a file of this content: the hub's hash of files that are not large."""
    content = file.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _host(address: str) -> str:
    return urlsplit(address).netloc


def _write(path: Path, value: object) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    os.replace(part, path)
