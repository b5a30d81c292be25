"""Give the top-level folders their import name: agent/ is nuthatch.agent, and so on."""

from setuptools import find_packages, setup

FOLDERS = ("agent", "tools", "mllm", "training", "examples")
inner = find_packages(include=[pattern for f in FOLDERS for pattern in (f, f"{f}.*")])
setup(
    packages=["nuthatch", *(f"nuthatch.{name}" for name in inner)],
    package_dir={f"nuthatch.{f}": f for f in FOLDERS},
)
