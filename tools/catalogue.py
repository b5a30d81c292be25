"""The tools in sets: those of the shipped planner, and all there are."""

from nuthatch.tools.audio.tag_sound import TagSound
from nuthatch.tools.audio.transcribe import Transcribe
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.basic.calculate import Calculate
from nuthatch.tools.basic.crop import CropPicture
from nuthatch.tools.basic.measure import Measure
from nuthatch.tools.captioning.ask_region import AskRegion
from nuthatch.tools.captioning.caption import CaptionPicture
from nuthatch.tools.captioning.caption_many import CaptionMany
from nuthatch.tools.composite.describe import Describe
from nuthatch.tools.composite.ground import Ground
from nuthatch.tools.composite.locate_sound_source import LocateSoundSource
from nuthatch.tools.detection.detect import Detect
from nuthatch.tools.image_generation.edit_image import EditImage
from nuthatch.tools.image_generation.generate_image import GenerateImage
from nuthatch.tools.ocr.read_text import ReadText
from nuthatch.tools.segmentation.segment import Segment
from nuthatch.tools.segmentation.segment_everything import SegmentEverything
from nuthatch.tools.tagging.describe_attributes import DescribeAttributes
from nuthatch.tools.tagging.tag import TagPicture
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
