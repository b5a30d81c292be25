"""What a user of the command line sees, with the weights that ship in the package."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from nuthatch.__main__ import main
from nuthatch.agent.agent import Agent
from nuthatch.agent.journal import Journal
from nuthatch.agent.planner import ScriptedPlanner
from nuthatch.messages import shown
from tests.agent.little_tools import Find
from tests.paths import EXAMPLES
from tests.tools.media.little_videos import write_video

PICTURE, SOUND = str(EXAMPLES / "kitchen.png"), str(EXAMPLES / "kitchen.wav")
TRUTH = json.loads((EXAMPLES / "kitchen.json").read_text(encoding="utf-8"))
KEYS = {
    "answer",
    "draft",
    "finished",
    "claims",
    "edits",
    "notices",
    "unread",
    "verified",
    "calls",
    "media",
    "timing",
    "run_id",
}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("NUTHATCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Exit status and standard output of `nuthatch words...`."""
    try:
        status = main(words)
    except SystemExit as stop:
        status = int(stop.code or 0)
    return status, capsys.readouterr().out


def run_json(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    status, out = run(capsys, *words, "--json")
    record: dict[str, Any] = json.loads(out)  # one object and nothing else
    return status, record


def test_ask_looks_listens_and_answers_with_evidence(capsys):
    question = "How many cups are there, and which object makes this sound?"
    status, record = run_json(capsys, "ask", question, "--image", PICTURE, "--audio", SOUND)
    assert status == 0
    assert set(record) == KEYS
    assert "three" in record["answer"].lower() or "3" in record["answer"]
    assert "clock" in record["answer"].lower()
    assert record["verified"]
    called = {call["tool"] for call in record["calls"]}
    assert called >= {"detect", "locate_sound_source", "correct_answer"}
    assert all(call["ok"] for call in record["calls"])
    claim = next(claim for claim in record["claims"] if claim["kind"] == "count")
    start, end = claim["span"]
    assert record["draft"][start:end] == claim["text"]
    assert claim["rule"] == "count.single_source"  # the planner's own tool counted them
    assert claim["measured"]["judge"] == "detector"
    assert claim["measured"]["n"] > 0
    assert {claim["verdict"] for claim in record["claims"]} == {"supported"}
    made = {call["id"] for call in record["calls"]}
    assert all(item["call_id"] in made for item in claim["evidence"])


def test_ask_names_what_it_hears(capsys):
    question = "Which object makes this sound?"
    status, record = run_json(capsys, "ask", question, "--image", PICTURE, "--audio", SOUND)
    assert status == 0
    assert "clock" in record["answer"].lower()


def test_verify_corrects_what_is_refuted_and_keeps_the_rest(capsys):
    answer = "There are two cups and a giraffe."
    status, record = run_json(capsys, "verify", "--image", PICTURE, "--answer", answer)
    assert status == 0
    assert set(record) == KEYS
    assert record["draft"] == answer
    verdicts = {claim["text"]: claim["verdict"] for claim in record["claims"]}
    assert "refuted" in verdicts.values()
    assert "giraffe" not in record["answer"]
    assert [edit["claim_id"] for edit in record["edits"]]


def test_for_people_the_steps_the_answer_and_a_picture_are_named(capsys, home):
    answer = "There are two cups and a giraffe."
    status, out = run(capsys, "verify", "--image", PICTURE, "--answer", answer)
    assert status == 0
    assert "refuted" in out
    assert "answer:" in out
    (picture,) = home.glob("runs/*/answer.png")
    assert picture.name in out.replace("\n", "")
    with Image.open(picture) as drawn:
        assert drawn.height > 512  # the picture and the claims below it


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.png", None, "there is no file"),
        ("empty.png", b"", "empty (0 bytes)"),
        ("text.png", b"hello", "no picture that can be read"),
        ("one.png", (1, 1), "1x1 pixels"),
        ("bomb.png", "bomb", "40,000,000"),
        ("cut.png", "cut", "damaged or cut off"),
    ],
)
def test_a_picture_that_cannot_be_used_is_a_clear_error(tmp_path, capsys, name, content, words):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, tuple):
        Image.new("RGB", content).save(path)
    elif content == "bomb":
        Image.new("1", (30_000, 30_000)).save(path)
    elif content == "cut":
        path.write_bytes(Path(PICTURE).read_bytes()[:5000])
    status, record = run_json(capsys, "ask", "What is here?", "--image", str(path))
    assert status == 2
    assert set(record) == {"error"}
    assert words in record["error"]["message"]


