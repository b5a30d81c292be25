"""Whisper's weights in every form, and long sounds in parts that are decoded together."""

import math
import threading

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from whisper.decoding import DecodingResult
from whisper.tokenizer import get_tokenizer

from nuthatch.tools.audio import transcriber
from nuthatch.tools.audio.transcriber import SAMPLE_RATE, Segment, Transcriber, load, spectra
from nuthatch.tools.audio.whisper_miniature import MiniatureWhisper
from nuthatch.tools.audio.whisper_weights import save
from tests.tools.audio.whispers import TOKENS, dimensions, release, tiny, tiny_miniature


def hum(seconds, pitch=0.1):
    return (0.2 * np.sin(np.arange(int(seconds * SAMPLE_RATE)) * pitch)).astype(np.float32)


def quiet(seconds):
    return np.zeros(int(seconds * SAMPLE_RATE), np.float32)


def heard(one, samples, **options):
    return [segment for part in one.hear(samples, **options) for segment in part.segments]


class Scripted(Transcriber):
    """Says the same of every window, with these scores; remembers what it was given."""

    def __init__(self, model, said, **scores):
        super().__init__(model, "scripted", batch=2)
        self.said, self.scores, self.batches = said, scores, []

    def _decode(self, sound, language, task):
        self.batches.append(len(sound))
        scores = {
            "avg_logprob": -0.2,
            "no_speech_prob": 0.1,
            "compression_ratio": 1.0,
            "temperature": 0.0,
        }
        result = DecodingResult(
            audio_features=sound, language=language, tokens=self.said, **(scores | self.scores)
        )
        return [result] * len(sound)


# -- weights --------------------------------------------------------------------------------------


def test_a_released_file_is_read_strictly_with_the_heads_that_follow_the_speech(tmp_path):
    model = tiny(51864)
    read = load(release(model, tmp_path / "own.pt"))
    torch.testing.assert_close(
        read.model.decoder.token_embedding.weight,
        model.decoder.token_embedding.weight,
        atol=2e-3,
        rtol=2e-3,
    )
    assert read.model_id.startswith("whisper own ")
    assert not read.translates
    assert read.languages == ("en",)


def test_a_file_that_lacks_a_tensor_is_refused(tmp_path):
    folder = release(tiny(), tmp_path / "tiny" / "x.pt")
    held = torch.load(folder / "x.pt", weights_only=True)
    del held["model_state_dict"]["decoder.ln.bias"]
    torch.save(held, folder / "x.pt")
    with pytest.raises(RuntimeError, match=r"decoder\.ln\.bias"):
        load(folder)


def test_a_file_of_something_else_is_refused(tmp_path):
    torch.save({"weights": 1}, tmp_path / "x.pt")
    with pytest.raises(ValueError, match="model_state_dict"):
        load(tmp_path)


def test_sizes_that_are_no_numbers_are_refused(tmp_path):
    folder = release(tiny(), tmp_path / "x.pt")
    held = torch.load(folder / "x.pt", weights_only=True)
    held["dims"]["n_mels"] = "80"
    torch.save(held, folder / "x.pt")
    with pytest.raises(ValueError, match="positive numbers"):
        load(folder)


def test_an_empty_folder_or_two_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"0 \.pt files"):
        load(tmp_path)
    release(tiny(), tmp_path / "a.pt")
    release(tiny(), tmp_path / "b.pt")
    with pytest.raises(ValueError, match=r"2 \.pt files"):
        load(tmp_path)


def test_a_hub_folder_gives_the_logits_of_transformers(tmp_path):
    torch.manual_seed(0)
    config = transformers.WhisperConfig(
        d_model=8,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_target_positions=16,
    )
    theirs = transformers.WhisperForConditionalGeneration(config).eval()
    theirs.save_pretrained(tmp_path)
    ours = load(tmp_path).model
    mel, tokens = torch.randn(1, 80, 3000), torch.tensor([[50258, 50259, 50359, 700]])
    with torch.inference_mode():
        expected = theirs(input_features=mel, decoder_input_ids=tokens).logits
        torch.testing.assert_close(ours(mel, tokens), expected, atol=1e-4, rtol=1e-4)


