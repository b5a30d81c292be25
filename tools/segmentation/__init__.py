"""Segmentation: masks of detections, points and boxes, and of everything in a picture (SAM)."""
