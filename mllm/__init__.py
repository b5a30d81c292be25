"""Models: encoders, bridges and the multimodal core. Knows nothing of tools or agents."""
