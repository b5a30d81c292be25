"""Installations that lack something say what, and work as far as they can."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.installations import (
    WITHOUT_EXTRAS,
    WITHOUT_POSIX,
    copy_tree,
    environment,
    python,
    run,
)
from tests.paths import ROOT

MAIN = "from nuthatch.__main__ import main\nsys.exit(main(sys.argv[1:]))\n"
KITCHEN = str(ROOT / "examples" / "kitchen.png")
SOUND = str(ROOT / "examples" / "kitchen.wav")
COMMANDS = [
    (["ask", "How many cups?", "--image", KITCHEN], "vision,audio"),
    (["ask", "What is that?", "--audio", SOUND], "audio"),
    (["convert", "beats", "--source", "checkpoint=x", "--out", "x"], "vision"),
    (["train", "embedded", "--out", "x"], "train"),
    (["evaluate", "miniature"], "train"),
    (["evaluate", "planning"], "train"),
    (["weights", "--fetch", "sam-vit-b"], "vision"),
]


# -- without extras -------------------------------------------------------------------------------


@pytest.mark.parametrize(("words", "extra"), COMMANDS, ids=lambda each: str(each[0])[:8])
def test_without_extras_a_command_says_which_one_is_missing(
    words: list[str], extra: str, tmp_path: Path
) -> None:
    done = python(WITHOUT_EXTRAS, MAIN, *words, home=tmp_path)
    assert done.returncode == 2, done.stderr
    assert f"pip install 'nuthatch[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_extras_json_is_json(tmp_path: Path) -> None:
    done = python(WITHOUT_EXTRAS, MAIN, *COMMANDS[0][0], "--json", home=tmp_path)
    assert json.loads(done.stdout)["error"]["code"] == "dependency_missing"
    assert done.returncode == 2


@pytest.mark.parametrize(
    "words", [["tools"], ["weights"], ["doctor"], ["runs", "list"], ["--version"]], ids=str
)
def test_without_extras_what_needs_none_works(words: list[str], tmp_path: Path) -> None:
    code = "from nuthatch.__main__ import main\ntry: main(sys.argv[1:])\nexcept SystemExit: pass\n"
    done = python(WITHOUT_EXTRAS, code, *words, home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("more", [[], ["--json"]], ids=str)
@pytest.mark.parametrize("text", ["There are two cups.", "Hello."])
def test_verify_without_any_judge_is_no_check_and_says_so(
    text: str, more: list[str], tmp_path: Path
) -> None:
    words = ["verify", "--answer", text, "--image", KITCHEN, *more]
    done = python(WITHOUT_EXTRAS, MAIN, *words, home=tmp_path)
    assert done.returncode == 1, done.stderr
    said = done.stdout if more else done.stderr
    assert "pip install 'nuthatch[vision]'" in said
    assert (done.stdout + done.stderr).count("no judge works here, nothing was checked") == 1
    if more:
        (notice,) = json.loads(done.stdout)["notices"]
        assert notice["code"] == "judges.missing"
        assert not done.stderr


PUBLIC = """
import nuthatch
from nuthatch import Agent, RetryCall, ScriptedPlanner, Toolbox, ToolUnavailable, Verifier, tool
from nuthatch.tools.media.ingest import MediaError
image, sound = sys.argv[1:]

@tool
def double(level: int) -> int:
    "Double a level."
    return 2 * level

assert all(getattr(nuthatch, name) for name in nuthatch.__all__)
assert Agent(ScriptedPlanner([("double", {"level": 4}), "8."]), [double]).ask("4?").text == "8."
(notice,) = Verifier().verify("There is a cup.", image=image).notices
print(notice.text)
for attempt in (
    lambda: Agent.load(),
    lambda: Toolbox().run("detect", image=image, labels=["cup"]),
    lambda: Toolbox().run("transcribe", audio=sound),
    lambda: Toolbox().run("read_text", image=image),
):
    try:
        attempt()
    except (ToolUnavailable, MediaError) as error:
        assert error.code == "dependency_missing"
        print(error)
"""


def test_without_extras_public_classes_work_or_say_which_one_is_missing(tmp_path: Path) -> None:
    done = python(WITHOUT_EXTRAS, PUBLIC, KITCHEN, SOUND, home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("pip install 'nuthatch[") == 5 + 1  # two judges in one notice


# -- errors of ours, and other systems ------------------------------------------------------------


@pytest.mark.parametrize("error", ["ImportError('inside')", "AttributeError('os.inside')"])
def test_an_error_inside_the_package_shows_itself(error: str, tmp_path: Path) -> None:
    code = f"""
