"""What a user gets from the wheel or the source archive, beside whatever else lies in a project."""

import email
import subprocess
import sys
import tarfile
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.installations import copy_tree, environment, run
from tests.paths import ROOT


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both: the wheel is built by way of the source archive, so both are complete."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return out


@pytest.fixture(scope="module")
def wheel(archives: Path) -> Path:
    return next(archives.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment with the wheel."""
    return environment(tmp_path_factory.mktemp("wheel"), str(wheel))


@pytest.fixture(scope="module")
def editable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment with a tree installed as the Makefile does."""
    tree = copy_tree(tmp_path_factory.mktemp("tree"), links=True)
    options = ["--editable", str(tree), "--config-settings", "editable_mode=strict"]
    return environment(tmp_path_factory.mktemp("editable"), *options)


# -- the wheel ------------------------------------------------------------------------------------


def test_the_wheel_holds_one_top_level_name(wheel):
    names = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"nuthatch"}


def test_the_wheel_carries_code_weights_cards_recipes_and_examples(wheel):
    packed = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("agent", "tools", "mllm", "training", "examples"):
        for path in (ROOT / folder).rglob("*"):
            kinds = (".py", ".safetensors", ".yaml", ".json", ".md", ".png", ".wav")
            wanted = path.suffix in kinds
            if path.is_file() and wanted and "__pycache__" not in path.parts:
                half_way = "checkpoints" in path.parts  # for further runs: in the clone only
                assert (f"nuthatch/{path.relative_to(ROOT)}" in packed) is not half_way


def test_the_wheel_stays_small(wheel):
    assert wheel.stat().st_size <= 80e6


def test_a_users_own_tools_and_agent_do_no_harm(installed, tmp_path):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "__init__.py").write_text("MINE = True\n")
    (tmp_path / "agent.py").write_text("MINE = True\n")
    code = (
        "import agent, tools, nuthatch\n"
        "from nuthatch import Agent, Box\n"
        "assert tools.MINE and agent.MINE\n"
        "print(nuthatch.__file__, Agent.__module__, Box.__module__)"
    )
    done = run([str(installed / "python"), "-c", code], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert str(installed.parent) in done.stdout
    assert "nuthatch.agent.agent nuthatch.tools.media.geometry" in done.stdout


def test_importing_a_plain_folder_of_the_clone_says_what_to_do(installed):
    done = run([str(installed / "python"), "-c", "import tools"], cwd=ROOT)
    assert done.returncode != 0
    assert "import nuthatch.tools" in done.stderr


def test_the_installed_package_finds_its_examples(installed, tmp_path):
    code = "import nuthatch; print(nuthatch.example('kitchen.wav')); nuthatch.example('cellar.png')"
    done = run([str(installed / "python"), "-c", code], cwd=tmp_path)
    assert str(installed.parent) in done.stdout
    assert done.stderr.endswith("expected an example of the package: corrected.png, " + OTHERS)


OTHERS = "kitchen.json, kitchen.png, kitchen.wav, street.json, street.png\n"


@pytest.mark.slow
def test_the_installed_program_answers_and_verifies(installed, tmp_path):
    nuthatch = str(installed / "nuthatch")
    code = "import nuthatch; print(nuthatch.example('kitchen.png'))"
    kitchen = run([str(installed / "python"), "-c", code], cwd=tmp_path).stdout.strip()
    for words, expected in (
        (["--help"], "COMMAND"),
        (["doctor"], "what to do"),
        (["ask", "How many cups are there?", "--image", kitchen], "three cups"),
        (["verify", "--image", kitchen, "--answer", "There is a giraffe."], "giraffe"),
    ):
        done = run([nuthatch, *words], cwd=tmp_path, home=tmp_path / "home")
        assert done.returncode == 0, (words, done.stderr)
        assert expected in done.stdout


# -- types, seen from a user's folder -------------------------------------------------------------

USER = '''\
from pathlib import Path
from typing import assert_type

from nuthatch import Agent, Answer, ScriptedPlanner, example, tool


@tool
def double(level: int) -> int:
    """Double a level."""
    return 2 * level


answer = Agent(ScriptedPlanner(["Yes."]), [double]).ask("?", image=example("kitchen.png"))
assert_type(answer, Answer)
assert_type(answer.text, str)
assert_type(example("kitchen.png"), Path)
wrong: int = answer.text
'''
LINE = USER.count("\n")  # the one error


@pytest.mark.parametrize("installation", ["installed", "editable"])
def test_pyright_sees_the_types(installation, request, tmp_path):
    interpreter = request.getfixturevalue(installation) / "python"
    (tmp_path / "mine.py").write_text(USER)
    command = ["-m", "basedpyright", "--level", "error", "--pythonpath", str(interpreter)]
    done = run([sys.executable, *command, "mine.py"], cwd=tmp_path)
    assert f"mine.py:{LINE}:" in done.stdout, done.stdout + done.stderr
    assert "1 error, 0 warnings" in done.stdout, done.stdout


@pytest.fixture(scope="module")
def mypy_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared: reading the sources of the packages that both environments find takes a minute."""
    return tmp_path_factory.mktemp("mypy")


@pytest.mark.slow
@pytest.mark.parametrize("installation", ["installed", "editable"])
def test_mypy_sees_the_types(installation, mypy_cache, request, tmp_path):
    interpreter = request.getfixturevalue(installation) / "python"
    (tmp_path / "mine.py").write_text(USER)
    command = ["-m", "mypy", "--config-file=", "--python-executable", str(interpreter)]
    command += ["--cache-dir", str(mypy_cache)]
    done = run([sys.executable, *command, "mine.py"], cwd=tmp_path)
    assert f"mine.py:{LINE}: error" in done.stdout, done.stdout + done.stderr
    assert "Found 1 error in 1 file" in done.stdout


# -- the package page and the source archive ------------------------------------------------------


class Targets(HTMLParser):
    """Collects what a page links to and shows."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.targets += [value or "" for name, value in attrs if name in ("href", "src")]


def test_the_package_page_renders_without_relative_links_or_pictures(wheel):
    from readme_renderer import markdown

    with zipfile.ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    assert metadata["Description-Content-Type"] == "text/markdown"
    text = metadata.get_payload(decode=True).decode("utf-8")
    page = markdown.render(text)
    assert page is not None
    assert "<h1" in page
    targets = Targets()
    targets.feed(page)
    assert [each for each in targets.targets if not each.startswith(("https://", "#"))] == []


@pytest.mark.slow
def test_the_source_archive_passes_its_own_tests(archives, tmp_path):
    with tarfile.open(next(archives.glob("*.tar.gz"))) as archive:
        archive.extractall(tmp_path, filter="data")
    (tree,) = tmp_path.iterdir()
    pytest_ = [sys.executable, "-m", "pytest", "-q", "-n", "0"]
    done = run([*pytest_, "--collect-only", "-m", "slow or not slow"], cwd=tree)
    assert done.returncode == 0, done.stdout[-2000:]
    sample = ["tests/agent/test_journal.py", "tests/tools/detection", "tests/training/world"]
    sample += ["tests/training/stages/test_join.py", "tests/test_notebooks.py", "tests/test_cli.py"]
    sample += ["tests/test_docs.py::test_the_pages_build_without_a_warning"]
    done = run([*pytest_, *sample], cwd=tree, home=tmp_path / "home")
    assert done.returncode == 0, done.stdout[-4000:]
