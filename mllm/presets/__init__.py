"""Published systems as the sizes, and chat format of a core; each module is one system."""

from typing import NamedTuple

from nuthatch.mllm.chat_format import ChatFormat
from nuthatch.mllm.config import CoreConfig


class Preset(NamedTuple):
    """What makes a core behave like a published system."""

    config: CoreConfig
    chat: ChatFormat
