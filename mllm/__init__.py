"""Models: encoders, bridges and the multimodal core. Knows nothing of tools or agents."""

if __name__ != "nuthatch.mllm":
    raise ImportError(
        "this folder is imported as nuthatch.mllm: run `pip install -e .` in the clone, "
        "then `import nuthatch.mllm`"
    )
