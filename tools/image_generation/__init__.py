"""Image generation and editing (Stable Diffusion XL)."""
