"""Tagging: labels and attributes of pictures (CLIP, LENS)."""
