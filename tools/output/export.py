"""What tools found, in the forms of other packages: tables, COCO annotations, supervision.

Boxes leave as x1 y1 x2 y2 in pixels of the upright original image, right and bottom exclusive,
except in COCO's files, which hold x y width height.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel

from nuthatch.tools.media.geometry import Mask
from nuthatch.tools.media.store import Detection, Media

if TYPE_CHECKING:
    import pandas as pd

TABLE = ("handle", "image", "label", "score", "score_kind", "x1", "y1", "x2", "y2")

UNNAMED = "object"
"""COCO's category of masks that belong to no detection."""


class ExportNeeds(ImportError):
    """A package that only this form needs is missing; the message says which."""


def to_pandas(found: Iterable[BaseModel]) -> "pd.DataFrame":
    """A row for each part of a result; of a detection the columns of `TABLE`.

    Raises:
        ExportNeeds: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise ExportNeeds("a table needs pandas: pip install pandas") from error
    rows = []
    for part in found:
        row = part.model_dump(mode="json")
        box = row.pop("box", None)
        rows.append(row | box if isinstance(box, dict) else row)
    columns = list(TABLE) if not rows else None
    return pd.DataFrame(rows, columns=columns)


def to_coco(
    detections: Sequence[Detection],
    images: Sequence[Media],
    masks: Mapping[str, Mask] | None = None,
    unnamed: Sequence[tuple[str, Mask]] = (),
) -> dict[str, Any]:
    """COCO's annotation file as a dict for `json.dump`; `pycocotools` loads it as ground truth.

    Args:
        detections: of these pictures.
        images: in the order of their ids, from 1.
        masks: of detections that have one, by their handles.
        unnamed: masks of things that nobody named, each with its picture's handle; they are of the
            category `UNNAMED`. Empty ones are left out: they have no box.
    """
    number = {item.handle: index for index, item in enumerate(images, start=1)}
    outlined = [(image, mask, box) for image, mask in unnamed if (box := mask.box()) is not None]
    labels = list(dict.fromkeys(found.label for found in detections))
    if outlined and UNNAMED not in labels:
        labels.append(UNNAMED)
    annotations = []
    for index, found in enumerate(detections, start=1):
        box = found.box
        annotation: dict[str, Any] = {
            "id": index,
            "image_id": number[found.image],
            "category_id": labels.index(found.label) + 1,
            "bbox": [box.x1, box.y1, box.width, box.height],
            "area": box.area,
            "iscrowd": 0,
            "score": found.score,
        }
        mask = (masks or {}).get(found.handle)
        if mask is not None:
            annotation |= _segmentation(mask)
        annotations.append(annotation)
    for index, (image, mask, box) in enumerate(outlined, start=len(annotations) + 1):
        annotation = {
            "id": index,
            "image_id": number[image],
            "category_id": labels.index(UNNAMED) + 1,
            "bbox": [box.x1, box.y1, box.width, box.height],
            "iscrowd": 0,
        }
        annotations.append(annotation | _segmentation(mask))
    return {
        "info": {"description": "made with nuthatch"},
        "images": [
            {
                "id": number[item.handle],
                "file_name": item.path.name,
                "width": item.width,
                "height": item.height,
            }
            for item in images
        ],
        "annotations": annotations,
        "categories": [{"id": index, "name": name} for index, name in enumerate(labels, start=1)],
    }


def _segmentation(mask: Mask) -> dict[str, Any]:
    return {
        "segmentation": {"size": list(mask.size), "counts": mask.counts},
        "area": mask.area,
    }


def to_supervision(detections: Sequence[Detection], masks: Mapping[str, Mask] | None = None) -> Any:
    """`supervision.Detections`, of its current release or of one before it had `data`.

    Labels are numbered in order of appearance (`class_id`); where there is `data`, their names lie
    under `class_name`. Masks are given if every detection has one.

    Raises:
        ExportNeeds: supervision is not installed.
    """
    try:
        import supervision
    except ImportError as error:
        raise ExportNeeds("this needs supervision: pip install supervision") from error
    labels = list(dict.fromkeys(found.label for found in detections))
    known = [(masks or {}).get(found.handle) for found in detections]
    whole = [mask.numpy() for mask in known if mask is not None]
    fields: dict[str, Any] = {
        "xyxy": np.array([found.box.xyxy for found in detections], np.float32).reshape(-1, 4),
        "confidence": np.array([found.score for found in detections], np.float32),
        "class_id": np.array([labels.index(found.label) for found in detections], int),
    }
    if whole and len(whole) == len(detections):
        fields["mask"] = np.stack(whole)
    if "data" in supervision.Detections.__dataclass_fields__:
        names = np.array([found.label for found in detections], dtype=str)
        fields["data"] = {"class_name": names}
    return supervision.Detections(**fields)
