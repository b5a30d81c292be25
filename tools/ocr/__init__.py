"""Optical character recognition: reading text in pictures (RapidOCR, Tesseract)."""
