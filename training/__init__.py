"""Worlds, recipes, training loops and evaluations."""
