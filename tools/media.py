"""Media are values with identity: a handle names content, the bytes lie once in the store.

Pictures come in upright (EXIF) RGB and sounds as 16 kHz mono float32, through `ingest`; everything
behind that door can rely on it. A video comes in with some of its frames and its sound: a picture
and a sound like any other, which know where they are from. A blob's name is the sha256 of its
file, so the same picture is stored once however often it is talked about, and `sha256sum` alone
can check a run.

Handles: `image_1`, `audio_1`, `video_1`, `mask_1` in order of arrival; `detection_2.3` is the
third detection of the second set found. The planner can only name handles that exist.
"""

import hashlib
import io
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin
from pydantic import BaseModel, ConfigDict

from nuthatch.tools.geometry import Box, Mask
from nuthatch.tools.ingest import (
    SAMPLE_RATE,
    AudioSource,
    ImageSource,
    MediaError,
    Pixels,
    Samples,
    encode_wav,
    read_audio,
    read_image,
)
from nuthatch.tools.video import FRAMES, VideoSource, read_video

MediaKind = Literal["image", "audio", "video", "mask"]
DECODED_PICTURES = 16
Array = TypeVar("Array", bound=NDArray[Any])


class Media(BaseModel):
    """One picture, sound, video or mask of a talk: its handle, its content's name, its origin."""

    model_config = ConfigDict(frozen=True)

    handle: str
    type: MediaKind
    sha256: str
    path: Path
    width: int | None = None
    height: int | None = None
    seconds: float | None = None
    frames: int | None = None  # of a video
    video: str | None = None  # the handle of the video that this is a frame or the sound of
    time: float | None = None  # of a frame: when it is shown, in seconds
    made_by: str | None = None  # call id; None for what the user gave
    parents: tuple[str, ...] = ()
    note: str | None = None  # what was changed at the door, e.g. "first of 12 frames"

    @property
    def size(self) -> str:
        """For people: `640x480`, `3.0 s`, or of a video both."""
        sides = [] if self.width is None else [f"{self.width}x{self.height}"]
        return ", ".join(sides if self.seconds is None else [*sides, f"{self.seconds:.1f} s"])

    @property
    def origin(self) -> str | None:
        """What of a video this is: `1.50 s of video_1`, `sound of video_1`; None: of none."""
        if self.video is None:
            return None
        return f"{'sound' if self.time is None else f'{self.time:.2f} s'} of {self.video}"


class Detection(BaseModel):
    """Something found in a picture; `handle` is given when it enters the store."""

    model_config = ConfigDict(frozen=True)

    handle: str = ""
    image: str
    label: str
    score: float
    score_kind: str
    box: Box


