"""Lessons: what is packed together, batches that follow from their key, names before answers."""

import re

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from nuthatch.mllm.config import CoreConfig
from nuthatch.tools.vocabulary import CATEGORIES, canonical
from nuthatch.training.collate import IGNORED
from nuthatch.training.config import ConfigError
from nuthatch.training.data.layouts import draw_layout
from nuthatch.training.data.sample import Draw, Picture, Sound
from nuthatch.training.stages.lessons import Lessons, spellings
from nuthatch.training.stages.read_and_call import texts
from nuthatch.training.tokenizer import train_tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(texts(80), vocab_size=1024)


@pytest.fixture
def lessons(tokenizer) -> Lessons:
    return Lessons(tokenizer, queries=4, tokens=1280)


def test_a_batch_follows_from_its_key(lessons):
    (one, names), (again, same), (other, _) = (
        lessons.batch(*key) for key in [(1, 5), (1, 5), (6,)]
    )
    assert torch.equal(one.input_ids, again.input_ids)
    assert torch.equal(names, same)
    assert one.media == again.media
    assert not torch.equal(one.input_ids, other.input_ids)


def test_rows_are_nearly_full_and_every_medium_has_its_places(lessons):
    placeholders = torch.tensor(CoreConfig.embedded().media_token_ids)
    filled = []
    for step in range(6):
        batch, _ = lessons.batch(0, step)
        assert batch.input_ids.shape == (1, 1280)
        assert int(torch.isin(batch.input_ids, placeholders).sum()) == 4 * len(batch.media)
        filled.append(float((batch.groups >= 0).float().mean()))
    assert sum(filled) / len(filled) > 0.85


def test_echoes_say_again_what_was_said_and_grow(lessons, tokenizer):
    bare, _ = spellings(tokenizer)
    longest, respelt = [], 0
    for progress in (0.0, 1.0):
        drill = lessons.echoes(progress)
        lengths = []
        for index in range(40):
            group = drill.echo(Draw.of("echo", index)).group
            (branch,), (said,) = group.branches, group.answers
            answer = branch[said > 0]
            asked = branch[2 : 2 + len(answer) - 1]
            assert list(asked[1:]) == list(answer[1:-1])
            assert answer[0] == bare.get(asked[0], asked[0])
            respelt += answer[0] != asked[0]
            lengths.append(len(asked))
        longest.append(max(lengths))
    assert longest[0] <= 6 < 30 < longest[1] <= 40
    assert respelt > 20, "a first piece is asked with a space and said without"


def test_half_of_the_echoes_repeat_tokens_so_that_the_last_one_does_not_tell_the_next(lessons):
    repeating = 0
    for index in range(60):
        (branch,) = lessons.echo(Draw.of("echo", index)).group.branches
        asked = list(branch[3 : list(branch).index(branch[-1])])
        repeating += len(set(asked)) <= max(2, len(asked) // 2) and len(asked) > 4
    assert 15 <= repeating <= 45


def test_numbers_are_said_again_as_a_list(lessons, tokenizer):
    for index in range(40):
        group = lessons.numbers(Draw.of("numbers", index)).group
        (branch,), (said,) = group.branches, group.answers
        asked, answer = tokenizer.decode(branch[said == 0]), tokenizer.decode(branch[said > 0])
        assert re.findall(r"\d+", asked) == re.findall(r"\d+", answer)
        assert re.fullmatch(r"\[\d+(,\d+)*\].*", answer)


def test_questions_about_one_picture_share_it(lessons):
    lesson = lessons.sight(Draw.of("shared"), number=5)
    assert len(lesson.group.branches) == len(lesson.names) == 5
    assert len(lesson.group.prefix) > 4
    assert all(len(branch) < 80 for branch in lesson.group.branches)


def test_dialogues_that_are_offered_the_same_tools_share_nothing_else(lessons, tokenizer):
    user = tokenizer.convert_tokens_to_ids("<|user|>")
    for index in range(20):
        group = lessons.offered(Draw.of("offered", index)).group
        assert user not in group.prefix
        assert all(branch[0] == user for branch in group.branches)


def test_the_name_that_is_asked_for_stands_before_the_answer(lessons, tokenizer):
    said = asked = 0
    for step in range(12):
        batch, names = lessons.batch("names", step)
        asked += int((names >= 0).sum())
        for row, at in (names >= 0).nonzero().tolist():
            assert tokenizer.decode(batch.input_ids[row, at]) == "<|assistant|>"
            assert batch.labels[row, at] == IGNORED
            assert batch.labels[row, at + 1] != IGNORED
            own = (batch.groups[row] == batch.groups[row, at]) & (
                batch.branches[row] == batch.branches[row, at]
            )
            own &= batch.labels[row] == IGNORED
            text = tokenizer.decode(batch.input_ids[row][own]).lower()
            words = text.replace("?", " ").replace(".", " ").split()
            spans = {" ".join(words[i : i + n]) for n in (1, 2) for i in range(len(words))}
            name = CATEGORIES[int(names[row, at])]
            said += name in {canonical(span) for span in spans}
    assert said > 0.8 * asked > 10


def test_where_tools_look_what_they_observed_counts_and_not_what_is_seen(lessons):
    media = {"image_1": Picture(draw_layout(Draw.of("own"))), "audio_1": Sound(("bell",))}
    others = lessons._others(Draw.of("others"), media)
    assert others.keys() == media.keys()
    assert [type(each) for each in others.values()] == [Picture, Sound]
    assert others["image_1"].layout != media["image_1"].layout


def test_pictures_may_be_scenes_known_by_their_seed(tokenizer, monkeypatch):
    monkeypatch.setattr("nuthatch.training.stages.lessons.SWAPPED", 0)
    lessons = Lessons(
        tokenizer,
        4,
        scenes=1.0,
        scenes_of_dialogues=1.0,
        first_scene=70,
        shares={"sight": 1, "offered": 1},
    )
    pictures = [
        each
        for index in range(8)
        for each in lessons.lesson(Draw.of("scenes", index)).group.media
        if isinstance(each, Picture)
    ]
    assert pictures
    assert all(each.seed is not None and each.seed >= 70 for each in pictures)


def test_colours_are_asked_only_where_queries_can_tell_them(tokenizer):
    plain, coloured = (Lessons(tokenizer, 4, colours=each) for each in (False, True))
    kinds = []
    for lessons in (plain, coloured):
        media = {"image_1": lessons.picture(Draw.of("colours"))}
        asked = lessons.questions(Draw.of("colours"), media, 60, _training())
        kinds.append({each.kind for each in asked})
    assert "colour" not in kinds[0]
    assert "colour" in kinds[1]


def _training():
    from nuthatch.training.data.sample import TRAINING

    return TRAINING


def test_a_share_of_no_known_kind_names_the_nearest_one(tokenizer):
    with pytest.raises(ConfigError, match=r"'shares\.sigth'; did you mean 'sight'"):
        Lessons(tokenizer, 4, shares={"sigth": 1})
