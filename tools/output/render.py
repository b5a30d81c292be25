"""One result, two readers: a planner's observation and a person's line. (`overlay` draws.)

The observation is the only text a planner ever sees of a result; training data is written with
the same function. Boxes are whole pixels of the upright original image, as tools take them, with
the picture's size beside them.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from nuthatch.tools.base.tool import ToolResult
from nuthatch.tools.media.geometry import Box
from nuthatch.tools.media.store import Detection, MediaStore

_LEFT_OUT = ("handle", "image", "score_kind")


def observation(result: ToolResult, *, media: MediaStore | None = None, max_items: int = 20) -> str:
    """What a planner reads: `call_1 detect: 2 detections: detection_1.1 cup 0.93 ...`.

    At most `max_items` of any list are written, and how many were left out. `media` gives the
    picture sizes; without it boxes are left out.
    """
    head = f"{result.call.id} {result.call.tool}"
    if result.fault is not None:
        return f"{head} failed ({result.fault.code}): {result.fault.message}"
    assert result.value is not None
    body = [
        f"{name}: {_listing(value, media, max_items)}"
        for name, value in _told(result.value)
        if name not in _LEFT_OUT and not _is_empty(value)
    ]
    return f"{head}: " + ("; ".join(body) if body else "nothing found")


def _told(value: BaseModel) -> Iterator[tuple[str, Any]]:
    """The fields of a result but for those marked `FOR_PEOPLE`."""
    for name, part in value:
        field = type(value).model_fields.get(name)  # a model that allows extra fields has others
        extra = field.json_schema_extra if field else None
        if not (isinstance(extra, dict) and extra.get("x-reader") == "people"):
            yield name, part


def _is_empty(value: Any) -> bool:
    """Nothing to tell; an array cannot be compared with `==`."""
    return value is None or (isinstance(value, (list, tuple)) and not value)


def _listing(value: Any, media: MediaStore | None, max_items: int) -> str:
    if isinstance(value, Detection):
        return _detection(value, media)
    if isinstance(value, (set, frozenset)):
        value = sorted(value, key=str)  # the order of a set differs from process to process
    if isinstance(value, (list, tuple)):
        shown = ", ".join(_listing(item, media, max_items) for item in value[:max_items])
        more = len(value) - max_items
        return f"{shown} (and {more} more)" if more > 0 else shown
    if isinstance(value, dict):
        return ", ".join(f"{k} {_listing(v, media, max_items)}" for k, v in value.items())
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, Box):
        return " ".join(f"{side:.0f}" for side in value.xyxy)
    if isinstance(value, BaseModel):
        parts = (
            _listing(part, media, max_items) for _, part in _told(value) if not _is_empty(part)
        )
        return " ".join(parts)
    return str(value)


def _detection(found: Detection, media: MediaStore | None) -> str:
    text = f"{found.handle} {found.label} {found.score:.2f}"
    if media is None:
        return text
    box = " ".join(f"{side:.0f}" for side in found.box.xyxy)
    return f"{text} at {box} of {media[found.image].size}"


def summary(result: ToolResult) -> str:
    """One line for people, e.g. `3 detections: cup 0.98, cup 0.97, bell 0.91`."""
    if result.fault is not None:
        return result.fault.message
    value = result.value
    if value is None:
        return ""
    in_short = getattr(value, "in_short", None)  # a result that says for itself what to show
    if in_short is not None:
        return str(in_short())
    lists = {name: part for name, part in value if isinstance(part, list)}
    found = lists.get("detections")
    if found is not None and all(isinstance(each, Detection) for each in found):
        names = ", ".join(f"{d.label} {d.score:.2f}" for d in found[:6])
        more = f", and {len(found) - 6} more" if len(found) > 6 else ""
        plural = "" if len(found) == 1 else "s"
        return f"{len(found)} detection{plural}: {names}{more}" if found else "nothing found"
    body = "; ".join(
        f"{name} {_listing(part, None, 4)}"
        for name, part in _told(value)
        if name not in _LEFT_OUT and not _is_empty(part)
    )
    return (body[:157] + "...") if len(body) > 160 else body or "nothing found"
