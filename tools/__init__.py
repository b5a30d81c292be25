"""Typed tools over media handles: each one file, each usable without an agent."""

if __name__ != "nuthatch.tools":
    raise ImportError(
        "this folder is imported as nuthatch.tools: run `pip install -e .` in the clone, "
        "then `import nuthatch.tools`"
    )