@pytest.mark.parametrize(
    ("samples", "rate", "words"),
    [
        (np.zeros(0), 16000, "no samples"),
        (np.full(1600, np.nan), 16000, "no numbers"),
        (np.zeros(600 * 4000), 4000, "at most 300 s"),
    ],
    ids=["no samples", "NaN", "ten minutes"],
)
def test_a_sound_that_cannot_be_used_is_a_clear_error(tmp_path, capsys, samples, rate, words):
    path = tmp_path / "sound.wav"
    soundfile.write(path, samples, rate, subtype="FLOAT")
    status, record = run_json(capsys, "ask", "What do you hear?", "--audio", str(path))
    assert status == 2
    assert words in record["error"]["message"]


def test_a_video_is_asked_about_and_its_frames_are_named_with_their_times(tmp_path, capsys):
    path = write_video(tmp_path / "a.mp4", 30, size=(256, 256), sound=2.0)
    words = ("ask", "Is there a cup in image_2?", "--video", str(path))
    status, record = run_json(capsys, *words)
    assert status == 0
    times = {m["handle"]: (m["video"], m["time"]) for m in record["media"]}
    assert times["video_1"] == (None, None)
    assert times["audio_1"] == ("video_1", None)
    assert times["image_2"] == ("video_1", pytest.approx(1.1))
    _, out = run(capsys, "runs", "show", record["run_id"])
    assert "image_2: 1.10 s of video_1" in out


@pytest.mark.parametrize("content", [None, b"", b"no video"], ids=["gone", "empty", "text"])
def test_a_video_that_cannot_be_used_is_a_clear_error(tmp_path, capsys, content):
    path = tmp_path / "a.mp4"
    if content is not None:
        path.write_bytes(content)
    status, record = run_json(capsys, "ask", "What is here?", "--video", str(path))
    assert status == 2
    assert "a.mp4" in record["error"]["message"]


def test_a_silent_sound_is_answered_and_nothing_is_invented(tmp_path, capsys):
    path = tmp_path / "silence.wav"
    soundfile.write(path, np.zeros(16000), 16000)
    status, record = run_json(capsys, "ask", "What do you hear?", "--audio", str(path))
    assert status == 0
    assert not [claim for claim in record["claims"] if claim["kind"] == "sound"]


@pytest.mark.parametrize(
    "words",
    [
        ["ask", "What is here?", "--image", "missing.png"],
        ["ask", "What is here?", "--image", PICTURE, "--image", SOUND],
        ["ask", "What do you hear?", "--audio", PICTURE],
        ["ask", "What happens?", "--video", PICTURE],
        ["ask", " ", "--image", PICTURE],
        ["verify", "--answer", "A cup.", "--image", "missing.png"],
    ],
)
def test_what_cannot_be_used_is_told_before_any_model_is_loaded(capsys, monkeypatch, words):
    def load(*_, **__):
        raise AssertionError("loaded")

    monkeypatch.setattr(Agent, "load", load)
    status, record = run_json(capsys, *words)
    assert status == 2
    assert record["error"]["message"]


@pytest.mark.parametrize("question", ["", "   ", "cup " * 25_000], ids=["empty", "blank", "100 kB"])
def test_a_question_that_cannot_be_asked_is_a_clear_error(capsys, question):
    status, record = run_json(capsys, "ask", question, "--image", PICTURE)
    assert status == 2
    assert record["error"]["message"]


def test_a_question_longer_than_the_core_reads_is_told_with_the_numbers(capsys):
    status, record = run_json(capsys, "ask", "Is there a cup? " * 500, "--image", PICTURE)
    assert status == 1
    assert record["error"]["code"] == "planner_failed"
    assert "tokens, media included; at most" in record["error"]["message"]


@pytest.mark.parametrize(
    "question", ["杯子有几个？", "Сколько здесь чашек?", "كم عدد الأكواب؟", "🐈?"]
)
def test_other_scripts_are_answered_without_a_crash(capsys, question):
    status, record = run_json(capsys, "ask", question, "--image", PICTURE)
    assert status == 0
    assert record["answer"]


