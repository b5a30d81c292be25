"""Domain checks: whether a model was trained and measured on inputs of this kind."""

from nuthatch.deprecated import renamed

__getattr__ = renamed(__name__)
