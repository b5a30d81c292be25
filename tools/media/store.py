"""Media are values with identity: a handle names content, the bytes lie once in the store.

What the user gives is kept as it is: a blob's name is the sha256 of its file, so the same file is
stored once however often it is talked about, and `sha256sum` alone can check a run. What is made
here, or given as an array, is kept as PNG or WAV, without metadata. Whatever reads media gets
upright (EXIF) RGB and 16 kHz mono, through `ingest`. A video comes in with some of its frames and
its sound: a picture and a sound like any other, which know where they are from.

Handles: `image_1`, `audio_1`, `video_1`, `mask_1` in order of arrival; `detection_2.3` is the
third detection of the second set found. The planner can only name handles that exist.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from nuthatch.messages import shown
from nuthatch.tools.media.blobs import (
    Blobs,
    encode_png,
    read_mask,
    read_pixels,
    read_samples,
    suffix_of,
)
from nuthatch.tools.media.geometry import Box, Mask
from nuthatch.tools.media.ingest import (
    SAMPLE_RATE,
    AudioSource,
    ImageSource,
    MediaError,
    Pixels,
    Samples,
    encode_wav,
    read_audio,
    read_file,
    read_image,
)
from nuthatch.tools.media.sources import is_file
from nuthatch.tools.media.video import FRAMES, VideoSource, read_video, video_file

MediaKind = Literal["image", "audio", "video", "mask"]
DECODED_BYTES = 256 * 2**20
"""What decoded pictures and sounds may take of memory; the latest one is always kept."""
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
        self._blobs = Blobs(self.root)
        self.blobs = self._blobs.folder
        self._items: dict[str, Media] = {}
        self._detections: dict[str, list[Detection]] = {}
        self._decoded: OrderedDict[tuple[MediaKind, str], NDArray[Any]] = OrderedDict()
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
            MediaError: no such handle, or the handle is no picture, or its file is gone or damaged.
        """
        return self._read(self._of_kind(handle, "image"), read_pixels)

    def audio(self, handle: str) -> Samples:
        """The sound as (samples,) float32 mono at 16 kHz, -1 to 1; read-only.

        Raises:
            MediaError: no such handle, or the handle is no sound, or its file is gone or damaged.
        """
        return self._read(self._of_kind(handle, "audio"), read_samples)

    def mask(self, handle: str) -> Mask:
        """The mask behind a handle.

        Raises:
            MediaError: no such handle, or the handle is no mask, or its file is gone or damaged.
        """
        return read_mask(self._of_kind(handle, "mask").path)

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

        A user's file is kept as it is. Any other picture is kept as PNG, with `texts` by their
        names and nothing else in it.

        Raises:
            MediaError: missing, empty, broken, too large or too small; nothing is stored then.
            StoreError: it cannot be written.
        """
        if made_by is None and not texts and is_file(source):
            name, content = read_file(source, "the picture")
            pixels, note = read_image(content, name)
            ending = suffix_of(content, "image")
        else:
            pixels, note = read_image(source)
            pixels = pixels.copy() if isinstance(source, np.ndarray) else pixels  # it is the user's
            content, ending = encode_png(pixels, texts), "png"
        sha256, path = self._blobs.store(content, ending)
        height, width = pixels.shape[:2]
        with self._lock:
            self._keep("image", sha256, pixels)
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

        A user's file is kept as it is, samples as a 16-bit WAV.

        Raises:
            MediaError: missing, empty, broken, not finite or too long; nothing is stored then.
            StoreError: it cannot be written.
        """
        if made_by is None and is_file(source):
            name, content = read_file(source, "the sound")
            samples, note = read_audio(content, name)
            ending = suffix_of(content, "sound")
        else:
            samples, note = read_audio(source)
            content, ending = encode_wav(samples), "wav"
        sha256, path = self._blobs.store(content, ending)
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
        """Take in a video: a path, bytes, an open binary file or a `data:` address.

        Returns the video, up to `frames` of its frames, spread evenly, and its sound if it has one;
        a sound file is a video without frames.

        Raises:
            MediaError: missing, empty, broken, too large or too long, no frame is whole, or PyAV
                is not installed; nothing is stored then.
            StoreError: it cannot be written.
        """
        file = video_file(source)
        clip, sound = read_video(file, frames)
        sha256, path = self._blobs.store(file, "video")
        with self._lock:
            video = self._enter(
                Media(
                    handle=self._next("video"),
                    type="video",
                    sha256=sha256,
                    path=path,
                    width=clip.width or None,
                    height=clip.height or None,
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
        """Keep a mask; `parents` names the picture it lies on.

        Raises:
            StoreError: it cannot be written.
        """
        sha256, path = self._blobs.store(mask.model_dump_json().encode(), "json")
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

    def discard(self, handle: str) -> None:
        """Forget a medium that nothing refers to; its blob stays."""
        with self._lock:
            self._items.pop(handle, None)

    def restore(self, items: list[Media], groups: dict[str, list[Detection]]) -> None:
        """Take back what a journal recorded, under the handles it had.

        Raises:
            MediaError: a blob is gone.
        """
        for item in items:
            if not item.path.is_file():
                raise MediaError(
                    "asset_not_found", f"{item.handle}: its file {shown(item.path)} is gone"
                )
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

    def _part(self, video: Media, item: Media, time: float | None = None) -> Media:
        """A picture or sound that is a part of a video, with its lineage."""
        return self._enter(item.model_copy(update={"video": video.handle, "time": time}))

    def _read(self, item: Media, read: Callable[[Path], Array]) -> Array:
        with self._lock:
            kept = self._decoded.get((item.type, item.sha256))
            if kept is None:
                kept = self._keep(item.type, item.sha256, read(item.path))
            self._decoded.move_to_end((item.type, item.sha256))
            return cast(Array, kept)

    def _keep(self, kind: MediaKind, sha256: str, decoded: NDArray[Any]) -> NDArray[Any]:
        """What is decoded stays at hand, the latest within `DECODED_BYTES`; the blob has it all."""
        decoded.flags.writeable = False
        self._decoded[kind, sha256] = decoded
        while len(self._decoded) > 1 and self._bytes() > DECODED_BYTES:
            self._decoded.popitem(last=False)
        return decoded

    def _bytes(self) -> int:
        return sum(array.nbytes for array in self._decoded.values())

    def _next(self, kind: MediaKind) -> str:
        numbers = (int(name.rpartition("_")[2]) for name in self.handles(kind))
        return f"{kind}_{max(numbers, default=0) + 1}"

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
        return (
            f"there is no {kind or 'medium'} '{shown(handle)}' in this talk; live handles: {live}"
        )