class MediaStore:
    """The media of one talk. Blobs lie under `root/blobs`, named by their sha256.

    Thread-safe: tools of one turn run side by side.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.blobs = self.root / "blobs"
        self._items: dict[str, Media] = {}
        self._detections: dict[str, list[Detection]] = {}
        self._pixels: dict[str, Pixels] = {}
        self._samples: dict[str, Samples] = {}
        self._lock = threading.RLock()

    # -- what is here ---------------------------------------------------------------------------

    def handles(self, kind: MediaKind | Literal["detection"] | None = None) -> list[str]:
        """Live handles in order of arrival, of one kind or of all."""
        with self._lock:  # other threads may be adding
            items, groups = list(self._items.values()), dict(self._detections)
        found = [item.handle for item in items if kind in (None, item.type)]
        if kind in (None, "detection"):
            for group, members in groups.items():
                found += [group, *(member.handle for member in members)] if members else []
        return found

    def items(self) -> list[Media]:
        return list(self._items.values())

    def __getitem__(self, handle: str) -> Media:
        if handle in self._items:
            return self._items[handle]
        raise MediaError("asset_not_found", self._unknown(handle))

    def image(self, handle: str) -> Pixels:
        """The upright picture as (height, width, 3) uint8 RGB; read-only.

        Raises:
            MediaError: no such handle, or the handle is no picture.
        """
        item = self._of_kind(handle, "image")
        with self._lock:
            if item.sha256 not in self._pixels:
                with Image.open(item.path) as picture:
                    self._keep(item.sha256, np.asarray(picture.convert("RGB")))
            return self._pixels[item.sha256]

    def audio(self, handle: str) -> Samples:
        """The sound as (samples,) float32 mono at 16 kHz, -1 to 1; read-only.

        Raises:
            MediaError: no such handle, or the handle is no sound.
        """
        item = self._of_kind(handle, "audio")
        with self._lock:
            if item.sha256 not in self._samples:
                samples = np.frombuffer(item.path.read_bytes()[44:], dtype="<i2")
                self._samples[item.sha256] = _frozen(samples.astype(np.float32) / 32768.0)
            return self._samples[item.sha256]

    def mask(self, handle: str) -> Mask:
        """The mask behind a handle.

        Raises:
            MediaError: no such handle, or the handle is no mask.
        """
        item = self._of_kind(handle, "mask")
        return Mask.model_validate_json(item.path.read_bytes())

    def detection(self, handle: str) -> Detection:
        """One detection by its handle, e.g. `detection_1.2`.

        Raises:
            MediaError: no such detection.
        """
        for found in self._detections.get(handle.split(".")[0], ()):
            if found.handle == handle:
                return found
        raise MediaError("asset_not_found", self._unknown(handle))

    def detections(self, handle: str) -> list[Detection]:
        """A whole set (`detection_1`) or the one (`detection_1.2`) that a handle names.

        Raises:
            MediaError: no such set or detection.
        """
        if handle in self._detections:
            return self._detections[handle]
        return [self.detection(handle)]

    def frame(self, handle: str) -> Media | None:
        """The frame of a video that a picture is, or was cut from; None if it is of no video."""
        item = self._items.get(handle)
        if item is None or item.time is not None:
            return item
        origins = (self.frame(parent) for parent in item.parents)
        return next((frame for frame in origins if frame is not None), None)

    # -- what comes in --------------------------------------------------------------------------

    def add_image(
        self,
        source: ImageSource,
        *,
        made_by: str | None = None,
        parents: tuple[str, ...] = (),
        texts: Mapping[str, str] = MappingProxyType({}),
    ) -> Media:
        """Take in a picture: a path, encoded bytes, a PIL image, or (H, W, 3) uint8 RGB.

        `texts` are written into the PNG by their names.

        Raises:
            MediaError: missing, empty, broken, too large or too small; nothing is stored then.
        """
        pixels, note = read_image(source)
        height, width = pixels.shape[:2]
        encoded = io.BytesIO()
        inside = PngImagePlugin.PngInfo()
        for name, text in texts.items():
            inside.add_itxt(name, text)
        Image.fromarray(pixels).save(encoded, "PNG", compress_level=1, pnginfo=inside)
        sha256, path = self._store(encoded.getvalue(), "png")
        with self._lock:
            self._keep(sha256, pixels)
            return self._enter(
                Media(
                    handle=self._next("image"),
                    type="image",
                    sha256=sha256,
                    path=path,
                    width=width,
                    height=height,
                    made_by=made_by,
                    parents=parents,
                    note=note,
                )
            )

    def add_audio(self, source: AudioSource, *, made_by: str | None = None) -> Media:
        """Take in a sound: a path, encoded bytes, 16 kHz samples, or (samples, sample_rate).

        Raises:
            MediaError: missing, empty, broken, not finite or too long; nothing is stored then.
        """
        samples, note = read_audio(source)
        sha256, path = self._store(encode_wav(samples), "wav")
        with self._lock:
            return self._enter(
                Media(
                    handle=self._next("audio"),
                    type="audio",
                    sha256=sha256,
                    path=path,
                    seconds=len(samples) / SAMPLE_RATE,
                    made_by=made_by,
                    note=note,
                )
            )

    def add_video(self, source: VideoSource, *, frames: int = FRAMES) -> list[Media]:
        """Take in a video: a path or the bytes of a file.

        Returns the video, up to `frames` of its frames, spread evenly, and its sound if it has one.

        Raises:
            MediaError: missing, empty, broken, too large or too long, no frame is whole, or PyAV
                is not installed; nothing is stored then.
        """
        clip, sound = read_video(source, frames)
        sha256, path = self._store(source if isinstance(source, bytes) else Path(source), "video")
        with self._lock:
            video = self._enter(
                Media(
                    handle=self._next("video"),
                    type="video",
                    sha256=sha256,
                    path=path,
                    width=clip.width,
                    height=clip.height,
                    seconds=clip.seconds,
                    frames=clip.total,
                    note=clip.note,
                )
            )
            shown = dict(zip(clip.times, clip.frames, strict=True))  # a short video repeats frames
            parts = [self._part(video, self.add_image(each), at) for at, each in shown.items()]
            if sound is not None:
                parts.append(self._part(video, self.add_audio(sound)))
            return [video, *parts]

    def add_mask(self, mask: Mask, *, made_by: str | None, parents: tuple[str, ...]) -> Media:
        """Keep a mask; `parents` names the picture it lies on."""
        sha256, path = self._store(mask.model_dump_json().encode(), "json")
        height, width = mask.size
        with self._lock:
            return self._enter(
                Media(
                    handle=self._next("mask"),
                    type="mask",
                    sha256=sha256,
                    path=path,
                    width=width,
                    height=height,
                    made_by=made_by,
                    parents=parents,
                )
            )

    def reserve_detections(self) -> str:
        """The name of the next set of detections, e.g. `detection_2`; empty until filled.

        Names are reserved when a turn's calls start, so they follow the order of the calls.
        """
        with self._lock:
            group = f"detection_{len(self._detections) + 1}"
            self._detections[group] = []
            return group

    def add_detections(self, group: str, found: list[Detection]) -> list[Detection]:
        """Fill a reserved set; its members become `detection_2.1`, `detection_2.2`, ..."""
        named = [
            item.model_copy(update={"handle": f"{group}.{number}"})
            for number, item in enumerate(found, start=1)
        ]
        with self._lock:
            self._detections[group] = named
        return named

    def restore(self, items: list[Media], groups: dict[str, list[Detection]]) -> None:
        """Take back what a journal recorded, under the handles it had.

        Raises:
            MediaError: a blob is gone.
        """
        for item in items:
            if not item.path.is_file():
                raise MediaError("asset_not_found", f"{item.handle}: its file {item.path} is gone")
            self._items[item.handle] = item
        self._detections.update(groups)

    def __getstate__(self) -> dict[str, Any]:
        """For a tool in a process of its own: all but the lock and what is decoded."""
        return {"root": self.root, "items": self._items, "detections": self._detections}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["root"])  # type: ignore[misc]
        self._items = state["items"]
        self._detections = state["detections"]

    # -- inside ---------------------------------------------------------------------------------

    def _store(self, blob: bytes | Path, suffix: str) -> tuple[str, Path]:
        """Keep bytes, or a copy of a file that need not fit into memory."""
        with blob.open("rb") if isinstance(blob, Path) else io.BytesIO(blob) as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            path = self.blobs / f"{sha256}.{suffix}"
            if not path.is_file():
                self.blobs.mkdir(parents=True, exist_ok=True)
                partial = path.with_suffix(f".{threading.get_ident()}.partial")
                file.seek(0)
                with partial.open("wb") as out:
                    shutil.copyfileobj(file, out)
                partial.replace(path)
        return sha256, path

    def _part(self, video: Media, item: Media, time: float | None = None) -> Media:
        """A picture or sound that is a part of a video, with its lineage."""
        return self._enter(item.model_copy(update={"video": video.handle, "time": time}))

    def _keep(self, sha256: str, pixels: Pixels) -> None:
        """Decoded pictures stay at hand, the latest few; the blob has them all."""
        while len(self._pixels) >= DECODED_PICTURES:
            self._pixels.pop(next(iter(self._pixels)))
        self._pixels[sha256] = _frozen(pixels)

    def _next(self, kind: MediaKind) -> str:
        return f"{kind}_{sum(item.type == kind for item in self._items.values()) + 1}"

    def _enter(self, item: Media) -> Media:
        self._items[item.handle] = item
        return item

    def _of_kind(self, handle: str, kind: MediaKind) -> Media:
        item = self._items.get(handle)
        if item is None or item.type != kind:
            raise MediaError("asset_not_found", self._unknown(handle, kind))
        return item

    def _unknown(self, handle: str, kind: MediaKind | None = None) -> str:
        live = ", ".join(self.handles(kind)) or "none"
        return f"there is no {kind or 'medium'} '{handle}' in this talk; live handles: {live}"


def _frozen(array: Array) -> Array:
    array = array.copy() if not array.flags.owndata else array
    array.flags.writeable = False
    return array
