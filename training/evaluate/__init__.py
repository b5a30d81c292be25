"""Measurements with counts and intervals."""
