"""Encoders: from pixels and sound to features."""
