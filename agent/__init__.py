"""The agent: plan, call tools, observe, verify, answer; with journals that can be resumed."""

if __name__ != "nuthatch.agent":
    raise ImportError(
        "this folder is imported as nuthatch.agent: run `pip install -e .` in the clone, "
        "then `import nuthatch.agent`"
    )
