import numpy as np
import pytest

from nuthatch.tools.vocabulary import SOUNDS
from nuthatch.training.world.sounds import EVENTS, ROOM, active_level, make_sound
from nuthatch.training.world.synthesis import SAMPLE_RATE, Draw, Range, phase, pulses, string

RANGES = {
    f"{owner}.{name}": each
    for owner, ranges in [("room", ROOM), *((name, e.ranges) for name, e in EVENTS.items())]
    for name, each in ranges.items()
}


def test_every_sound_of_the_vocabulary_can_be_made() -> None:
    assert set(EVENTS) == set(SOUNDS)


@pytest.mark.parametrize("event", SOUNDS)
@pytest.mark.parametrize("parameters", ["seen", "held_out"])
def test_a_clip_is_finite_mono_sound_of_2_to_4_seconds(event: str, parameters: str) -> None:
    for seed in range(3):
        clip = make_sound(seed, "test", events=(event,), parameters=parameters)  # type: ignore[arg-type]
        assert clip.samples.dtype == np.float32
        assert 2 * SAMPLE_RATE <= len(clip.samples) <= 4 * SAMPLE_RATE
        assert np.isfinite(clip.samples).all()
        assert 0.04 < np.abs(clip.samples).max() <= 0.96
        assert clip.events == (event,)


def test_the_same_arguments_always_make_the_same_clip() -> None:
    first, again = make_sound(5, "test"), make_sound(5, "test")
    assert (first.events, first.levels_db) == (again.events, again.levels_db)
    np.testing.assert_array_equal(first.samples, again.samples)


def test_splits_and_parameters_share_no_clip() -> None:
    clips = [
        make_sound(5, "train", events=("bell",)),
        make_sound(5, "calibrate", events=("bell",)),
        make_sound(5, "test", events=("bell",)),
        make_sound(5, "test", events=("bell",), parameters="held_out"),
    ]
    assert len({clip.samples.tobytes() for clip in clips}) == 4


@pytest.mark.parametrize("name", RANGES)
def test_held_out_values_are_disjoint_from_seen_ones(name: str) -> None:
    rng = np.random.default_rng(0)
    low, high = RANGES[name].held_out
    seen = np.array([RANGES[name].draw(rng, "seen") for _ in range(200)])
    held_out = np.array([RANGES[name].draw(rng, "held_out") for _ in range(50)])
    slack = 1e-9 * high
    assert not ((seen > low + slack) & (seen < high - slack)).any()
    assert ((held_out >= low - slack) & (held_out <= high + slack)).all()
    for below, above in RANGES[name].pieces("seen"):
        assert ((seen >= below - slack) & (seen <= above + slack)).any(), "each side is drawn"


@pytest.mark.parametrize("event", SOUNDS)
def test_every_parameter_with_a_held_out_part_is_used(event: str) -> None:
    drawn: set[str] = set()

    class Noting(Draw):
        def __call__(self, name: str) -> float:
            drawn.add(name)
            return super().__call__(name)

    for seed in range(12):
        rng = np.random.default_rng(seed)
        EVENTS[event].synthesise(Noting(rng, EVENTS[event].ranges, "seen"), SAMPLE_RATE)
    assert drawn == set(EVENTS[event].ranges)


def test_a_mixture_holds_two_different_events_up_to_10_db_apart() -> None:
    clips = [make_sound(seed, "test", events=2) for seed in range(40)]
    assert all(len(set(clip.events)) == 2 for clip in clips)
    differences = np.array([clip.levels_db[0] - clip.levels_db[1] for clip in clips])
    assert differences.min() >= 0
    assert differences.max() <= 10
    assert np.ptp(differences) > 5
    assert len({name for clip in clips for name in clip.events}) == len(SOUNDS)


def test_background_alone_has_no_event() -> None:
    assert make_sound(0, "test", events=0).events == ()


def test_a_drawn_number_of_events_is_one_or_two() -> None:
    assert {len(make_sound(seed, "test").events) for seed in range(12)} == {1, 2}


def test_named_events_come_loudest_first() -> None:
    clip = make_sound(0, "test", events=("cow", "bird"))
    assert clip.events == ("cow", "bird")
    assert clip.levels_db[0] == 0.0 > clip.levels_db[1]


def test_sparse_ticks_count_at_the_level_of_the_ticks() -> None:
    ticks = np.zeros(SAMPLE_RATE, np.float32)
    ticks[::4000] = 1.0
    assert active_level(ticks) > 3 * float(np.sqrt(np.mean(ticks**2)))


@pytest.mark.parametrize("events", [3, -1, ("cup",), "dog", ("dog", "dog"), ()])
def test_events_that_cannot_be_meant_are_errors(events: object) -> None:
    with pytest.raises(ValueError, match="events"):
        make_sound(0, events=events)  # type: ignore[arg-type]


def test_held_out_parameters_are_never_trained_on() -> None:
    with pytest.raises(ValueError, match="never trained on"):
        make_sound(0, "train", parameters="held_out")


def test_an_unknown_split_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="train, calibrate, test"):
        make_sound(0, "dev")  # type: ignore[arg-type]


def test_a_range_that_holds_everything_or_more_out_is_an_error() -> None:
    for low, high, held_out in ((1, 2, (1, 2)), (1, 2, (1.5, 3)), (0, 2, (1, 2))):
        with pytest.raises(ValueError, match="proper part"):
            Range(low, high, held_out)


def test_pulses_have_the_harmonics_they_promise() -> None:
    tone = pulses(phase(500.0, SAMPLE_RATE), 0.5, 500.0)
    spectrum = np.abs(np.fft.rfft(tone))
    assert spectrum[1000] / spectrum[500] == pytest.approx(0.5, rel=0.01)
    assert spectrum[750] < 1e-3 * spectrum[500]


def test_a_plucked_string_sounds_at_its_pitch_and_dies_away() -> None:
    excitation = np.random.default_rng(0).standard_normal(80).astype(np.float32)
    sound = string(excitation, SAMPLE_RATE, 0.5, 0.99)
    spectrum = np.abs(np.fft.rfft(sound))
    assert abs(int(spectrum[50:].argmax()) + 50 - SAMPLE_RATE / 80.5) <= 2
    assert np.abs(sound[-1000:]).max() < 0.1 * np.abs(sound[:1000]).max()
