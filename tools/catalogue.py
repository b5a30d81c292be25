"""The tools in sets: those of the shipped planner, and all there are."""

from nuthatch.tools.ask_region import AskRegion
from nuthatch.tools.calculate import Calculate
from nuthatch.tools.caption import CaptionPicture
from nuthatch.tools.caption_many import CaptionMany
from nuthatch.tools.crop import CropPicture
from nuthatch.tools.describe import Describe
from nuthatch.tools.describe_attributes import DescribeAttributes
from nuthatch.tools.detect import Detect
from nuthatch.tools.edit_image import EditImage
from nuthatch.tools.generate_image import GenerateImage
from nuthatch.tools.ground import Ground
from nuthatch.tools.locate_sound_source import LocateSoundSource
from nuthatch.tools.measure import Measure
from nuthatch.tools.read_text import ReadText
from nuthatch.tools.segment import Segment
from nuthatch.tools.segment_everything import SegmentEverything
from nuthatch.tools.tag import TagPicture
from nuthatch.tools.tag_sound import TagSound
from nuthatch.tools.toolset import ToolSet
from nuthatch.tools.transcribe import Transcribe
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
            Transcribe(),
            LocateSoundSource(),
            Measure(),
            CropPicture(),
            Calculate(),
            VerifyAnswer(),
            CorrectAnswer(),
            ReadText(),
        ]
    )


def all_tools() -> ToolSet:
    """The default tools and those that need weights or programs which do not ship, or that the
    shipped planner was not measured with; what cannot work here says so when it is called."""
    return default_tools().with_tools(
        Ground(),
        CaptionMany(),
        Describe(),
        SegmentEverything(),
        GenerateImage(),
        EditImage(),
    )
