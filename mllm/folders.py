"""Folders of models: what has no folder here is asked of no hub unless told to."""

import os
from collections.abc import Collection, Mapping
from typing import Any

from nuthatch.messages import shown


def local_only(folder: Any, *, hub: bool = False) -> bool:
    """Whether a model comes from a folder here, and from nowhere else.

    Args:
        folder: a path; with `hub` also the name of a repository on the hub.

    Raises:
        FileNotFoundError: there is no such folder, and the hub is not to be asked.
    """
    if isinstance(folder, (str, os.PathLike)) and os.path.isdir(folder):
        return True
    if hub:
        return False
    raise FileNotFoundError(
        f"there is no folder {shown(folder)}; give one that save_pretrained or `nuthatch convert` "
        "wrote, or hub=True to ask the hub for a repository of that name"
    )


def check_fit(folder: Any, report: Mapping[str, Collection[Any]]) -> None:
    """Whether the weights of a folder are those that its config asks for.

    Args:
        report: what transformers gives for `output_loading_info`.

    Raises:
        ValueError: a tensor is missing, left over, or of another shape than the config says.
    """
    wrong = [
        f"{what}: {', '.join(sorted(str(name) for name in names))}"
        for what, names in (
            ("missing", report["missing_keys"]),
            ("not known", report["unexpected_keys"]),
            ("of another shape (name, given, expected)", report["mismatched_keys"]),
        )
        if names
    ]
    if wrong:
        raise ValueError(
            f"the weights in {shown(folder)} do not fit the config; " + "; ".join(wrong)
        )
