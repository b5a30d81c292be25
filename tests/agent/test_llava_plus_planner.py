"""LLaVA-Plus's turns as calls of ours, and results as it was trained to read them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import PreTrainedTokenizerFast

from nuthatch import Agent
from nuthatch.agent.answer import Draft
from nuthatch.agent.conversation import Conversation
from nuthatch.agent.llava_plus_planner import LlavaPlusPlanner
from nuthatch.agent.planner import Call
from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.core import Core
from nuthatch.mllm.generation.decoding import ContextTooLong
from nuthatch.mllm.layout import Medium, Segment, Text
from nuthatch.mllm.presets import llava
from nuthatch.mllm.presets.llava_plus import CHAT_V0, Action, Turn, UnreadableTurn
from nuthatch.mllm.processing import CoreProcessor
from nuthatch.tools.catalogue import default_tools
from nuthatch.tools.media.store import MediaStore
from tests.mllm.released import GOLDEN


class Speaker:
    """Says what it was given, and keeps what it read."""

    def __init__(self, *said: Turn | str) -> None:
        self.said = [one.write() if isinstance(one, Turn) else one for one in said]
        self.read: list[str] = []
        self.pictures: list[tuple[int, ...]] = []

    def __call__(self, segments: Sequence[Segment], pictures: Sequence[np.ndarray]) -> str:
        self.read.append(
            "".join("<image>" if isinstance(one, Medium) else one.text for one in segments)
        )
        self.pictures = [picture.shape for picture in pictures]
        return self.said[len(self.read) - 1]


@pytest.fixture
def talk(tmp_path: Path) -> Conversation:
    conversation = Conversation(MediaStore(tmp_path), default_tools())
    picture = conversation.media.add_image(Image.new("RGB", (200, 100)))
    conversation.ask("How many bears?", [picture.handle])
    return conversation


def planned(talk: Conversation, *actions: Action) -> list[Call]:
    speaker = Speaker(Turn("I look.", actions, "One moment."))
    turn = LlavaPlusPlanner(speaker).plan(talk)
    assert isinstance(turn, list)
    return turn


@pytest.mark.parametrize(
    ("action", "call"),
    [
        (
            Action("grounding_dino", {"caption": "bear . brown dog.", "box_threshold": 0.3}),
            Call("detect", {"image": "image_1", "labels": ["bear", "brown dog"], "threshold": 0.3}),
        ),
        (
            Action("grounded_sam", {"caption": "bear", "box_threshold": 0.3, "image": "<image>"}),
            Call("ground", {"image": "image_1", "phrases": ["bear"]}),
        ),
        (
            Action("sam", {"boxes": [[0.1, 0.2, 0.5, 1.0]], "image": "<image>"}),
            Call("segment", {"image": "image_1", "boxes": [[20, 20, 100, 100]]}),
        ),
        (
            Action("sam", {"points": [[0.5, 0.5]], "point_labels": [1]}),
            Call("segment", {"image": "image_1", "points": [[100, 50]]}),
        ),
        (Action("easyocr"), Call("read_text", {"image": "image_1"})),
        (
            Action("stable_diffusion", {"prompt": "a bear"}),
            Call("generate_image", {"prompt": "a bear"}),
        ),
        (Action("seem", {"task": "x"}), Call("seem", {"image": "image_1", "task": "x"})),
        *(
            (Action("sam", {"boxes": odd}), Call("segment", {"image": "image_1", "boxes": odd}))
            for odd in ([0.1, 0.2, 0.3, 0.4], "[[0.1]]", [["a", 1, 2, 3]], [[0.1, 0.2]], {"a": 1})
        ),
        *(
            (
                Action("grounding_dino", {"caption": odd, "box_threshold": 0.3}),
                Call("detect", {"image": "image_1", "caption": odd, "box_threshold": 0.3}),
            )
            for odd in (["bear"], None)
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Action) else "",
)
def test_the_names_and_arguments_of_its_training_become_ours(
    talk: Conversation, action: Action, call: Call
) -> None:
    assert planned(talk, action) == [call]


def test_a_call_looks_at_the_picture_that_the_user_gave_last(talk: Conversation) -> None:
    talk.media.add_image(Image.new("RGB", (20, 10)))  # as a tool that crops does
    assert planned(talk, Action("ram")) == [Call("tag", {"image": "image_1"})]
    other = talk.media.add_image(Image.new("RGB", (40, 30))).handle
    talk.ask("And here?", [other])
    assert planned(talk, Action("ram")) == [Call("tag", {"image": other})]


@pytest.mark.parametrize(
    ("action", "fault"),
    [
        (Action("sam", {"boxes": [0.1, 0.2, 0.3, 0.4]}), "segment: boxes.0: "),
        (Action("grounding_dino", {"caption": ["bear"]}), "detect: labels: Field required"),
    ],
)
def test_the_model_reads_what_is_wrong_with_its_arguments(action: Action, fault: str) -> None:
    speaker = Speaker(Turn("I look.", (action,), "Wait."), "Three cups.")
    agent = Agent.load("embedded", planner=LlavaPlusPlanner(speaker), verify=False)
    answer = agent.ask("How many cups?", image="examples/kitchen.png")
    assert answer.text == "Three cups."
    assert fault in speaker.read[1]


def test_a_question_takes_its_four_steps(tmp_path: Path) -> None:
    look = Turn("I look.", (Action("grounding_dino", {"caption": "cup"}),), "One moment.")
    speaker = Speaker(look, Turn("I know.", (), "There are three cups."))
    agent = Agent.load("embedded", planner=LlavaPlusPlanner(speaker))
    answer = agent.ask("How many cups?", image="examples/kitchen.png")
    assert [result.call.tool for result in answer.calls][:1] == ["detect"]
    assert "three cups" in answer.text
    assert len(speaker.pictures) == 1
    first, second = speaker.read
    assert first.endswith("### Human: <image>\nHow many cups?\n### Assistant:")
    assert f"### Assistant: {look.write()}\n### Human: grounding_dino model outputs: " in second
    asked_again = "Please summarize the model outputs and answer my first question: How many cups?"
    assert second.endswith(f"{asked_again}\n### Assistant:")


def test_two_calls_of_one_tool_are_both_told_and_talks_keep_their_own_thoughts() -> None:
    cups, forks = (Action("grounding_dino", {"caption": name}) for name in ("cup", "fork"))
    speaker = Speaker(
        Turn("Both.", (cups, forks), "Wait."),
        "Three cups.",
        Turn("Other.", (forks,), "Wait."),
        "No forks.",
    )
    agent = Agent.load("embedded", planner=LlavaPlusPlanner(speaker))
    for question in ("How many cups?", "Are there forks?"):
        agent.ask(question, image="examples/kitchen.png")
    assert speaker.read[1].count("grounding_dino model outputs: ") == 2
    assert '"thoughts🤔" Other.' in speaker.read[3]
    assert "Both." not in speaker.read[3]


def test_a_text_without_fields_is_the_answer(talk: Conversation) -> None:
    assert LlavaPlusPlanner(Speaker("Two bears.\n### Human: and")).plan(talk) == Draft("Two bears.")


UNREADABLE = '"thoughts🤔" t\n"actions🚀" [{]\n"value👉" v'


def test_actions_that_cannot_be_read_say_what_was_expected(talk: Conversation) -> None:
    with pytest.raises(UnreadableTurn, match="expected a list such as"):
        LlavaPlusPlanner(Speaker(UNREADABLE, UNREADABLE)).plan(talk)


@pytest.mark.parametrize(
    ("said", "fault"),
    [(UNREADABLE, "expected a list such as"), (UNREADABLE[:30], "lacks a field or was cut off")],
)
def test_a_turn_that_cannot_be_read_is_told_to_the_model_once(
    talk: Conversation, said: str, fault: str
) -> None:
    speaker = Speaker(said, "Two bears.")
    assert LlavaPlusPlanner(speaker).plan(talk) == Draft("Two bears.")
    before, told = speaker.read
    assert told.startswith(f"{before} {said.strip()}\n### Human: given ")
    assert fault in told
    assert told.endswith("\n\nHow many bears?\n### Assistant:")
    assert len(speaker.pictures) == 1


def converted(folder: Path, context: int = 4096, prompt_style: str = "") -> Path:
    """A tiny core and its processor, as the converter writes them."""
    torch.manual_seed(0)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(GOLDEN / "tokenizer")
    config = CoreConfig.tiny(senses=("image",), prompt_style=prompt_style)
    config.text_config.vocab_size = len(tokenizer)
    config.text_config.max_position_embeddings = context
    config.image_token_id, config.audio_token_id = len(tokenizer), len(tokenizer) + 1
    Core(config).save_pretrained(folder)
    CoreProcessor(config, tokenizer).save_pretrained(folder)
    return folder


def test_a_converted_folder_speaks(tmp_path: Path) -> None:
    planner = LlavaPlusPlanner.load(converted(tmp_path))
    said = planner.generate(planner.chat.segments([{"role": "user", "content": "Hi"}]), [])
    assert isinstance(said, str)
    assert "</s>" not in said


@pytest.mark.parametrize(
    ("style", "chat"), [("v0", CHAT_V0), ("v1", llava.chat()), ("", llava.chat())]
)
def test_talks_are_written_as_the_core_was_trained(
    style: str, chat: object, tmp_path: Path
) -> None:
    assert LlavaPlusPlanner.load(converted(tmp_path, prompt_style=style)).chat == chat


def test_a_way_of_writing_that_is_not_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="prompt_style is 'v9', expected one of v0, v1"):
        LlavaPlusPlanner.load(converted(tmp_path, prompt_style="v9"))


def test_a_turn_is_as_long_as_the_context_allows(tmp_path: Path) -> None:
    planner = LlavaPlusPlanner.load(converted(tmp_path, context=100))
    assert len(planner.generate([Text("a" * 90)], [])) <= 9
    with pytest.raises(ContextTooLong, match=r"100 tokens, pictures included, .* model's 100;"):
        planner.generate([Text("a" * 99)], [])
