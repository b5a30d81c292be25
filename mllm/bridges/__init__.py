"""Bridges: from an encoder's features to a fixed number of vectors for the language model."""