def test_the_miniature_comes_back_as_it_was_saved(tmp_path):
    model = tiny_miniature()
    save(model, tmp_path)
    read = load(tmp_path).model
    assert isinstance(read, MiniatureWhisper)
    assert read.tokens == TOKENS
    for name, tensor in model.state_dict().items():
        if "encoder.positional" not in name:
            assert torch.equal(read.state_dict()[name], tensor.bfloat16().float()), name


def test_a_miniature_that_lacks_a_tensor_or_has_one_too_many_is_refused(tmp_path):
    save(tiny_miniature(), tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    save_file(state | {"more": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(RuntimeError, match="more"):
        load(tmp_path)
    del state["encoder.conv1.weight"]
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(RuntimeError, match="conv1"):
        load(tmp_path)


def test_the_miniature_says_nothing_but_its_words():
    model = tiny_miniature()
    logits = model(torch.randn(1, 80, 40), torch.tensor([[50257, 50362]]))
    assert logits.shape == (1, 2, 51864)
    assert torch.isfinite(logits[0, 0]).nonzero().flatten().tolist() == sorted(TOKENS)


def test_token_ids_outside_of_the_vocabulary_are_refused():
    with pytest.raises(ValueError, match="below 51864"):
        MiniatureWhisper(dimensions(51864), [3, 60000])
    with pytest.raises(ValueError, match="expected 51864"):
        MiniatureWhisper(dimensions(9), [3])


# -- hearing --------------------------------------------------------------------------------------


def test_a_window_is_read_as_the_package_reads_it(monkeypatch):
    monkeypatch.setattr(transcriber, "TEMPERATURES", (0.0,))
    model, sound = tiny(), np.concatenate([hum(29.9), quiet(0.1)])
    theirs = model.transcribe(sound, temperature=0.0, language="en", fp16=False)
    ours = heard(Transcriber(model, "tiny"), sound, language="en")
    assert " ".join(each.text for each in ours).split() == theirs["text"].split()
    assert ours[0].avg_logprob == pytest.approx(theirs["segments"][0]["avg_logprob"], abs=1e-4)


def test_windows_decoded_together_read_as_one_by_one(monkeypatch):
    monkeypatch.setattr(transcriber, "TEMPERATURES", (0.0,))  # draws depend on the company
    sound = np.concatenate([hum(20), quiet(1), hum(15, 0.3), quiet(1), hum(28, 0.05)])
    model = tiny()
    together = list(Transcriber(model, "x", batch=3).hear(sound, language="en"))
    alone = list(Transcriber(model, "x", batch=1).hear(sound, language="en"))
    assert (len(together), len(alone)) == (1, 3)
    texts = [[each.text for part in parts for each in part.segments] for parts in (together, alone)]
    assert texts[0] == texts[1]


@pytest.mark.parametrize("sound", [quiet(0), quiet(3), 1e-6 * hum(3)])
def test_nothing_is_heard_where_nothing_sounds(sound):
    assert list(Transcriber(tiny_miniature(), "x").hear(sound.astype(np.float32))) == []


def test_times_are_seconds_of_the_whole_sound():
    begin = get_tokenizer(multilingual=True).timestamp_begin
    said = [begin + 50, 3290, begin + 100, begin + 100, 3797, begin + 9999]
    one = Scripted(tiny(), said)
    sound = np.concatenate([quiet(10), hum(4), quiet(40), hum(4), quiet(1)])
    found = heard(one, sound, language="en")
    times = [(round(each.start, 1), round(each.end, 1)) for each in found]
    assert times == [(10.8, 11.8), (11.8, 14.2), (54.8, 55.8), (55.8, 58.2)]


def test_a_model_without_times_gives_one_segment_for_what_is_said_without_a_pause():
    one = Scripted(tiny_miniature(), [3290, 3797])
    found = heard(one, np.concatenate([quiet(1), hum(1), quiet(1), hum(1), quiet(1)]))
    times = [(round(each.start, 1), round(each.end, 1)) for each in found]
    assert times == [(0.8, 2.2), (2.8, 4.2)]


def test_windows_come_in_batches():
    one = Scripted(tiny_miniature(), [3290])
    parts = list(one.hear(np.concatenate([hum(1), quiet(1)] * 5)))
    assert one.batches == [2, 2, 1]
    assert [len(part.segments) for part in parts] == [2, 2, 1]


@pytest.mark.parametrize(
    ("scores", "reliable"),
    [
        ({}, True),
        ({"avg_logprob": -1.1}, False),
        ({"avg_logprob": -1.1, "no_speech_prob": 0.9}, False),
        ({"no_speech_prob": 0.9}, True),
        ({"compression_ratio": 2.5}, False),
        ({"avg_logprob": math.nan}, False),
    ],
)
def test_repeated_and_unlikely_words_are_not_reliable(scores, reliable):
    (segment,) = heard(Scripted(tiny_miniature(), [3290], **scores), hum(1))
    assert segment.reliable is reliable


def test_a_poor_text_is_sampled_anew_and_the_same_every_time():
    model = tiny_miniature()
    first, again = (heard(Transcriber(model, "x"), hum(1.5)) for _ in range(2))
    assert first == again
    assert all(
        isinstance(each, Segment) and (each.temperature > 0 or each.avg_logprob >= -1)
        for each in first
    )


def test_words_have_times_within_their_segment_in_order():
    for model in (tiny(51864), tiny_miniature()):
        one = Scripted(model, [3290, 3797, 262])
        (segment,) = heard(one, np.concatenate([quiet(5), hum(1.5)]), word_timestamps=True)
        assert [word.word for word in segment.words] == ["dog", "cat", "the"]
        times = [time for word in segment.words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert segment.start <= times[0]
        assert times[-1] <= segment.end + 0.05


def test_the_language_is_told_from_several_windows():
    one = Transcriber(tiny(), "tiny")
    (part,) = one.hear(np.concatenate([hum(25), quiet(4), hum(25, 0.3)]))
    table = one.model.detect_language(
        spectra(one.model, [hum(25), hum(25, 0.3)]),
        get_tokenizer(multilingual=True, num_languages=one.model.num_languages),
    )[1]
    assert part.language in one.languages
    mean = sum(each[part.language] for each in table) / 2
    assert part.language_prob == pytest.approx(mean, abs=2e-3)


@pytest.mark.parametrize("name", ["de", "DE", " German", "german"])
def test_a_language_goes_by_its_name_or_code(name):
    assert Transcriber(tiny(), "x").language_code(name) == "de"


@pytest.mark.parametrize("name", ["", "Klingon", "\x00", "en\u00df"])
def test_an_unknown_language_is_refused_with_known_ones(name):
    with pytest.raises(ValueError, match="it knows english, chinese"):
        Transcriber(tiny(), "x").language_code(name)


def test_only_whole_multilingual_models_translate():
    assert Transcriber(tiny(), "x").translates
    assert not Transcriber(tiny(text_layers=1), "turbo").translates
    assert not Transcriber(tiny(51864), "english").translates


def test_two_threads_may_hear_with_one_model():
    one = Transcriber(tiny_miniature(), "x")
    sounds = [hum(1.5, pitch) for pitch in (0.05, 0.1, 0.2, 0.4)]
    expected = [heard(one, sound, word_timestamps=True) for sound in sounds]
    found = {}
    threads = [
        threading.Thread(
            target=lambda i=i: found.update({i: heard(one, sounds[i], word_timestamps=True)})
        )
        for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[i] for i in range(4)] == expected


@pytest.mark.parametrize(
    ("heard", "written"),
    [
        ("do i hear rain? i do. it is loud", "Do I hear rain? I do. It is loud"),
        ("bring 3 dogs.", "Bring 3 dogs."),
        ("", ""),
    ],
)
def test_what_the_miniature_hears_is_written_as_sentences(heard, written):
    assert transcriber._as_sentences(heard) == written


class Everything:
    """A domain that holds all there is."""

    def contains(self, features):
        return np.ones(len(features), bool)


def test_what_was_heard_to_tell_whether_it_is_known_is_not_heard_again():
    one = Scripted(tiny_miniature(), TOKENS)
    one.domain = Everything()
    sound = hum(3)
    sound.flags.writeable = False
    assert one.knows([sound]) == [True]
    decoded = list(one.batches)
    assert [each.known for each in heard(one, sound)] == [True] * len(heard(one, sound))
    assert one.batches == decoded
    heard(one, sound, language="en")
    assert len(one.batches) > len(decoded)


def test_a_sound_that_may_have_changed_is_heard_again():
    one = Scripted(tiny_miniature(), TOKENS)
    one.domain = Everything()
    sound = hum(3)
    one.knows([sound])
    sound[:] = 0
    assert not heard(one, sound)
