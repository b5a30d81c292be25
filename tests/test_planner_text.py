"""What the shipped planner reads, and what journals store, to the byte.

The planner was trained on these very texts: schemas, results, faults, the chat format. Each is kept
in `golden/planner/`, and its sha256 stands here: a hash may change only when the planner is trained
anew, or the journal gets a new format number. `python -m tests.test_planner_text` writes the files
anew and prints the hashes.
"""

import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from nuthatch.agent.conversation import Conversation
from nuthatch.agent.core_planner import CorePlanner, messages
from nuthatch.mllm.chat import CHAT_TEMPLATE, encode, prompt_ids
from nuthatch.tools.base import Provenance, ToolCall, ToolResult
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.catalogue import all_tools, default_tools
from nuthatch.tools.faults import Fault, ToolFault
from nuthatch.tools.media.geometry import Mask
from nuthatch.tools.media.store import Media, MediaStore
from nuthatch.tools.weights.store import Weights
from tests.agent.scripted_run import QUESTION, journal
from tests.message_texts import Sources
from tests.paths import GOLDEN, ROOT
from tests.tools.verification.worlds import PICTURE, SOUND

HERE = GOLDEN / "planner"
INSTANCES = json.loads((HERE / "instances.json").read_text(encoding="utf-8"))
RESULTS: dict[str, list[dict[str, Any]]] = INSTANCES["results"]
FAULTS: list[tuple[str, str]] = INSTANCES["faults"]
HASHES = {
    # the tools that the shipped planner was trained on
    "default_schemas.json": "d3dfbda93dca416493fe5950eac85979d2b1c4602ded70969fac89dd82ab00a4",
    # their order and those of the others: the prompt with all tools
    "all_schemas.json": "10103e02c78b2f54328c87ae9cd435163e409a548d7e5c0c66dac2179241d64a",
    # how results and faults are told
    "results.txt": "af7d8e1b1a934191b1af7051532dedb37837762863f351401c5838328e87b971",
    # what a wrong call is answered
    "checks.txt": "815fb4bd4ccd486fac42dfe12b68bd2b38b96f9a9fe5eab09c7e6dfbd8131516",
    # the texts of all faults of tools
    "faults.txt": "41593f5ff7af34131bca1eefc17e4c19cc6927ab609f8efff5193047669cb243",
    # errors of values, which faults quote
    "values.txt": "34b80d55bef62cb72084919d8c7382a4c97e77942072d12d4068cdeb8acc887a",
    # what users are told of media outside of a domain, and without judges
    "notices.txt": "5c6bd1b80a7fa3be499a0cdb25450fe7a807d184fb420e52080f1fa5fc405d8f",
    # how a conversation is written
    "chat_template.jinja": "f85f5791f874ac1b4d07f78d58cf2e5ea33e80bdaf9f36d4800a32580a72358a",
    # a conversation as the core reads it: text and token ids
    "conversation.json": "cf63c51ec0a8081eb70a291c7785b464a9fae4b9f5748b494f0c073a0a9badaf",
    # the lines of a journal; keys and values
    "journal.jsonl": "0b89b916a9795a8390919e90dc23abcdbb4383bcaca7f5c54e556cb0dc2c54c4",
}
FAULT_CALLS = (
    *("RetryCall", "ToolUnavailable", "ToolFailed", "ToolFault", "Fault", "fault_of"),
    "needed_for",
)
FOR_CALLERS = ("argument_conversion.py",)  # of a toolbox: planners never read its messages
TASKS = (
    *("audio", "basic", "captioning", "composite", "detection", "image_generation", "ocr"),
    *("segmentation", "tagging"),
)


