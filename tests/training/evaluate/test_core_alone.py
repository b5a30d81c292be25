import pytest
import torch

from nuthatch.mllm.generation.generator import Speaker
from nuthatch.training.evaluate import core_alone
from nuthatch.training.evaluate.core_alone import Asked, Media, about, named, read
from nuthatch.training.evaluate.pope import SETTINGS
from nuthatch.training.world.company import Company
from nuthatch.training.world.scenes import make_scene
from nuthatch.training.world.sounds import make_sound
from tests.training.evaluate.trials import tiny_trial

COMPANY = Company.of(list(make_scene(seed).counts()) for seed in range(40))
SCENES = [make_scene(seed, "test") for seed in range(80)]
PICTURE, OTHER = (Media(torch.full((2, 3), value), torch.full((2, 3), -value)) for value in (1, 2))


class Parrot(Speaker):
    """Says which media it was given; it has no model."""

    def __init__(self) -> None:
        self.seen = []

    def answers(self, asked):
        pictures = [question.media[0][1] for question in asked]
        self.seen += [float(picture.flatten()[0]) for picture in pictures]
        return ["Yes." if picture.any() else "No." for picture in pictures]


def test_questions_are_balanced_and_true_of_the_scene():
    kinds: dict[str, list[Asked]] = {}
    for scene in SCENES:
        counts = scene.counts()
        for each in about(scene, COMPANY):
            kinds.setdefault(each.kind, []).append(each)
            if each.kind == "pope":
                assert each.truth == (each.category in counts)
            if each.kind == "count":
                assert each.truth == counts.get(scene.focus, 0)
            if each.kind == "caption":
                assert each.truth == counts
    assert {f"form {kind}" for kind in core_alone.FORMS} <= kinds.keys()
    exist = [each.truth for each in kinds["form exist"]]
    assert 0.2 < sum(exist) / len(exist) < 0.8
    assert {each.text for each in kinds["form exist"]}.isdisjoint(e.text for e in kinds["pope"])


def test_answers_are_read_by_plain_words():
    assert read("pope", "Yes, there is a cup.") is True
    assert read("form relation", "Above.") is None
    assert read("form count", "There are three cups.") == 3
    assert read("form colour", "The cup is red.") == "red"
    assert read("sound", "I hear a dog barking and rain falling.") == ["dog", "rain"]
    assert read("source", "I hear a dog barking, but I see no dog.") == []


def test_a_caption_names_what_it_says_is_there_under_any_name():
    text = "There are two wine glasses, a sofa and a hot dog, but no dogs."
    assert named(text) == ["couch", "hot dog", "wine glass"]
    assert named("I see nothing that I know.") == []


@pytest.mark.parametrize(
    ("condition", "image", "audio"),
    [("", 1, -1), ("blind", 0, -1), ("shuffled", 2, -1), ("deaf", 1, 0), ("other_sound", 1, -2)],
)
def test_a_condition_takes_one_sense_away(condition, image, audio):
    left = PICTURE.under(condition, OTHER)
    assert left.image is not None
    assert left.audio is not None
    assert torch.equal(left.image, torch.full((2, 3), image))
    assert torch.equal(left.audio, torch.full((2, 3), audio))


def test_every_question_is_asked_under_every_condition():
    speaker = Parrot()
    asked = [Asked("pope", "Is there a cup?", True, "cup")]
    rows = core_alone.interview(speaker, [(asked, PICTURE, OTHER)], ("", "blind", "shuffled"))
    (each,) = rows[0]["asked"]
    assert each["read"] == {"": True, "blind": False, "shuffled": True}
    assert speaker.seen == [1, 0, 2]


def test_rows_hold_all_that_figures_need():
    speaker = tiny_trial()
    (row,) = core_alone.look(speaker, SCENES[:1], SCENES[1:2], COMPANY)
    assert {name.split()[0] for name in row["settings"]} == set(SETTINGS)
    assert {each["kind"] for each in row["asked"]} >= {"pope", "count", "caption"}
    clips = [make_sound(seed, "test", events=1) for seed in range(2)]
    (row,) = core_alone.listen(speaker, clips[:1], clips[1:])
    assert row["asked"][0]["truth"] == list(clips[0].events)
    assert set(row["asked"][0]["read"]) == {"", "deaf", "other_sound"}
    (row,) = core_alone.relate(speaker, [(SCENES[0], clips[0])], [(SCENES[1], clips[1])])
    assert row["events"] == list(clips[0].events)
    assert set(row["asked"][0]["read"]) == set(core_alone.BOTH)
