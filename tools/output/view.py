"""What a tool found, ready to be looked at: as text, drawn, or as other packages' data."""

from base64 import b64encode
from dataclasses import dataclass
from html import escape
from io import BytesIO
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from PIL import Image
from pydantic import BaseModel

from nuthatch.tools.base.notices import texts
from nuthatch.tools.base.tool import DetectionSet, ToolResult
from nuthatch.tools.media.geometry import Mask
from nuthatch.tools.media.ingest import Pixels
from nuthatch.tools.media.store import Detection, Media, MediaStore
from nuthatch.tools.output import export, terminal
from nuthatch.tools.output.overlay import (
    NOTICE_COLOUR,
    LabelledBox,
    captioned,
    columns_below,
    overlay,
)
from nuthatch.tools.output.render import summary

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, repr=False)
class View:
    """What a tool found, ready to be looked at, or to be given to the next tool."""

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
        drawing = self._drawing()
        if drawing is None:
            return None
        pixels, boxes, masks = drawing
        if self._new_pictures():
            return Image.fromarray(pixels)
        drawn = overlay(pixels, boxes, masks)
        if not self.result.notices:
            return drawn
        columns = columns_below(drawn)
        told = [wrap(text, columns) for text in texts(self.result.notices)]
        return captioned(drawn, [(line, 15, NOTICE_COLOUR) for lines in told for line in lines])

    def show(self) -> None:
        """Show it: in a notebook below the cell, in a window where one can be opened, else as
        text. With a picture, the text comes with the path of a PNG file; in a terminal with
        colours the picture is printed too."""
        if _in_notebook():
            from IPython.display import display

            display(self)
            return
        picture, drawing = self.picture(), self._drawing()
        if picture is None or drawing is None:
            print(self)
        elif not terminal.open_window(picture):
            terminal.show(str(self), picture, *drawing, name=self.result.call.tool)

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

    def __repr__(self) -> str:
        return f"<View {self}>"

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

    def _drawing(self) -> tuple[Pixels, list[LabelledBox], list[Mask]] | None:
        """The picture to draw on, boxes and masks; of new pictures the first alone."""
        made = self._new_pictures()
        if made:
            return self.media.image(made[0].handle), [], []
        pictures = self._pictures()
        if not pictures:
            return None
        shown = pictures[0].handle
        boxes: list[LabelledBox] = [
            (found.box, f"{found.label} {found.score:.2f}", None)
            for found in self._detections()
            if found.image == shown
        ]
        return self.media.image(shown), boxes, list(self._masks().values())

    def _new_pictures(self) -> list[Media]:
        return [item for item in self._made() if item.type == "image"]

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


def _in_notebook() -> bool:
    """Whether a notebook's kernel runs this, which shows pictures; not IPython in a terminal."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return hasattr(get_ipython(), "kernel")
