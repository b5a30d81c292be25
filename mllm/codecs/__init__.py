"""Codecs: boxes and points as text that a language model reads and writes."""
