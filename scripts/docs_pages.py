"""What the documentation takes from the code when it is built: files, examples, public names.

`mkdocs.yml` names this file as a hook. The tables come from the first docstring line of each
module and each example, so that they cannot differ from the code.
"""

import ast
import re
import shutil
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("nuthatch", "agent", "tools", "mllm", "training")
PICTURES = ("corrected.png",)
FILES_MARK, EXAMPLES_MARK = "<!-- files -->", "<!-- examples -->"
EXAMPLE_MARK = re.compile(r"<!-- example: (\w+\.py) -->")


@event_priority(100)  # before the API reference reads its settings
def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Tell the API reference what to read, and which names have a page of their own.

    Without the links in `nuthatch/` it reads a copy of the whole package.
    """
    settings = config.plugins["mkdocstrings"].config["handlers"]["python"]
    settings["options"]["filters"].append(f"!^({'|'.join(_public_names())})$")  # documented once
    if not (ROOT / "nuthatch" / "agent").is_dir():
        package = ROOT / "build" / "reference" / "nuthatch"
        shutil.rmtree(package, ignore_errors=True)
        for name in FOLDERS:
            to = package if name == "nuthatch" else package / name
            shutil.copytree(ROOT / name, to, ignore=_no_code, dirs_exist_ok=True)
        settings["paths"] = [str(package.parent)]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The pictures of the pages that lie among the examples."""
    for name in PICTURES:
        picture = str(ROOT / "examples" / name)
        files.append(File.generated(config, f"pictures/{name}", abs_src_path=picture))
    return files


def _public_names() -> list[str]:
    """`nuthatch.__all__`, read without importing the package."""
    module = ast.parse((ROOT / "nuthatch" / "__init__.py").read_text(encoding="utf-8"))
    for node in module.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            # `tool` is a field of calls too.
            return [name for name in names if not name.startswith("_") and name != "tool"]
    raise ValueError("nuthatch/__init__.py has no __all__")


def _no_code(folder: str, names: list[str]) -> list[str]:
    return [each for each in names if Path(folder, each).is_file() and not each.endswith(".py")]


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put the tables where a page asks for them."""
    if FILES_MARK in markdown:
        markdown = markdown.replace(FILES_MARK, "\n\n".join(map(_folder, FOLDERS)))
    if EXAMPLES_MARK in markdown:
        markdown = markdown.replace(EXAMPLES_MARK, _examples())
    return EXAMPLE_MARK.sub(lambda mark: _source(ROOT / "examples" / mark[1]), markdown)


def first_line(path: Path) -> str:
    """The first line of a module's docstring.

    Raises:
        ValueError: it has none.
    """
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if not docstring:
        raise ValueError(f"{path} has no docstring; its first line says what the module does")
    return docstring.split("\n\n")[0].replace("\n", " ").replace("|", r"\|")


def _folder(name: str) -> str:
    """A heading and a table for each package of one top-level folder."""
    by_package: dict[Path, list[Path]] = {}
    paths = (ROOT / name).glob("*.py") if name == "nuthatch" else (ROOT / name).rglob("*.py")
    for path in sorted(paths):
        if path.read_text(encoding="utf-8").strip():  # an empty __init__.py says nothing
            by_package.setdefault(path.parent.relative_to(ROOT), []).append(path)
    parts = []
    for package, modules in sorted(by_package.items()):
        level = "##" if len(package.parts) == 1 else "###"
        rows = [f"| `{path.name}` | {first_line(path)} |" for path in modules]
        parts.append("\n".join([f"{level} {package}/", "", "| file | |", "|---|---|", *rows]))
    return "\n\n".join(parts)


def _examples() -> str:
    """Each script of examples/, with its source."""
    parts = []
    for path in sorted((ROOT / "examples").glob("[!_]*.py")):
        parts.append(f"## {path.name}\n\n{first_line(path)}\n\n{_source(path)}")
    return "\n\n".join(parts)


def _source(path: Path) -> str:
    return f"```python\n{path.read_text(encoding='utf-8').rstrip()}\n```"
