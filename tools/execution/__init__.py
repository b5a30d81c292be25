"""Execution of tool calls: isolation, time limits, batches and cached results."""
