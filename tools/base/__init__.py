"""What a tool is: typed arguments, a typed result, functions as tools, and sets of tools.

The names that a tool's author needs are here; the modules hold the rest.
"""

from nuthatch.tools.base.tool import FOR_PEOPLE as FOR_PEOPLE
from nuthatch.tools.base.tool import QUOTED as QUOTED
from nuthatch.tools.base.tool import Arguments as Arguments
from nuthatch.tools.base.tool import AudioRef as AudioRef
from nuthatch.tools.base.tool import Context as Context
from nuthatch.tools.base.tool import DetectionRef as DetectionRef
from nuthatch.tools.base.tool import DetectionSet as DetectionSet
from nuthatch.tools.base.tool import ImageRef as ImageRef
from nuthatch.tools.base.tool import Label as Label
from nuthatch.tools.base.tool import MaskRef as MaskRef
from nuthatch.tools.base.tool import Provenance as Provenance
from nuthatch.tools.base.tool import Quoted as Quoted
from nuthatch.tools.base.tool import Tool as Tool
from nuthatch.tools.base.tool import ToolCall as ToolCall
from nuthatch.tools.base.tool import ToolResult as ToolResult
from nuthatch.tools.base.tool import exactly_one_of as exactly_one_of
