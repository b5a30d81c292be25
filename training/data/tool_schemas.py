"""Schemas of all tools of the catalogue: those that exist, and those still to come.

A tool to come is written here as it will be called and as it will answer, so that the planner
knows it from the start; when the tool itself arrives, its entry here goes.
"""

from functools import cache
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from nuthatch.tools.base import Arguments, AudioRef, DetectionRef, ImageRef, MaskRef
from nuthatch.tools.catalogue import default_tools
from nuthatch.tools.geometry import Box
from nuthatch.tools.regions import REGION, Region


class GroundArgs(Arguments):
    image: ImageRef
    phrases: list[str] = Field(min_length=1, max_length=64, description="noun phrases of a text")


class PhraseLink(BaseModel):
    phrase: str
    detections: list[str]  # handles; empty: nothing fits


class Grounded(BaseModel):
    links: list[PhraseLink]


class DescribeArgs(Arguments):
    image: ImageRef


class Description(BaseModel):
    tags: list[str]
    attributes: list[str]
    captions: list[str]


class CaptionManyArgs(Arguments):
    image: ImageRef
    n: int = Field(5, ge=1, le=50)
    seed: int = Field(0, ge=0)


class Captions(BaseModel):
    captions: list[str]


class ReadTextArgs(Arguments):
    image: ImageRef
    region: Region | None = REGION


class Line(BaseModel):
    text: str
    score: float
    box: Box


class Lines(BaseModel):
    lines: list[Line]


class TranscribeArgs(Arguments):
    audio: AudioRef
    language: str | None = Field(None, description="what is spoken; default: found out")


class Segment(BaseModel):
    start: float  # seconds
    end: float
    text: str


class Transcript(BaseModel):
    language: str
    segments: list[Segment]


class GenerateImageArgs(Arguments):
    prompt: str = Field(min_length=1, max_length=1000)
    width: int | None = Field(None, ge=64, le=1536)
    height: int | None = Field(None, ge=64, le=1536)
    seed: int | None = Field(None, ge=0)
    n: int = Field(1, ge=1, le=4)


class GeneratedImages(BaseModel):
    images: list[str]  # handles
    seed: int


class EditImageArgs(Arguments):
    image: ImageRef
    mask: MaskRef | None = None
    detection: DetectionRef | None = None
    prompt: str = Field(min_length=1, max_length=1000)
    seed: int | None = Field(None, ge=0)


class Reply(BaseModel):
    """The result of any other tool: whatever fields it has."""

    model_config = ConfigDict(extra="allow")


class Planned(NamedTuple):
    """A tool to come."""

    name: str
    description: str
    arguments: type[BaseModel]


PLANNED = (
    Planned("ground", "Link phrases of a text to the objects they mean in a picture.", GroundArgs),
    Planned("describe", "Collect tags, attributes and captions of a picture.", DescribeArgs),
    Planned("caption_many", "Write several different captions of a picture.", CaptionManyArgs),
    Planned("read_text", "Read the text that is written in a picture.", ReadTextArgs),
    Planned("transcribe", "Write down what is said in a recording.", TranscribeArgs),
    Planned("generate_image", "Make new pictures from a description.", GenerateImageArgs),
    Planned("edit_image", "Repaint a part of a picture after a description.", EditImageArgs),
)

Schema = dict[str, Any]


@cache
def schemas() -> dict[str, Schema]:
    """Tool name -> `{name, description, parameters}`, all tools of the catalogue."""
    there = {schema["name"]: schema for schema in default_tools().schemas()}
    coming = {
        tool.name: {
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.arguments.model_json_schema(),
        }
        for tool in PLANNED
    }
    return coming | there
