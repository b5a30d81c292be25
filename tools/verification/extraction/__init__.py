"""Extraction: the claims that a text makes."""