@pytest.mark.parametrize(
    "words",
    [
        ("ask",),
        ("sing",),
        ("evaluate", "miniature", "--n", "0"),
        ("evaluate", "miniature", "--seed", "-1"),
        ("runs", "prune", "--keep", "-1"),
        ("runs", "prune", "20260131-235959123456-4f2a9c", "--keep", "1"),
        ("runs", "list", "all"),
        ("runs", "show", "../runs/x"),
    ],
)
def test_bad_usage_is_told_in_the_form_that_was_asked_for(capsys, words):
    status, record = run_json(capsys, *words)
    assert status == 2
    assert record["error"]["code"] in ("bad_usage", "run_not_found")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("ask How many cups? --image x.png", 'put it in quotes: "How many cups?"'),
        (
            f"ask Cups? {PICTURE}",
            f"{shown(str(PICTURE))} is no part of the question; give it by --image",
        ),
        ("ask Cups? --img x.png", "unrecognized arguments: --img x.png; see: nuthatch ask --help"),
        ("world --n many --out x.png", "given 'many', expected a whole number of at least 1"),
        ("runs prune --keep -1", "given '-1', expected a whole number of at least 0"),
        ("train", "required: preset; see"),
        ("train embedded --only tag seed", "given 'seed', expected KEY=VALUE"),
        ("train embedded --only tag seed = 1", "given 'seed', expected KEY=VALUE"),
        ("train embedded =1 --only tag", "given '=1', expected KEY=VALUE"),
        ("train embedded --only tag seed=1 --foo=3", "unrecognized arguments: seed=1 --foo=3"),
        ("convert llava --out x", "nothing to convert; give --source, of clip, checkpoint"),
        ("convert llava --out x --source clip", "given --source clip, expected NAME=PATH"),
        ("convert llava --out x --source eye=x", "with a name of clip, checkpoint"),
    ],
)
def test_bad_usage_says_what_was_given_and_what_is_expected(capsys, words, said):
    assert main(words.split()) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "sizes"),
    [
        (b"no weights", None),
        (b"", None),
        (b"", {"encoder_attention_heads": 0}),
        (b"", {"encoder_layers": "many"}),
    ],
    ids=["no checkpoint", "empty", "no heads", "a word for a number"],
)
def test_a_conversion_that_fails_says_why_and_ends_with_1(tmp_path, capsys, file, sizes):
    (tmp_path / "file.pt").write_bytes(file)
    given = [f"--source=checkpoint={tmp_path / 'file.pt'}", f"--out={tmp_path / 'out'}"]
    if sizes is not None:
        (tmp_path / "sizes.json").write_text(json.dumps(sizes))
        given.append(f"--sizes={tmp_path / 'sizes.json'}")
    assert main(["convert", "beats", *given]) == 1
    assert capsys.readouterr().err.startswith("nuthatch: ")


