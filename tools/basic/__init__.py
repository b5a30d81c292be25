"""Tools that need no model: cropping, measuring and arithmetic."""
