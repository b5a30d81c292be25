"""What is installed, what is missing, and what to do about each lack."""

import importlib.util
import json
import os
import platform
import shutil
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version

from nuthatch import __version__
from nuthatch.tools.weights.store import LOADERS, Weights, training_command

# distribution -> (extra, what it is for)
PACKAGES = {
    "torch": ("vision", "all models"),
    "torchvision": ("vision", "box arithmetic"),
    "transformers": ("vision", "the detector, model loading"),
    "safetensors": ("vision", "weights"),
    "segment-anything": ("vision", "masks"),
    "soundfile": ("audio", "reading sounds"),
    "scipy": ("audio", "resampling sounds"),
    "openai-whisper": ("audio", "writing down speech"),
    "rapidocr": ("vision", "reading text"),
    "onnxruntime": ("vision", "reading text"),
    "pytesseract": ("vision", "reading text in a language that is named"),
    "av": ("vision", "reading videos, and sounds in M4A, AAC, WebM, ..."),
    "matplotlib": ("train", "plots"),
    "PyYAML": ("train", "recipes"),
    "langchain": ("langchain", "reserved: adapters to come"),
    "groundingdino-py": ("groundingdino", "the detector in its authors' form"),
    "diffusers": ("imagine", "making and editing pictures"),
    "mcp": ("mcp", "reserved: serving tools to come"),
}
# program -> (its package, what it is for)
PROGRAMS = {
    "espeak-ng": ("espeak-ng", "spoken sentences of the miniature world"),
    "tesseract": ("tesseract-ocr", "reading text in a language that is named"),
}
NEEDED = {"torch", "torchvision", "transformers", "safetensors", "segment-anything", "soundfile"}


@dataclass(frozen=True)
class Finding:
    """One line of the report; `todo` is empty where all is well."""

    part: str
    name: str
    ok: bool
    needed: bool  # for asking with the shipped weights
    detail: str
    todo: str = ""


def examine() -> list[Finding]:
    """Look at versions, devices, weights and system packages."""
    return [*_python(), *_packages(), *_devices(), *_weights(), *_system()]


def print_findings(findings: list[Finding], *, as_json: bool) -> int:
    """Print the report; exit status 1 if something needed is missing."""
    if as_json:
        print(json.dumps({"findings": [asdict(finding) for finding in findings]}))
    else:
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        table = Table("part", "name", "", "found", "what to do", box=None, header_style="bold")
        for finding in findings:
            mark = "[green]ok[/]" if finding.ok else ("[red]needed[/]" if finding.needed else "-")
            table.add_row(
                finding.part, finding.name, mark, escape(finding.detail), escape(finding.todo)
            )
        Console().print(table)
    return int(any(finding.needed and not finding.ok for finding in findings))


def _python() -> list[Finding]:
    ok = sys.version_info >= (3, 11)
    todo = "" if ok else "install Python 3.11 or later"
    return [
        Finding("nuthatch", "nuthatch", True, True, __version__),
        Finding("nuthatch", "python", ok, True, platform.python_version(), todo),
    ]


def _packages() -> list[Finding]:
    findings = []
    for name, (extra, purpose) in PACKAGES.items():
        try:
            found, todo = version(name), ""
        except PackageNotFoundError:
            found, todo = f"missing ({purpose})", f"pip install 'nuthatch[{extra}]'"
        findings.append(Finding("package", name, not todo, name in NEEDED, found, todo))
    return findings


def _devices() -> list[Finding]:
    cores = os.cpu_count() or 1
    if importlib.util.find_spec("torch") is None:
        return [Finding("device", "cpu", True, True, f"{cores} cores")]
    import torch

    fast = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    detail = f"{cores} cores, {'training in bf16' if fast else 'training in fp32: no fast bf16'}"
    findings = [Finding("device", "cpu", True, True, detail)]
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            name = torch.cuda.get_device_name(index)
            findings.append(Finding("device", f"cuda:{index}", True, False, name))
    else:
        findings.append(Finding("device", "cuda", False, False, "none; not needed for embedded"))
    return findings


def _weights() -> list[Finding]:
    findings = []
    weights = Weights()
    for name in LOADERS:
        status = weights.status(name)
        detail = f"{status.bytes / 2**20:.1f} MiB" if status.present else f"not at {status.path}"
        todo = training_command(name)
        findings.append(
            Finding("weights", name, status.present, True, detail, "" if status.present else todo)
        )
    return findings


def _system() -> list[Finding]:
    findings = []
    for program, (package, purpose) in PROGRAMS.items():
        path = shutil.which(program)
        todo = "" if path else f"apt-get install {package}"
        detail = path or f"missing ({purpose})"
        findings.append(Finding("system", program, path is not None, False, detail, todo))
    if importlib.util.find_spec("cv2") is not None:
        try:
            import cv2

            findings.append(Finding("system", "OpenCV libraries", True, False, cv2.__version__))
        except ImportError as error:
            findings.append(
                Finding(
                    "system",
                    "OpenCV libraries",
                    False,
                    False,
                    str(error),
                    "apt-get install libgl1 libglib2.0-0",
                )
            )
    return findings
