"""Open-vocabulary object detection (GroundingDINO, and the heatmap detector)."""
