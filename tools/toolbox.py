"""Tools at hand: call them from Python, without an agent, and look at what they found.

    box = Toolbox()
    found = box.run("detect", image="kitchen.png", labels=["cup", "bowl"])
    found.show()
    box.run("segment", image="kitchen.png", detections=[d.handle for d in found.value.detections])

Media may be given as handles, or as what the media store takes in: paths, PIL pictures, arrays.
"""

import itertools
import tempfile
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from PIL import Image
from pydantic import BaseModel

from nuthatch.tools.base.arguments import swap_media
from nuthatch.tools.base.notices import texts
from nuthatch.tools.base.tool import DetectionSet, ToolCall, ToolResult
from nuthatch.tools.base.toolset import ToolLike, ToolSet
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.execution.result_cache import ResultCache
from nuthatch.tools.faults import RetryCall, ToolFault, raised
from nuthatch.tools.media.geometry import Mask
from nuthatch.tools.media.store import Detection, Media, MediaStore
from nuthatch.tools.output import export
from nuthatch.tools.output.overlay import NOTICE_COLOUR, captioned, columns_below, overlay
from nuthatch.tools.output.render import summary
from nuthatch.tools.weights.store import Weights

if TYPE_CHECKING:
    import pandas as pd


class Toolbox:
    """Tools, and the media they work on.

    Args:
        tools: those of the catalogue by default.
        weights: the shipped ones by default.
        store: where media are kept; a folder of the system's temporary ones by default, gone with
            the toolbox.
    """

    def __init__(
        self,
        tools: ToolSet | Iterable[ToolLike] | None = None,
        *,
        weights: Weights | None = None,
        store: MediaStore | None = None,
    ) -> None:
        if tools is None:
            from nuthatch.tools.catalogue import default_tools

            tools = default_tools()
        self.tools = tools if isinstance(tools, ToolSet) else ToolSet(tools)
        if store is None:
            self._folder = tempfile.TemporaryDirectory(prefix="nuthatch-")
            store = MediaStore(Path(self._folder.name))
        self.media = store
        self._executor = ToolExecutor(self.tools, store, weights or Weights(), cache=ResultCache())
        self._numbers = itertools.count(1)

    def run(self, tool: str, **arguments: Any) -> "View":
        """Call one tool.

        Raises:
            RetryCall, ToolUnavailable, ToolFailed: what the tool says. A bug of the tool is a
                `ToolFailed` of code `internal`, with the traceback as its note.
            MediaError: a picture or sound cannot be taken in.
        """
        (found,) = self.run_many([(tool, arguments)])
        if isinstance(found, ToolFault):
            raise found
        return found

    def run_many(self, calls: Iterable[tuple[str, Mapping[str, Any]]]) -> list["View | ToolFault"]:
        """Call several tools at once, given as (name, arguments); of each what it found, or its
        fault. Calls that share a picture or a model share its work where the tool can.

        Raises:
            MediaError: as `run`.
        """
        return [self._view(result) for result in self._executor.run(self._calls(calls))]

    async def arun_many(
        self, calls: Iterable[tuple[str, Mapping[str, Any]]]
    ) -> list["View | ToolFault"]:
        """`run_many` for asynchronous programs, whose loop goes on meanwhile."""
        return [self._view(result) for result in await self._executor.arun(self._calls(calls))]

    def _calls(self, calls: Iterable[tuple[str, Mapping[str, Any]]]) -> list[ToolCall]:
        return [
            ToolCall(f"call_{next(self._numbers)}", name, self._taken_in(name, arguments))
            for name, arguments in calls
        ]

    def _view(self, result: ToolResult) -> "View | ToolFault":
        if result.fault is None:
            return View(result, self.media)
        return raised(result.fault)

    def _taken_in(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments with a handle for each medium."""
        if name not in self.tools:
            return dict(arguments)

        def handle(kind: str, value: Any, path: tuple[str, ...], sure: bool) -> Any:
            if kind not in ("image", "audio") or (isinstance(value, str) and not sure):
                return value
            if isinstance(value, str) and value in self.media.handles():
                return value
            item = self.media.add_image(value) if kind == "image" else self.media.add_audio(value)
            same = [one for one in self.media.items() if one.sha256 == item.sha256]
            return same[0].handle  # a picture that is given again keeps its name

        try:
            return swap_media(self.tools[name].Args, arguments, handle)
        except RecursionError as error:
            raise RetryCall(f"{name}: an argument holds itself, or is nested too deeply") from error


@dataclass(frozen=True, slots=True)
class View:
    """What a tool found, ready to be looked at."""

    result: ToolResult
    media: MediaStore

    @property
    def value(self) -> Any:
        """The tool's result, of its own type."""
        return self.result.value

    def picture(self) -> Image.Image | None:
        """What was found, drawn on the picture it was found in; of new pictures the first.

        None where no picture is concerned.
        """
        made = [item for item in self._made() if item.type == "image"]
        if made:
            return Image.fromarray(self.media.image(made[0].handle))
        pictures = self._pictures()
        if not pictures:
            return None
        shown = pictures[0].handle
        boxes = [
            (found.box, f"{found.label} {found.score:.2f}", None)
            for found in self._detections()
            if found.image == shown
        ]
        drawn = overlay(self.media.image(shown), boxes, list(self._masks().values()))
        if not self.result.notices:
            return drawn
        columns = columns_below(drawn)
        told = [wrap(text, columns) for text in texts(self.result.notices)]
        return captioned(drawn, [(line, 15, NOTICE_COLOUR) for lines in told for line in lines])

    def show(self) -> None:
        """Show it: in a notebook below the cell, elsewhere in a window, or as text."""
        try:
            from IPython import get_ipython
        except ImportError:
            shell = None
        else:
            shell = get_ipython()
        if shell is not None:
            from IPython.display import display

            display(self)
            return
        picture = self.picture()
        if picture is None:
            print(self)
        else:
            picture.show()

    def to_pandas(self) -> "pd.DataFrame":
        """A table of the detections, or of the parts of another result's first list.

        Raises:
            ExportNeeds: pandas is not installed.
        """
        if isinstance(self.value, DetectionSet):
            return export.to_pandas(self.value.detections)
        lists = [part for _, part in self.value if isinstance(part, list)]
        parts = [part for each in lists for part in each if isinstance(part, BaseModel)]
        return export.to_pandas(parts or [self.value])

    def to_coco(self) -> dict[str, Any]:
        """COCO's annotations of the detections, with masks where there are any; masks that belong
        to no detection have annotations of their own, of the category `object`."""
        detections, masks = self._detections(), self._masks()
        named = {found.handle for found in detections}
        unnamed = [
            (self.media[handle].parents[0], mask)
            for handle, mask in masks.items()
            if handle not in named
        ]
        return export.to_coco(detections, self._pictures(), masks, unnamed)

    def to_supervision(self) -> Any:
        """The detections as `supervision.Detections`.

        Raises:
            ExportNeeds: supervision is not installed.
        """
        return export.to_supervision(self._detections(), self._masks())

    def __str__(self) -> str:
        told = "".join(f"\nnote: {text}" for text in texts(self.result.notices))
        return f"{self.result.call.tool}: {summary(self.result)}{told}"

    def _repr_html_(self) -> str:
        picture = self.picture()
        said = f"<p>{escape(str(self))}</p>"
        if picture is None:
            return said
        file = BytesIO()
        picture.save(file, "PNG")
        encoded = b64encode(file.getvalue()).decode("ascii")
        return f'<img alt="{escape(str(self))}" src="data:image/png;base64,{encoded}">{said}'

    def _pictures(self) -> list[Media]:
        """The pictures that were asked about, in order."""
        asked = self.result.provenance.inputs if self.result.provenance else {}
        named = [self.media[handle] for handle in asked]
        return [item for item in named if item.type == "image"]

    def _detections(self) -> list[Detection]:
        """Those of the result; those that were asked about, where it has none."""
        found = list(getattr(self.value, "detections", ()))
        if found or self.result.provenance is None:
            return found
        asked = self.result.provenance.parameters.get("detections") or ()
        return [each for handle in asked for each in self.media.detections(handle)]

    def _masks(self) -> dict[str, Mask]:
        """Masks of the result: by the detection each belongs to, else by their own handles."""
        masks = [item for item in self._made() if item.type == "mask"]
        detections = self._detections()
        names = (
            [found.handle for found in detections]
            if len(detections) == len(masks)
            else [item.handle for item in masks]
        )
        return {name: self.media.mask(item.handle) for name, item in zip(names, masks, strict=True)}

    def _made(self) -> list[Media]:
        """Media that the call made."""
        return [item for item in self.media.items() if item.made_by == self.result.call.id]
