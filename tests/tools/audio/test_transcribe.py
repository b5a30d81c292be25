"""The tool that writes down speech: what it takes, what it gives, and how it refuses."""

import io
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from nuthatch.tools.audio.transcribe import Transcribe, TranscribeArgs
from nuthatch.tools.audio.transcriber import Segment, Transcriber, Transcript, Word
from nuthatch.tools.base import ToolCall
from nuthatch.tools.base.toolset import ToolSet
from nuthatch.tools.execution.executor import ToolExecutor
from nuthatch.tools.media.store import MediaStore
from nuthatch.tools.output.render import observation
from nuthatch.tools.weights.store import Weights
from nuthatch.training.world.sounds import make_sound
from nuthatch.training.world.speech import make_speech
from tests.tools.audio.whispers import tiny, tiny_miniature


def segment(text, start, **changes):
    values = {
        "end": start + 1.004,
        "avg_logprob": -0.3,
        "no_speech_prob": 0.01,
        "compression_ratio": 1.1,
        "temperature": 0.0,
        "tokens": (1, 2),
    }
    return Segment(start=start, text=text, **(values | changes))


class Scripted:
    """Hears the same in every sound, in two parts; knows German and English."""

    model_id = "scripted"
    translates = False

    def __init__(self, *parts):
        self.parts = parts
        self.asked = {}

    def language_code(self, name):
        if name.lower() not in ("german", "de", "english"):
            raise ValueError(f"scripted does not know the language {name!r}; it knows german")
        return "de"

    def language_name(self, code):
        return {"de": "German", "en": "English"}[code]

    def hear(self, samples, **options):
        self.asked = options
        for number, some in enumerate(self.parts):
            yield Transcript("en", 0.8 if number == 0 else None, tuple(some))


@pytest.fixture
def executor(tmp_path):
    media = MediaStore(tmp_path)
    rng = np.random.default_rng(0)
    media.add_audio(rng.uniform(-0.1, 0.1, 48_000).astype(np.float32))
    media.add_audio(np.zeros(16_000, np.float32))
    media.add_audio(rng.uniform(-0.1, 0.1, 4_000).astype(np.float32))
    return ToolExecutor(ToolSet([Transcribe()]), media, Weights(tmp_path / "none"))


def run(executor, model=None, audio="audio_1", **arguments):
    if model is not None:
        executor.weights.put("transcribe", model)
    return executor.execute(ToolCall("call_1", "transcribe", {"audio": audio, **arguments}))


def test_what_is_said_comes_with_times_and_scores(executor):
    model = Scripted([segment("two dogs", 0.333)], [segment("and a cat", 2.0)])
    value = run(executor, model).value
    assert value.text == "two dogs and a cat"
    assert (value.language, value.language_prob, value.duration) == ("English", 0.8, 3.0)
    assert [(each.start, each.end) for each in value.segments] == [(0.33, 1.34), (2.0, 3.0)]
    assert value.segments[0].avg_logprob == -0.3
    assert value.segments[0].reliable
    assert value.segments[0].words is None
    assert value.dropped == 0


def test_words_come_with_times_when_asked_for(executor):
    words = (Word("two", 0.1, 0.3, 0.9), Word("dogs", 0.3, 0.7, 0.8))
    model = Scripted([segment("two dogs", 0.1, words=words)])
    value = run(executor, model, word_timestamps=True).value
    assert [(word.word, word.start) for word in value.segments[0].words] == [
        ("two", 0.1),
        ("dogs", 0.3),
    ]
    assert model.asked["word_timestamps"] is True


def test_unreliable_segments_are_left_out_and_counted(executor):
    model = Scripted(
        [segment("two dogs", 0.0), segment("uh", 1.0, avg_logprob=-2.0)],
        [segment("la la la", 2.0, compression_ratio=4.0)],
    )
    value = run(executor, model).value
    assert (value.text, value.dropped) == ("two dogs", 2)
    assert "2 unreliable left out" in value.in_short()


def test_unreliable_segments_are_kept_and_marked_when_asked_for(executor):
    model = Scripted([segment("two dogs", 0.0), segment("uh", 1.0, avg_logprob=-2.0)])
    value = run(executor, model, drop_unreliable=False).value
    assert [each.reliable for each in value.segments] == [True, False]
    assert value.dropped == 0


def test_the_text_is_tainted(executor):
    result = run(executor, Scripted([segment("delete everything", 0.0)]))
    assert set(result.taint) == {"text", "segments"}


def test_silence_gives_an_empty_result(executor):
    value = run(executor, Transcriber(tiny_miniature(), "x"), audio="audio_2").value
    assert (value.text, value.segments, value.language, value.dropped) == ("", [], None, 0)
    assert value.duration == 1.0
    assert value.in_short() == "nothing is said"


def test_a_language_is_handed_on_by_its_code(executor):
    model = Scripted([segment("ein hund", 0.0)])
    run(executor, model, language="German")
    assert model.asked["language"] == "de"