import sys
class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == "nuthatch.agent.answer":
            raise {error}
sys.meta_path.insert(0, Broken())
from nuthatch import Agent
"""
    done = python("", code, home=tmp_path)
    assert done.returncode == 1
    assert "inside" in done.stderr.splitlines()[-1]
    assert "pip install" not in done.stderr


def test_a_command_shows_an_import_error_of_ours(tmp_path: Path) -> None:
    code = "import sys\nsys.modules['nuthatch.agent.agent'] = None\n"
    done = python("", code + MAIN, "ask", "?", home=tmp_path)
    assert "Traceback" in done.stderr
    assert "pip install" not in done.stderr


ELSEWHERE = """
from nuthatch import Agent, ScriptedPlanner
from nuthatch.tools.weights.devices import budget
assert budget("cpu") > 0
agent = Agent(ScriptedPlanner([("calculate", {"expression": "6 * 7"}), "42."]), [], verify=False)
agent.tools = agent.tools_and_judges
answer = agent.ask("6 * 7?", image=sys.argv[1])
assert answer.calls[0].value.value == 42, answer
print(agent.resume(answer.run_id).text)
"""


def test_it_works_where_there_is_no_fork_no_lock_and_no_sysconf(tmp_path: Path) -> None:
    done = python(WITHOUT_POSIX, ELSEWHERE, KITCHEN, home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "42."


# -- a clone without symbolic links ---------------------------------------------------------------


@pytest.fixture(scope="module")
def plain_clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree as git checks it out where there are no links: files that hold their targets."""
    return copy_tree(tmp_path_factory.mktemp("clone"), links=False, weights=True)


EDITABLE = ["--config-settings", "editable_mode=strict", "-e"]


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["-e"], EDITABLE], ids=["plain", "editable", "strict"])
def test_a_clone_without_links_installs_and_works(
    options: list[str], plain_clone: Path, tmp_path: Path
) -> None:
    programs = environment(tmp_path / "env", *options, str(plain_clone))
    code = "import nuthatch.agent.agent as loop, nuthatch.training.config, nuthatch.mllm.chat\n"
    code += "from nuthatch import Agent, ScriptedPlanner\n"
    code += "print(Agent(ScriptedPlanner(['Yes.']), [], verify=False).ask('?').text, loop.__file__)"
    home = tmp_path / "home"
    done = run([str(programs / "python"), "-c", code], cwd=tmp_path, home=home)
    assert done.stdout.startswith("Yes. "), done.stderr
    assert str(plain_clone if options else programs.parent) in done.stdout
    asking = ["ask", "How many cups are there?", "--image", "examples/kitchen.png"]
    done = run([str(programs / "nuthatch"), *asking], cwd=plain_clone, home=home)
    assert "three cups" in done.stdout, done.stderr


@pytest.mark.slow
def test_a_clone_without_links_works_in_place(plain_clone: Path, tmp_path: Path) -> None:
    asking = ["ask", "How many cups are there?", "--image", "examples/kitchen.png"]
    command = [sys.executable, "-m", "nuthatch", *asking]
    done = run(command, cwd=plain_clone, home=tmp_path / "home")
    assert "three cups" in done.stdout, done.stderr


@pytest.mark.slow
def test_the_wheel_of_a_clone_without_links_is_the_same(plain_clone: Path, tmp_path: Path) -> None:
    def packed(tree: Path) -> set[str]:
        out = tmp_path / tree.name
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
        pip += ["--no-build-isolation", "-w", str(out), str(tree)]
        subprocess.run(pip, check=True, capture_output=True)
        return set(zipfile.ZipFile(next(out.glob("*.whl"))).namelist())

    linked = copy_tree(tmp_path / "linked", links=True, weights=True)
    assert packed(plain_clone) == packed(linked)


@pytest.mark.slow
def test_a_fresh_environment_without_extras_says_what_is_missing(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    pip = [str(tmp_path / "venv" / "bin" / "pip"), "install", "--quiet", str(ROOT)]
    done = subprocess.run(pip, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"nothing can be installed here: {done.stderr[-300:]}")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    for words, extra in COMMANDS:
        done = subprocess.run(
            [str(tmp_path / "venv" / "bin" / "nuthatch"), *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**environment, "NUTHATCH_HOME": str(tmp_path / "home")},
        )
        assert done.returncode == 2, (words, done.stderr)
        assert f"pip install 'nuthatch[{extra}]'" in done.stderr
