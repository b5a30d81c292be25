"""Captioning and questions about regions (BLIP, or the core itself)."""
