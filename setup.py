"""Give the top-level folders their import name: agent/ is nuthatch.agent, and so on."""

import re
from pathlib import Path

from setuptools import find_packages, setup

FOLDERS = ("agent", "tools", "mllm", "training", "examples")
RELATIVE = r"\((?!https?://|#)[^)]*\)"  # a target that only a clone has


def package_page(text: str) -> str:
    """The README for a package index: without relative pictures, relative links as plain text."""
    text = re.sub(rf"!\[[^\]]*\]{RELATIVE}\n*", "", text)
    return re.sub(rf"\[([^\]]+)\]{RELATIVE}", r"\1", text)


inner = find_packages(include=[pattern for f in FOLDERS for pattern in (f, f"{f}.*")])
setup(
    packages=["nuthatch", *(f"nuthatch.{name}" for name in inner)],
    package_dir={f"nuthatch.{f}": f for f in FOLDERS},
    long_description=package_page(Path(__file__).with_name("README.md").read_text("utf-8")),
    long_description_content_type="text/markdown",
)