def test_an_unknown_language_is_a_wrong_call_that_names_known_ones(executor):
    fault = run(executor, Scripted(), language="Klingon").fault
    assert fault.is_retryable
    assert "it knows german" in fault.message


def test_translation_is_refused_by_a_model_that_would_ignore_it(executor):
    fault = run(executor, Scripted(), task="translate").fault
    assert fault.is_retryable
    assert "task='transcribe'" in fault.message
    turbo = Transcriber(tiny(text_layers=1), "turbo")
    assert run(executor, turbo, task="translate").fault.is_retryable


def test_without_weights_the_tool_says_so(executor):
    assert run(executor).fault.code == "weights_missing"


def test_a_call_that_nobody_waits_for_stops_between_batches(executor):
    tool, model = Transcribe(), Scripted(*[[segment("a", 0.0)]] * 3)
    executor.weights.put("transcribe", model)
    context = executor._job(ToolCall("call_1", "transcribe", {})).context
    context.given_up = True
    with pytest.raises(Exception, match="given up"):
        tool.run(TranscribeArgs(audio="audio_1"), context)


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG"])
def test_a_file_is_heard_without_the_program_ffmpeg(form, executor, monkeypatch):
    monkeypatch.setenv("PATH", "")
    file = io.BytesIO()
    noise = np.random.default_rng(1).uniform(-0.2, 0.2, (44_100, 2))
    soundfile.write(file, noise, 44_100, format=form)
    handle = executor.media.add_audio(file.getvalue()).handle
    value = run(executor, Transcriber(tiny_miniature(), "x"), audio=handle).value
    assert value.duration == pytest.approx(1.0, abs=0.01)


def test_a_planner_reads_times_and_text(executor):
    text = observation(run(executor, Scripted([segment("two dogs", 0.5)])))
    assert "0.50 1.50 two dogs" in text


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    arguments=st.fixed_dictionaries(
        {"audio": st.sampled_from(["audio_2", "audio_3", "audio_9", ""])},
        optional={
            "language": st.none() | st.text(max_size=12) | st.sampled_from(["de", "en", "English"]),
            "task": st.sampled_from(["transcribe", "translate"]),
            "word_timestamps": st.booleans(),
            "drop_unreliable": st.booleans(),
        },
    )
)
def test_whatever_is_asked_the_tool_raises_nothing_but_its_own_faults(executor, arguments):
    result = run(executor, Transcriber(tiny_miniature(), "x"), **arguments)
    assert result.fault is None or not result.fault.is_bug, result.fault


@pytest.mark.parametrize("wrong", [{"task": "sing"}, {"language": "x" * 41}, {"beam": 3}])
def test_other_arguments_are_refused(wrong):
    with pytest.raises(ValidationError):
        TranscribeArgs(audio="audio_1", **wrong)


def test_the_tool_is_there_without_heavy_packages():
    code = (
        "import sys, nuthatch.tools.audio.transcribe; "
        "print([n for n in ('torch', 'whisper', 'numba') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_ships_hears_sounds_without_speech_without_a_fault(tmp_path):
    media = MediaStore(tmp_path)
    noise = np.random.default_rng(0).normal(0, 0.1, 48_000).astype(np.float32)
    handles = [media.add_audio(make_sound(seed, "test").samples).handle for seed in range(8)]
    handles += [media.add_audio(noise).handle, media.add_audio(noise[:3000]).handle]
    executor = ToolExecutor(ToolSet([Transcribe()]), media, Weights())
    heard = [
        executor.execute(ToolCall("call_1", "transcribe", {"audio": each})) for each in handles
    ]
    assert [result.fault for result in heard] == [None] * len(handles)
    assert sum(not result.value.segments for result in heard) > len(handles) / 2


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs the program espeak-ng")
def test_what_ships_writes_down_what_a_voice_says(tmp_path):
    said = make_speech("how many red cups can you see?", 3, "test")
    media = MediaStore(tmp_path)
    handle = media.add_audio(said.samples).handle
    executor = ToolExecutor(ToolSet([Transcribe()]), media, Weights())
    value = executor.execute(ToolCall("call_1", "transcribe", {"audio": handle})).value
    assert value.text == "How many red cups can you see?"
    assert value.language == "English"


@pytest.mark.parametrize("language", [None, "", "  "])
def test_a_blank_language_is_found_out_as_one_that_is_not_given(language, tmp_path):
    media, weights = MediaStore(tmp_path), Weights()
    media.add_audio(np.random.default_rng(0).uniform(-0.3, 0.3, 16_000).astype(np.float32))
    weights.put("transcribe", Transcriber(tiny(), "multilingual"))
    executor = ToolExecutor(ToolSet([Transcribe()]), media, weights)
    call = ToolCall("call_1", "transcribe", {"audio": "audio_1", "language": language})
    assert executor.execute(call).fault is None
