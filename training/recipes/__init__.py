"""Recipes: one YAML file a training stage."""
