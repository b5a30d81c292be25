"""Published systems as the sizes, chat format and quirk of a core; each module is one system."""

from typing import NamedTuple

from nuthatch.mllm.chat_format import ChatFormat
from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.layout import Quirk


class Preset(NamedTuple):
    """What makes a core behave like a published system."""

    config: CoreConfig
    chat: ChatFormat
    quirk: Quirk | None = None
    """How its released code lays out a batch, for those who ask for the published behaviour."""
