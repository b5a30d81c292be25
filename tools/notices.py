"""Notices: what a user must know about a result as a whole, in plain words."""

from pydantic import BaseModel, ConfigDict


class Notice(BaseModel):
    """One thing to know, such as that the models here do not know pictures of this kind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str  # for machines, e.g. "domain.outside"
    text: str
    about: str | None = None  # the handle of the picture or sound that it is about