def written(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


# -- the texts ------------------------------------------------------------------------------------


def conversation(home: Path, tools: ToolSet) -> Conversation:
    """A picture, a sound, a mask, and a frame of a video."""
    media = MediaStore(home)
    item = media.add_image(PICTURE)
    video = Media(handle="video_1", type="video", sha256=item.sha256, path=item.path)
    frame = {"handle": "image_2", "video": "video_1", "time": 1.5}
    media.restore([video, item.model_copy(update=frame)], {})
    media.add_audio(SOUND)
    media.add_mask(Mask.of(PICTURE[..., 0] < 128), made_by="call_1", parents=("image_1",))
    talk = Conversation(media, tools)
    talk.ask(QUESTION, ["image_1", "image_2", "audio_1"])
    return talk


def result(tool_name: str, fields: dict[str, Any], number: int, *looked_at: str) -> ToolResult:
    """A result of a tool as it comes from the executor; `fields` are those of its `Result`."""
    kind = all_tools()[tool_name]
    call = ToolCall(f"call_{number}", tool_name, {})
    made = Provenance(kind.version, {}, {}, dict.fromkeys(looked_at, "0" * 64))
    return ToolResult(call, kind.Result.model_validate(fields), None, 1.0, made, kind.taint)


def rendered(home: Path) -> str:
    """A result of every tool as a planner is told it, with detections, masks, and empty ones."""
    talk = conversation(home, all_tools())
    lines = [
        talk.text(result(name, fields, number))
        for name, instances in RESULTS.items()
        for number, fields in enumerate(instances, start=1)
    ]
    lines.append(talk.text(result("crop", RESULTS["crop"][0], 1, "image_1", "image_2")))
    for number, (code, message) in enumerate(FAULTS, start=1):
        call = ToolCall(f"call_{number}", "detect", {})
        lines.append(talk.text(ToolResult(call, None, Fault(code, message), 1.0)))
    return "\n".join(lines) + "\n"


WRONG_CALLS: list[tuple[str, Any]] = [
    ("detct", {}),
    ("weather", {}),
    ("detect", {"image": "image_1"}),
    ("detect", {"image": "image_1", "labels": [], "boxes": []}),
    ("detect", {"image": "image_9", "labels": ["cup"]}),
    ("detect", {"image": "audio_1", "labels": ["cup"]}),
    ("segment", {"image": "image_1", "detections": ["detection_7.1"]}),
    ("segment", {"image": "image_1"}),
    ("crop", {"image": "image_1", "box": [9, 9, 1]}),
    ("measure", {"op": "count", "a": ["detection_3"]}),
    ("tag_sound", {"audio": "image_1", "top_k": 0}),
    ("transcribe", {"audio": "audio_2"}),
    ("calculate", {"expression": ""}),
    ("ask_region", {"image": "mask_1", "question": "Which colour?"}),
]


def checks(home: Path) -> str:
    """What `ToolSet.check` answers to wrong calls."""
    talk = conversation(home, all_tools())
    lines = []
    for name, arguments in WRONG_CALLS:
        with pytest.raises(ToolFault) as fault:
            talk.tools.check(ToolCall("call_1", name, arguments), talk.media)
        lines.append(f"{fault.value.code}: {fault.value.message}")
    return "\n".join(lines) + "\n"


@cache
def sources() -> Sources:
    return Sources(
        path
        for folder in ("agent", "mllm", "tools", "nuthatch")
        for path in sorted(_python(folder))
        if path.name not in FOR_CALLERS
    )


def _python(folder: str) -> Iterator[Path]:
    links = [link for link in (ROOT / folder).iterdir() if link.is_symlink()]
    for path in (ROOT / folder).rglob("*.py"):
        if not any(link in path.parents for link in links):
            yield path


def listed(texts: list[str]) -> str:
    return "".join(f"{json.dumps(text, ensure_ascii=False)}\n" for text in texts)


def read_by_the_core(home: Path) -> str:
    """A conversation with calls, results, a fault and an answer, as text and as token ids."""
    talk = conversation(home, default_tools())
    talk.call([ToolCall("call_1", "detect", {"image": "image_1", "labels": ["cup", "bell"]})])
    talk.observe(result("detect", RESULTS["detect"][0], 1))
    talk.call(
        [
            ToolCall("call_2", "tag_sound", {"audio": "audio_1"}),
            ToolCall("call_3", "detect", {"labels": ["cup"], "image": "image_1"}),
        ]
    )
    talk.observe(result("tag_sound", RESULTS["tag_sound"][0], 2))
    fault = Fault("timeout", "detect did not end within 60 s and was given up")
    talk.observe(ToolResult(ToolCall("call_3", "detect", {}), None, fault, 1.0))
    talk.now.answer = "There are three cups, and the bell rings."
    talk.ask("Thanks. And which animals do you see and hear?", [])
    generator = Weights().get("core")
    planner = CorePlanner(generator.core, generator.processor)
    told, schemas = messages(talk), talk.tools.schemas()
    tokenizer = generator.processor.tokenizer
    whole = encode(tokenizer, [*told, {"role": "assistant", "content": "One."}], schemas, queries=2)
    return written(
        {
            "messages": told,
            "prompt": tokenizer.decode(prompt_ids(tokenizer, told, schemas)),
            "described": tokenizer.decode(
                prompt_ids(tokenizer, told, schemas, describe_tools=True)
            ),
            "training_ids": " ".join(map(str, whole.ids)),
            "training_answers": "".join(map(str, whole.answers)),
            "planner_ids": " ".join(map(str, planner._row(talk).prompt)),
        }
    )


# -- the tests ------------------------------------------------------------------------------------


def made(name: str, home: Path) -> str:
    match name:
        case "default_schemas.json":
            return written(default_tools().schemas())
        case "all_schemas.json":
            return written(all_tools().schemas())
        case "results.txt":
            return rendered(home)
        case "checks.txt":
            return checks(home)
        case "faults.txt":
            return listed(sources().texts(FAULT_CALLS))
        case "values.txt":
            return listed(sources().texts(["ValueError"], TASKS))
        case "notices.txt":
            return listed(sources().texts(["Notice"]))
        case "chat_template.jinja":
            return CHAT_TEMPLATE
        case "conversation.json":
            return read_by_the_core(home)
        case "journal.jsonl":
            return journal(home)
    raise KeyError(name)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("name", HASHES)
def test_not_a_byte_has_changed(name: str, tmp_path: Path) -> None:
    text = made(name, tmp_path)
    assert text == (HERE / name).read_text(encoding="utf-8")
    assert sha256(text) == HASHES[name], "only a planner that is trained anew may read another text"


def test_every_tool_has_instances_of_its_result() -> None:
    assert list(RESULTS) == all_tools().names


if __name__ == "__main__":
    for name in HASHES:
        with tempfile.TemporaryDirectory() as folder:
            text = made(name, Path(folder))
        (HERE / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f'    "{name}": "{sha256(text)}",\n')
