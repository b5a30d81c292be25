"""Typed tools over media handles: each one file, each usable without an agent."""
