"""All tools that work with the shipped weights, in one set."""

from nuthatch.tools.ask_region import AskRegion
from nuthatch.tools.calculate import Calculate
from nuthatch.tools.caption import CaptionPicture
from nuthatch.tools.crop import CropPicture
from nuthatch.tools.describe_attributes import DescribeAttributes
from nuthatch.tools.detect import Detect
from nuthatch.tools.locate_sound_source import LocateSoundSource
from nuthatch.tools.measure import Measure
from nuthatch.tools.segment import Segment
from nuthatch.tools.tag import TagPicture
from nuthatch.tools.tag_sound import TagSound
from nuthatch.tools.toolset import ToolSet
from nuthatch.tools.verification.tools import CorrectAnswer, VerifyAnswer


def default_tools() -> ToolSet:
    """A new set; add your own with `default_tools().with_tools(Mine())`."""
    return ToolSet(
        [
            Detect(),
            Segment(),
            TagPicture(),
            DescribeAttributes(),
            CaptionPicture(),
            AskRegion(),
            TagSound(),
            LocateSoundSource(),
            Measure(),
            CropPicture(),
            Calculate(),
            VerifyAnswer(),
            CorrectAnswer(),
        ]
    )
