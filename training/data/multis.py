"""MULTIS records become talks: multimodal instructions by task, as ChatBridge was tuned on.

Zhao et al., "ChatBridge" (2023), section 4, in the format of the released annotation files: a list
of records with `image_id` or `video_id` and either `caption` (or `desc`), `question` and `answer`,
`text`, or `conversations`. The name of a task says what media there are and what is asked, such as
`tva-conv`: a conversation about a video and its sound.
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
            question.
        random: draws among captions and answers.
        frames: of a video.

    Raises:
        ValueError: the task has an unknown prefix, or the record holds nothing for it.
    """
    prefix, _, kind = task.partition("-")
    if prefix not in MEDIA:
        raise ValueError(f"given task {task!r}, expected one that begins with {', '.join(MEDIA)}")
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
        most = MOST_MESSAGES if kind == "conv" else 2
        said = record["conversations"][:most]
        expected = ["human", "gpt"] * (len(said) // 2)
        if not said or [one["from"] for one in said] != expected:
            raise ValueError(
                f"given a conversation of {[one['from'] for one in said]}, expected human and gpt "
                "in turns"
            )
        return [MARK.sub("", one["value"]) for one in said]
    if "question" in record:
        questions, answers = _list(record["question"]), _list(record["answer"])
        if len(questions) != len(answers):
            questions *= len(answers)  # one question with several answers
        index = random.randrange(len(answers))
        return [instruction.replace("<QUESTION>", questions[index]), answers[index]]
    if "text" in record:
        return [instruction, ", ".join(_list(record["text"]))]
    for name in ("caption", "desc"):
        if name in record:
            return [instruction, random.choice(_list(record[name]))]
    raise ValueError(
        f"given a record with {', '.join(record)} for the task {task!r}, expected conversations, "
        "question and answer, text, caption or desc"
    )


def _list(given: str | list[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(given)
