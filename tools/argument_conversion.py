"""Arguments of tools as Python callers have them, in the form that tools check.

Planners write JSON with handles. Callers of a `Toolbox` have pictures and sounds in any form, what
an earlier call returned, detections, boxes, masks, arrays, and one thing where a list is expected.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set, ValuesView
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from nuthatch.messages import shown
from nuthatch.tools.argument_forms import Form, parameters_of
from nuthatch.tools.base.arguments import swap_media
from nuthatch.tools.base.tool import DetectionSet, ToolResult
from nuthatch.tools.base.toolset import AnyTool
from nuthatch.tools.faults import RetryCall, clipped
from nuthatch.tools.media.geometry import Box, Mask
from nuthatch.tools.media.ingest import MediaError, read_image
from nuthatch.tools.media.store import Detection, Media, MediaStore
from nuthatch.tools.output.view import View

_HANDLE = re.compile(r"(image|audio|video|mask|detection)_\d+(\.\d+)?")
_LISTS = (list, tuple, Set, Iterator, ValuesView, range)
_READ = frozenset({"image", "audio", "mask"})  # kinds that are read from arrays
_INSIDE = 127  # of 255: pixels of a mask that is given as a picture are brighter


def convert(tool: AnyTool, given: Mapping[str, Any], media: MediaStore) -> dict[str, Any]:
    """The arguments as `tool.Args` takes them, with a handle for each medium.

    Pictures and sounds enter the store; what is there already keeps its handle. A picture that is
    needed and not given is that of the detections that are.

    Raises:
        RetryCall: the message says what was given, what is expected, and what to write.
        MediaError: a picture or sound cannot be used.
        RecursionError: an argument holds itself.
    """
    known = parameters_of(tool)
    _check_names(tool, given)
    changed = {
        name: _Converter(media, f"{tool.name}.{name}").value(value, known[name].form)
        for name, value in given.items()
        if name in known
    }
    changed = {**given, **changed}
    _add_image_of_detections(tool, changed, media)
    _add_masks(tool, changed, media)

    def handle(kind: str, value: Any, path: tuple[str, ...], sure: bool) -> Any:
        return _handle(kind, value, media) if sure or not isinstance(value, str) else value

    return swap_media(tool.Args, changed, handle)


def explain(tool: AnyTool, given: Mapping[str, Any], changed: Mapping[str, Any]) -> str:
    """Why a tool does not take these arguments: of the first three faults where, what was given,
    and what is expected; empty if it does take them.

    Args:
        given: as the caller wrote them.
        changed: what `convert` made of them.
    """
    try:
        tool.Args.model_validate(changed)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        names = dict.fromkeys(fault["loc"][:1] for fault in faults)
        lines = [_line(tool, [f for f in faults if f["loc"][:1] == name], given) for name in names]
        return "\n".join(lines[:3])
    return ""


def _line(tool: AnyTool, faults: Sequence[ErrorDetails], given: Mapping[str, Any]) -> str:
    """What is wrong with one argument, or with all together."""
    fault, known = faults[0], parameters_of(tool)
    path = fault["loc"]
    said = ": " + clipped(fault["msg"].removeprefix("Value error, "), 300)
    if fault["type"] == "missing" and len(path) == 1:
        said = " is missing"
    elif (
        len(faults) > 1 and len(path) > 1 and isinstance(path[1], str)
    ):  # of each thing that it may be, why not
        path, said = path[:1], " is none of what it may be"
    said = shown(".".join(map(str, (tool.name, *path)))) + said
    name = str(path[0]) if path else ""
    if name in given:
        said += f"; given {type(given[name]).__name__} {shown(repr(given[name]))}"
    if name in known and known[name].expected:
        said += f"; expected: {known[name].expected}"
    return said


def _check_names(tool: AnyTool, given: Mapping[str, Any]) -> None:
    known = parameters_of(tool)
    for name in given:
        if name not in known and tool.Args.model_config.get("extra") == "forbid":
            near = get_close_matches(str(name), known, n=1)
            hint = f"did you mean '{near[0]}'? it" if near else "it"
            takes = ", ".join(known) or "none"
            raise RetryCall(f"{tool.name} has no argument '{shown(name)}'; {hint} takes: {takes}")


def _add_image_of_detections(tool: AnyTool, changed: dict[str, Any], media: MediaStore) -> None:
    """Give the picture that is needed where detections say which it is."""
    known = parameters_of(tool)
    needed = [name for name, each in known.items() if each.required and "image" in each.form.kinds]
    if len(needed) != 1 or needed[0] in changed:
        return
    handles = [
        handle
        for name, value in changed.items()
        if name in known
        for handle in (value if isinstance(value, list) else [value])
        if isinstance(handle, str) and handle in media.handles("detection")
    ]
    images = {found.image for handle in handles for found in media.detections(handle)}
    if len(images) == 1:
        changed[needed[0]] = images.pop()


def _add_masks(tool: AnyTool, changed: dict[str, Any], media: MediaStore) -> None:
    """Masks that are no handles enter the store, as parts of the picture that is given."""
    known = parameters_of(tool)
    kinds = {name: known[name].form.kinds for name in changed if name in known}
    masks = [name for name, kind in kinds.items() if "mask" in kind]
    if all(changed[name] is None or _names_mask(changed[name], media) for name in masks):
        return
    images = [name for name, kind in kinds.items() if "image" in kind]
    for name in images:
        changed[name] = _handle("image", changed[name], media)
    parents = tuple(changed[name] for name in images)
    for name in masks:
        value = changed[name]
        if value is not None and not _names_mask(value, media):
            mask = value if isinstance(value, Mask) else Mask.of(_inside(value))
            height, width = mask.size
            sizes = [media[handle].size for handle in parents]
            if sizes and f"{width}x{height}" not in sizes:
                raise RetryCall(
                    f"{tool.name}.{name}: given a mask of {width}x{height} pixels; expected one of "
                    f"the picture's size, {sizes[0]}"
                )
            changed[name] = media.add_mask(mask, made_by=None, parents=parents).handle


def _names_mask(value: Any, media: MediaStore) -> bool:
    return isinstance(value, str) and (value in media.handles() or bool(_HANDLE.fullmatch(value)))


def _inside(value: Any) -> Any:
    """A picture of a mask as (height, width) bool: white is inside."""
    pixels, _ = read_image(value, "the mask")
    return pixels[..., 0] > _INSIDE


def _handle(kind: str, value: Any, media: MediaStore) -> Any:
    """The handle of a picture or sound, which enters the store if it is not there."""
    if kind not in ("image", "audio"):
        return value
    if isinstance(value, str):
        if value in media.handles():
            return value
        if _HANDLE.fullmatch(value) and not Path(value).exists():
            here = ", ".join(media.handles(kind)) or "none"  # type: ignore[arg-type]
            raise MediaError(
                "asset_not_found", f"there is no {kind} '{value}' in this toolbox; there is: {here}"
            )
    item = media.add_image(value) if kind == "image" else media.add_audio(value)
    same = next(one for one in media.items() if one.sha256 == item.sha256)
    if same != item:  # it was given before, and keeps its name
        media.discard(item.handle)
    return same.handle


class _Converter:
    """Of one argument; `where` is what messages call it."""

    def __init__(self, media: MediaStore, where: str) -> None:
        self.media = media
        self.where = where

    def value(self, value: Any, form: Form) -> Any:
        if form.items is not None:
            listed = self._listed(value, form)
            if listed is not None:
                return [each for part in listed for each in self._many(part, form.items)]
        if isinstance(value, View | ToolResult | DetectionSet):
            return self._one(self._many(value, form), value, form)
        if isinstance(value, BaseModel):
            return self._object(value, form)
        if form.numbers and isinstance(value, list | tuple):
            return [_plain(each) for each in value]
        return value if form.kinds & _READ else _plain(value)

    def _listed(self, value: Any, form: Form) -> Iterable[Any] | None:
        """The parts of a list; None: it is no list, and need not be one."""
        assert form.items is not None
        if value is None or isinstance(value, Mapping):
            return None
        if _is_array(value):
            is_batch = "image" in form.items.kinds and value.ndim == 4
            if is_batch or not form.items.kinds & _READ:
                value = list(value) if is_batch else _plain(value)
        if not isinstance(value, _LISTS):
            single = isinstance(value, View | ToolResult | DetectionSet)
            return [value] if form.is_list or (single and not form.kinds) else None
        parts = sorted(value, key=repr) if isinstance(value, Set) else list(value)
        if form.items.numbers and parts and all(isinstance(each, int | float) for each in parts):
            return [parts]  # one box or point
        return parts

    def _many(self, value: Any, form: Form) -> list[Any]:
        """What one part of a list stands for: several of a result's, else one."""
        if isinstance(value, View):
            value = value.result
        if isinstance(value, ToolResult):
            return self._of_result(value, form)
        if isinstance(value, DetectionSet):
            return [self._object(each, form) for each in value.detections]
        return [self.value(value, form)]

    def _of_result(self, result: ToolResult, form: Form) -> list[Any]:
        if result.fault is not None:
            raise RetryCall(
                f"{self.where}: given a call of {result.call.tool} that failed: "
                f"{result.fault.message}"
            )
        if "detection" in form.kinds or form.numbers == 4:
            return [self._object(each, form) for each in _detections(result)]
        for kind in ("image", "mask", "audio"):
            if kind in form.kinds:
                return _media_of(result, kind, self.media)
        texts = [part for _, part in result.value or () if isinstance(part, str)]
        return texts if form.text and len(texts) == 1 else [result.value]

    def _one(self, found: list[Any], value: Any, form: Form) -> Any:
        if len(found) == 1:
            return found[0]
        has = f"{len(found)}: {shown(', '.join(map(str, found)))}" if found else "none"
        result = value.result if isinstance(value, View) else value
        is_result = isinstance(result, ToolResult)
        what = f"the result of {result.call.tool}" if is_result else "a set of detections"
        raise RetryCall(
            f"{self.where}: given {what}, which has {has}; expected: {form.expected or 'one value'}"
        )

    def _object(self, value: BaseModel, form: Form) -> Any:
        """One of our own objects where a handle or numbers are expected."""
        if isinstance(value, Detection):
            if "detection" in form.kinds:
                return self._handle_of(value)
            if form.numbers == 4:
                return list(value.box.xyxy)
        if isinstance(value, Box) and form.numbers == 4:
            return list(value.xyxy)
        if isinstance(value, Media) and value.type in form.kinds:
            here = value.handle in self.media.handles()
            same = here and self.media[value.handle].sha256 == value.sha256
            return value.handle if same else value.path
        if isinstance(value, Mask) and "mask" in form.kinds:
            return value
        if form.other or form.text or not (form.kinds or form.numbers):
            return value
        raise RetryCall(
            f"{self.where}: given a {type(value).__name__} ({shown(value)}); expected: "
            f"{form.expected}"
        )

    def _handle_of(self, found: Detection) -> str:
        here = found.handle in self.media.handles("detection")
        if here and self.media.detection(found.handle) == found:
            return found.handle
        box = ", ".join(f"{side:g}" for side in found.box.xyxy)
        raise RetryCall(
            f"{self.where}: given a detection ({shown(found.label)}) that this toolbox did not "
            f"make; give its box, ({box}), where the tool takes boxes, or detect it here again",
            "asset_not_found",
        )


def _detections(result: ToolResult) -> list[Detection]:
    """Those of a result, or of the calls made inside."""
    return result.detections or [each for inner in result.children for each in _detections(inner)]


def _media_of(result: ToolResult, kind: str, media: MediaStore) -> list[str]:
    """Handles of what a call made, or else of what it was asked about."""
    made = [item.handle for item in media.items() if item.made_by == result.call.id]
    asked = result.provenance.inputs if result.provenance else {}
    for handles in (made, asked):
        found = [each for each in handles if each in media.handles(kind)]  # type: ignore[arg-type]
        if found:
            return found
    return []


def _is_array(value: Any) -> bool:
    """Of numpy, torch, pandas and the like, with at least one axis."""
    return getattr(value, "ndim", 0) > 0 and hasattr(value, "__array__")


def _plain(value: Any) -> Any:
    """Arrays as lists, and their numbers as Python's."""
    if not hasattr(value, "__array__") or isinstance(value, type):
        return value
    return value.tolist() if hasattr(value, "tolist") else np.asarray(value).tolist()
