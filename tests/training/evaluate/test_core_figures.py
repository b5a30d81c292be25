import pytest

from nuthatch.training.evaluate import core_figures
from nuthatch.training.evaluate.checking import deciders


def asked(kind: str, truth: object, category: str | None = None, **said: object) -> dict:
    read = {name.removeprefix("plain"): value for name, value in said.items()}
    return {"kind": kind, "truth": truth, "category": category, "read": read}


def seen(kind: str, truth: object, plain: object, category: str | None = None) -> dict:
    """Without its eyes it says nothing that can be read."""
    nothing = [] if kind == "caption" else None
    return asked(kind, truth, category, plain=plain, blind=nothing, shuffled=nothing)


ROWS = [
    {
        "settings": {"random cup": True, "random dog": False, "popular cup": True},
        "asked": [
            seen("pope", True, True, "cup"),
            seen("pope", False, True, "dog"),
            seen("count", 1, 1),
            seen("caption", {"cup": 1, "cat": 2}, ["cup", "dog"]),
            seen("form exist", True, True),
        ],
    },
    {
        "settings": {"random cat": True},
        "asked": [
            seen("pope", True, None, "cat"),
            seen("count", 1, 2),
            seen("count", 3, 3),
            seen("count", 6, 6),
            seen("caption", {"cat": 1}, ["cat"]),
            seen("form exist", False, True),
        ],
    },
]


def test_pope_is_told_by_setting_and_what_cannot_be_read_is_wrong_and_no_yes():
    figures = core_figures.sight(ROWS)
    assert figures["core_pope_random_accuracy"].value == pytest.approx(1 / 3)
    assert figures["core_pope_random_accuracy"].n == 3
    assert figures["core_pope_random_yes_ratio"].value == pytest.approx(2 / 3)
    assert figures["core_pope_popular_f1"].value == 1.0
    assert figures["core_pope_adversarial_f1"].n == 0
    assert figures["core_pope_random_accuracy_blind"].value == 0.0
    assert figures["core_pope_random_yes_ratio_shuffled"].value == 0.0


def test_counts_are_averaged_over_numbers_up_to_four():
    figures = core_figures.sight(ROWS, "_variant")
    assert figures["core_count_macro_variant"].value == pytest.approx((0.5 + 1) / 2)
    assert figures["core_count_macro_variant"].n == 3
    assert core_figures.by_count(ROWS)["6"].value == 1.0


def test_captions_are_right_in_what_they_name_and_name_what_is_there():
    figures = core_figures.sight(ROWS)
    assert figures["core_caption_precision"].value == pytest.approx(2 / 3)
    assert figures["core_caption_recall"].value == pytest.approx(2 / 3)
    assert figures["core_caption_recall_blind"].value == 0.0


def test_held_out_forms_are_told_by_kind():
    figures = core_figures.sight(ROWS)
    assert figures["core_form_exist"].value == 0.5
    assert figures["core_form_colour"].n == 0


def test_a_sound_leads_to_an_object_and_two_senses_know_when_there_is_none():
    def source(truth: list[str], said: list[str], *events: str) -> dict:
        lost: dict = {name: [] for name in ("blind", "shuffled", "deaf", "other_sound")}
        return {"events": list(events), "asked": [asked("source", truth, plain=said, **lost)]}

    rows = [
        source(["dog"], ["dog"], "dog"),
        source([], ["dog"], "dog"),
        source([], [], "bell", "dog"),
    ]
    figures = core_figures.senses(rows)
    assert (figures["core_sound_to_object"].value, figures["core_sound_to_object"].n) == (1.0, 1)
    assert figures["core_sound_to_object_deaf"].value == 0.0
    assert figures["core_two_senses"].value == pytest.approx(2 / 3)
    assert figures["core_two_senses_blind"].value == pytest.approx(2 / 3)


def test_all_events_of_a_clip_must_be_heard_and_no_other():
    said = {"deaf": [], "other_sound": ["dog"]}
    rows = [
        {"asked": [asked("sound", ["bell", "dog"], plain=["bell", "dog"], **said)]},
        {"asked": [asked("sound", ["bell", "dog"], plain=["bell"], **said)]},
    ]
    figures = core_figures.hearing(rows, "_held_out")
    assert figures["core_sound_pair_held_out"].value == 0.5
    assert figures["core_sound_pair_held_out_deaf"].value == 0.0


def test_what_the_verifier_did_is_told_before_and_after():
    def polled(label: bool, core: bool | None, verified: bool, *verdicts: list[str]) -> dict:
        return {
            "setting": "random", "category": "cup", "label": label, "core": core,
            "verified": verified, "verdicts": list(verdicts),
        }  # fmt: skip

    rows = [
        {
            "pope": [
                polled(True, True, True, ["existence.agree", "supported"]),
                polled(False, True, False, ["existence.absent", "refuted"]),
                polled(False, None, False, ["existence.absent", "refuted"]),
            ],
            "counts": {"cup": 1},
            "caption": ["cup", "dog"],
            "caption_verified": ["cup"],
            "written": {"verdicts": [], "facts": []},
        }
    ]
    figures = core_figures.checked(rows)
    assert figures["core_pope_random_accuracy_unverified"].value == pytest.approx(1 / 3)
    assert figures["core_pope_random_accuracy_verified"].value == 1.0
    assert figures["core_caption_precision_unverified"].value == 0.5
    assert figures["core_caption_precision_verified"].value == 1.0
    table = deciders(core_figures.verdicts(rows))
    assert table["existence.agree"] == {"verdicts": 1, "known": 1, "right": 1}
    assert table["existence.absent"] == {"verdicts": 1, "known": 1, "right": 1}
