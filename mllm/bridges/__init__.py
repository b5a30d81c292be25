"""Bridges: from an encoder's features to vectors for the language model."""