def test_a_place_that_cannot_be_written_is_bad_usage(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    status, _ = run(capsys, "world", "--n", "1", "--out", str(tmp_path / "file" / "sheet.png"))
    assert status == 2


def test_a_home_that_cannot_be_written_says_what_to_set(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for given in ([], ["--image", PICTURE]):
        status, record = run_json(
            capsys, "ask", "What is here?", *given, "--home", str(tmp_path / "file")
        )
        assert status == 2
        assert record["error"]["code"] == "home_not_writable"
        assert "NUTHATCH_HOME" in record["error"]["message"]


def test_a_disk_that_is_full_in_the_middle_of_a_run_ends_it(capsys, monkeypatch):
    real = Journal.write

    def write(self, event, **fields):
        if event == "result":
            self._file.close()
            self._file = open("/dev/full", "ab", buffering=0)  # noqa: SIM115
        real(self, event, **fields)

    monkeypatch.setattr(Journal, "write", write)
    status, record = run_json(capsys, "ask", "How many cups are there?", "--image", PICTURE)
    assert status == 1
    assert record["error"]["code"] == "write_failed"
    assert "make room" in record["error"]["message"]


def test_a_training_that_stops_at_a_loss_that_is_no_number_says_so(capsys, monkeypatch):
    def stops(*_):
        raise FloatingPointError("batch 7: the loss 'answer' is nan")

    monkeypatch.setattr("nuthatch.training.train.train_core", stops)
    assert main(["train", "embedded", "--stage", "join"]) == 1
    assert "batch 7" in capsys.readouterr().err


def test_for_people_what_could_not_be_decided_is_told_with_the_reason(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    words = ("verify", "--image", PICTURE, "--answer", "I hear a clock ticking. There is a clock.")
    status, out = run(capsys, *words)
    assert status == 0
    assert "unverified: 'a clock ticking': nobody here can judge this" in out
    assert out.count("unverified:") == 1


def test_verify_needs_something_to_check_against(capsys):
    status, record = run_json(capsys, "verify", "--answer", "A cup.")
    assert status == 2
    assert "--image or --audio" in record["error"]["message"]


def test_tools_are_listed_with_schemas_effects_and_weights(capsys):
    status, record = run_json(capsys, "tools")
    assert status == 0
    tools = {tool["name"]: tool for tool in record["tools"]}
    assert set(tools) >= {"detect", "segment", "tag", "tag_sound", "measure", "correct_answer"}
    assert tools["detect"]["arguments"]["properties"]["image"]["x-media"] == "image"
    assert tools["detect"]["weights"][0]["here"] is True


def test_doctor_finds_the_weights_and_says_what_to_do_about_lacks(capsys):
    status, record = run_json(capsys, "doctor")
    assert status == 0
    findings = {(finding["part"], finding["name"]): finding for finding in record["findings"]}
    assert findings["weights", "detect"]["ok"]
    assert findings["weights", "transcribe"]["ok"]
    assert {"espeak-ng", "tesseract"} <= {name for part, name in findings if part == "system"}
    assert all(f["todo"] for f in record["findings"] if not f["ok"] and f["part"] == "package")


def test_runs_are_listed_shown_and_pruned(capsys):
    _, asked = run_json(capsys, "verify", "--image", PICTURE, "--answer", "There is a clock.")
    _, listed = run_json(capsys, "runs", "list")
    assert [line["run_id"] for line in listed["runs"]] == [asked["run_id"]]
    status, shown = run_json(capsys, "runs", "show", asked["run_id"])
    assert status == 0
    assert shown["answer"] == asked["answer"]
    assert shown["claims"] == asked["claims"]
    _, pruned = run_json(capsys, "runs", "prune", "--keep", "0")
    assert pruned["removed"] == [asked["run_id"]]
    status, missing = run_json(capsys, "runs", "show", asked["run_id"])
    assert status == 2
    assert asked["run_id"] in missing["error"]["message"]


def test_a_run_is_deleted_with_its_media(capsys, home):
    asked = Agent(ScriptedPlanner(["Done."]), [], verify=False).ask("?", image=PICTURE)
    status, out = run(capsys, "runs", "delete", asked.run_id)
    assert (status, out) == (0, f"removed run {asked.run_id} and 1 media files\n")
    assert list((home / "blobs").iterdir()) == []
    status, record = run_json(capsys, "runs", "delete", asked.run_id)
    assert (status, record["error"]["code"]) == (2, "run_not_found")
    status, record = run_json(capsys, "runs", "delete")
    assert (status, record["error"]["message"]) == (2, "which run? nuthatch runs delete RUN_ID")


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_run_of_tools_that_are_not_here_is_shown(capsys, form):
    script = [("spot", {"image": "image_1", "labels": ["cup"]}), "Done."]
    asked = Agent(ScriptedPlanner(script), [Spot(cup=[(1, 1, 9, 9)])], verify=False).ask(
        "?", image=PICTURE
    )
    status, out = run(capsys, "runs", "show", asked.run_id, *form)
    assert status == 0
    assert "Done." in out


class Spot(Find):
    """Find, under a name that the package does not know."""

    name = "spot"


def test_a_run_whose_picture_is_gone_is_shown_without_it(capsys, home):
    asked = Agent(ScriptedPlanner(["Done."]), [], verify=False).ask("?", image=PICTURE)
    asked.media[0].path.unlink()
    status, out = run(capsys, "runs", "show", asked.run_id)
    assert status == 0
    assert "Done." in out
    assert "no picture:" in out


def test_the_world_draws_a_sheet(tmp_path, capsys):
    out = tmp_path / "sheet.png"
    status, printed = run(capsys, "world", "--n", "4", "--out", str(out), "--seed", "1")
    assert status == 0
    assert str(out) in printed
    with Image.open(out) as sheet:
        assert min(sheet.size) > 128


@pytest.mark.parametrize("place", ["before", "behind"])
def test_a_setting_may_stand_anywhere_and_a_wrong_one_names_the_nearest(tmp_path, capsys, place):
    options = ["--stage", "perceive", "--only", "segment", "--out", str(tmp_path)]
    words = ["bxes=2", *options] if place == "before" else [*options, "bxes=2"]
    status = main(["train", "embedded", *words])
    assert status == 2
    assert "did you mean 'boxes'?" in capsys.readouterr().err


def test_help_needs_no_heavy_library():
    code = (
        "import sys; sys.argv = ['nuthatch', '--help']\n"
        "from nuthatch.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "assert not {'torch', 'transformers', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=os.environ)
