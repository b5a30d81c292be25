"""Notices: what a user must know about a result as a whole, in plain words."""

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict


class Notice(BaseModel):
    """One thing to know, such as that the models here do not know pictures of this kind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str  # for machines, e.g. "domain.outside"
    text: str
    about: str | None = None  # the handle of the picture or sound that it is about


def distinct(notices: Iterable[Notice]) -> list[Notice]:
    """Each notice once, in order."""
    return list(dict.fromkeys(notices))


def texts(notices: Iterable[Notice]) -> list[str]:
    """What to print: each text once, whatever media it is about."""
    return list(dict.fromkeys(notice.text for notice in notices))
