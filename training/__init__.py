"""Worlds, recipes, training loops and evaluations."""

if __name__ != "nuthatch.training":
    raise ImportError(
        "this folder is imported as nuthatch.training: run `pip install -e .` in the clone, "
        "then `import nuthatch.training`"
    )
