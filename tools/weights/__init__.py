"""Weights: where models lie, how they are fetched and checked, loaded once and evicted."""

from nuthatch.deprecated import renamed

__getattr__ = renamed(__name__)
