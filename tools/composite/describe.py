"""Tell a picture in words, for language models that cannot see: `describe`."""

from typing import Any

from pydantic import BaseModel

from nuthatch.tools.base.tool import Arguments, Context, ImageRef, Tool
from nuthatch.tools.captioning.caption import Caption
from nuthatch.tools.captioning.caption_many import Captions, DrawnCaption
from nuthatch.tools.captioning.captioner import serving_captions
from nuthatch.tools.detection.detect import Found
from nuthatch.tools.faults import RetryCall, ToolFault, ToolUnavailable
from nuthatch.tools.tagging.describe_attributes import Attributes, ObjectAttribute
from nuthatch.tools.tagging.lens import Contrastive, Mode, prompt
from nuthatch.tools.tagging.tag import Tag, Tags
from nuthatch.tools.weights.store import Weights

LIKELY = 0.8
"""Lowest probability that is told, of a tagger that gives probabilities."""
CLOSELY = 8
"""Detections that are looked at closely."""


class DescribeArgs(Arguments):
    image: ImageRef


class Description(BaseModel):
    """What a picture shows, in words; each list best first."""

    tags: list[Tag] = []
    attributes: list[ObjectAttribute] = []
    caption: str = ""  # the likeliest one
    captions: list[DrawnCaption] = []
    score_kind: str = ""  # of tags and attributes
    missing: list[str] = []  # tools that could not work here

    def prompt(self, question: str, mode: Mode = "all") -> str:
        """What any language model reads to answer a question about the picture; see `lens.prompt`.

        Raises:
            ValueError: no such mode, or a blank question.
        """
        drawn = [each.text for each in self.captions]
        return prompt(
            question,
            tags=[each.label for each in self.tags],
            attributes=[_phrase(each) for each in self.attributes],
            captions=list(dict.fromkeys([self.caption, *drawn])),
            mode=mode,
        )


class Describe(Tool[DescribeArgs, Description]):
    """Collect tags, attributes and captions of a picture.

    The chain of LENS (arXiv:2306.16410), by `tag`, `describe_attributes`, `caption` and
    `caption_many`, each with its own settings and back end. Where the tagger judges regions only,
    what it names is located first, and looked at closely. What one of these cannot do here is left
    out, and said in `missing`.

    Args:
        tags, attributes, captions: how many of each at most.
        seed: of the captions that are drawn.

    Raises:
        ToolUnavailable: none of them can work here.
    """

    name = "describe"
    timeout = 180.0
    weights = ("tag", "detect", "caption", "core")
    taint = ("caption", "captions")
    Args = DescribeArgs
    Result = Description

    def __init__(
        self, *, tags: int = 5, attributes: int = 5, captions: int = 10, seed: int = 0
    ) -> None:
        self.tags, self.attributes, self.captions = tags, attributes, captions
        self.seed = seed

    def lack(self, weights: Weights) -> str:
        """As long as there are tags or a caption, there is something to tell."""
        lacks = [weights.lack("tag"), weights.lack(serving_captions(weights))]
        return "; ".join(lacks) if all(lacks) else ""

    def run(self, args: DescribeArgs, context: Context) -> Description:
        chain = _Chain(args.image, context)
        told = Description()
        tags: Tags | None = chain.call("tag", top_k=self.tags)
        if tags is not None:
            told.score_kind = tags.score_kind
            if isinstance(context.weights.get("tag"), Contrastive):
                told.tags = tags.tags
                found: Attributes | None = chain.call("describe_attributes", top_k=self.attributes)
                told.attributes = found.pairs if found else []
            else:
                told.tags = [each for each in tags.tags if each.score >= LIKELY]
                told.attributes = chain.tinted(told.tags)[: self.attributes]
        caption: Caption | None = chain.call("caption")
        drawn: Captions | None = chain.call("caption_many", n=self.captions, seed=self.seed)
        told.caption = caption.caption if caption else ""
        told.captions = drawn.captions if drawn else []
        told.missing = list(chain.lacking)
        if tags is None and caption is None and drawn is None:
            faults = list(chain.lacking.values())
            why = "; ".join(fault.message for fault in faults)
            ran_out = any(fault.code == "out_of_memory" for fault in faults)
            raise ToolUnavailable(
                f"nothing here can describe a picture: {why}",
                "out_of_memory" if ran_out else "weights_missing",
            )
        return told


class _Chain:
    """Calls of other tools on one picture; those that cannot work here are noted."""

    def __init__(self, image: str, context: Context) -> None:
        self.image = image
        self.context = context
        self.lacking: dict[str, ToolFault] = {}  # tool -> why

    def call(self, tool: str, **arguments: object) -> Any:
        """The tool's result, or None."""
        try:
            return self.context.call(tool, image=self.image, **arguments)
        except (ToolUnavailable, RetryCall) as fault:
            if isinstance(fault, RetryCall) and fault.code != "unknown_tool":
                raise
            self.lacking[tool] = fault
            return None

    def tinted(self, tags: list[Tag]) -> list[ObjectAttribute]:
        """What is tagged and has a tint, found and looked at one by one; best first."""
        if not tags:
            return []
        found: Found | None = self.call("detect", labels=[each.label for each in tags])
        best: dict[tuple[str, str], float] = {}
        for each in found.detections[:CLOSELY] if found else ():
            look: Attributes | None = self.call("describe_attributes", region=each.handle, top_k=1)
            if look is None:
                break
            tint = look.tints[0]
            if look.objects[0].word == each.label and tint.word != "plain" and tint.score >= LIKELY:
                pair = (each.label, tint.word)
                best[pair] = max(tint.score, best.get(pair, 0.0))
        return [
            ObjectAttribute(object=thing, attribute=tint, score=score)
            for (thing, tint), score in sorted(best.items(), key=lambda item: -item[1])
        ]


def _phrase(each: ObjectAttribute) -> str:
    return f"{each.object}: {each.attribute}"
