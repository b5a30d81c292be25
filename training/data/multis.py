"""MULTIS records become talks: multimodal instructions by task, as ChatBridge was tuned on.

Zhao et al., "ChatBridge" (2023), section 4, in the format of the released annotation files: a list
of records with `image_id` or `video_id` and either `caption` (or `desc`), `question` and `answer`,
`text`, or `conversations`. The name of a task says what media there are and what is asked, such as
`tva-conv`: a conversation about a video and its sound.

Example: `examples/multis_records.py`.
"""

import re
from collections.abc import Mapping
from random import Random
from typing import Any

MEDIA: dict[str, tuple[str, ...]] = {
    "ti": ("image",),
    "tv": ("video",),
    "ta": ("audio",),
    "tva": ("video", "audio"),
}
"""What a task's prefix says of its media."""
KINDS = ("shortqa", "normalqa", "cap", "ocr", "det", "rea", "conv")
"""What may stand behind it: what is asked."""
QUESTION = "<QUESTION>"
MOST_MESSAGES = 8
"""Of a conversation these are read, four questions and their answers."""
MARK = re.compile(r"<(?:image|video|audio)>\n?|\n<(?:image|video|audio)>")


def messages(
    record: Mapping[str, Any], task: str, instruction: str, random: Random, *, frames: int = 4
) -> list[dict[str, Any]]:
    """The talk of a record, for `ChatFormat.segments`.

    Args:
        record: as in the annotation files. Of several captions or answers one is drawn.
        task: such as "ti-shortqa", "tv-cap", "ta-cap", "ti-ocr", "ti-det", "ti-rea" or "tva-conv".
        instruction: what to ask where the record has no conversation; `<QUESTION>` stands for its
            question, and is there if there is one.
        random: draws among captions and answers.
        frames: of a video.

    Raises:
        ValueError: there is no such task; the record holds nothing for it, or nothing that can be
            read; its questions and answers do not go together; or `<QUESTION>` stands in the
            instruction for a record without one, or not for one with it.
    """
    prefix, _, kind = task.partition("-")
    if prefix not in MEDIA or kind not in KINDS:
        raise ValueError(
            f"given task {task!r}, expected one of {', '.join(MEDIA)}, a hyphen, and one of "
            f"{', '.join(KINDS)}"
        )
    media = [
        {"type": one, "frames": frames} if one == "video" else {"type": one}
        for one in MEDIA[prefix]
    ]
    turns = _turns(record, task, kind, instruction, random)
    talk: list[dict[str, Any]] = [
        {"role": role, "content": text}
        for role, text in zip(("user", "assistant") * len(turns), turns, strict=False)
    ]
    talk[0]["content"] = [*media, {"type": "text", "text": talk[0]["content"]}]
    if len(talk) == 2 and kind != "conv":  # single answers were tuned with a line's end
        talk[1]["content"] += "\n"
    return talk


def _turns(
    record: Mapping[str, Any], task: str, kind: str, instruction: str, random: Random
) -> list[str]:
    if "conversations" in record:
        return _conversation(record["conversations"], MOST_MESSAGES if kind == "conv" else 2)
    if "question" in record:
        return _question(record, instruction, random)
    if QUESTION in instruction:
        raise ValueError(
            f"given the instruction {instruction!r} for a record without a question; leave out "
            f"{QUESTION}, or give the record one"
        )
    if "text" in record:
        return [instruction, ", ".join(_texts(record, "text"))]
    for name in ("caption", "desc"):
        if name in record:
            return [instruction, random.choice(_texts(record, name))]
    raise ValueError(
        f"given a record with {', '.join(record)} for the task {task!r}, expected conversations, "
        "question and answer, text, caption or desc"
    )


def _conversation(said: Any, most: int) -> list[str]:
    """The first messages of human and assistant in turns, without the marks of media."""
    try:
        turns = [(one["from"], MARK.sub("", one["value"])) for one in said[:most]]
    except (TypeError, KeyError) as error:
        raise ValueError(
            f"given the conversation {said!r:.200}, expected a list of messages with from and value"
        ) from error
    speakers = [speaker for speaker, _ in turns]
    if not turns or speakers != ["human", "gpt"] * (len(turns) // 2):
        raise ValueError(f"given a conversation of {speakers}, expected human and gpt in turns")
    return [text for _, text in turns]


def _question(record: Mapping[str, Any], instruction: str, random: Random) -> list[str]:
    """The instruction with one question of the record, and its answer or one of its answers."""
    if QUESTION not in instruction:
        raise ValueError(
            f"given the instruction {instruction!r}, in which {QUESTION} has no place; the record "
            "has a question"
        )
    questions, answers = _texts(record, "question"), _texts(record, "answer")
    if len(questions) == 1:
        questions *= len(answers)  # one question with several answers
    if len(questions) != len(answers):
        raise ValueError(
            f"given {len(questions)} questions with {len(answers)} answers, expected as many of "
            "both, or one question"
        )
    index = random.randrange(len(answers))
    return [instruction.replace(QUESTION, questions[index]), answers[index]]


def _texts(record: Mapping[str, Any], name: str) -> list[str]:
    """A field of the record that is a text, or a list of texts with at least one."""
    given = record.get(name)
    texts: list[Any] = given if isinstance(given, list) else [given]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError(
            f"given {name} = {given!r:.200}, expected a text, or a list of at least one"
        )
    return texts
