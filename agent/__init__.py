"""Say, call, observe, answer: the loop over a planner, and what surrounds it."""

if __name__ != "nuthatch.agent":
    raise ImportError(
        "this folder is imported as nuthatch.agent: run `pip install -e .` in the clone, "
        "then `import nuthatch.agent`"
    )
