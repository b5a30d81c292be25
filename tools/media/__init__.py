"""Media: reading pictures, sounds and videos, and the store that names them by content."""

from nuthatch.deprecated import renamed

__getattr__ = renamed(__name__)
