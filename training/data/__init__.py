"""Dialogues to train the planner on: generated, deterministic, with exact truth."""
