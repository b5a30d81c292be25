"""Which extra of the package installs a module that is missing.

Only the lack of such a module is told so; an import error inside the package shows itself.
"""

from importlib.util import find_spec

EXTRA_OF = {
    **dict.fromkeys(("av", "filelock", "huggingface_hub", "jinja2", "llguidance"), "vision"),
    **dict.fromkeys(("cv2", "onnxruntime", "rapidocr"), "vision"),
    **dict.fromkeys(("pytesseract", "regex", "safetensors", "segment_anything"), "vision"),
    **dict.fromkeys(("tokenizers", "torch", "torchvision", "transformers"), "vision"),
    **dict.fromkeys(("scipy", "soundfile", "tiktoken", "whisper"), "audio"),
    **dict.fromkeys(("accelerate", "jsonschema", "matplotlib", "peft"), "train"),
    **dict.fromkeys(("psutil", "tqdm", "yaml"), "train"),
    "bitsandbytes": "quantized",
    "deepspeed": "deepspeed",
    "diffusers": "imagine",
    "groundingdino": "groundingdino",
}
"""Top-level module -> extra."""


def advice(what: str, error: ImportError, extra: str | None = None) -> str | None:
    """What to install for `what`; None if it is no module of an extra that is missing.

    Args:
        extra: the one that brings all that `what` needs, if not just the module's.
    """
    module = (error.name or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or module not in EXTRA_OF:
        return None
    return (
        f"{what} needs a package that is missing ({module}): "
        f"pip install 'nuthatch[{extra or EXTRA_OF[module]}]'"
    )


def installed(*modules: str) -> bool:
    """Whether modules could be imported, as far as can be told without doing so."""
    try:
        return all(find_spec(module) is not None for module in modules)
    except ValueError:  # in sys.modules without a spec, or as None
        return False
