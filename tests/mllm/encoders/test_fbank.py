import pytest
import torch
from safetensors.torch import load_file

from nuthatch.mllm.encoders.fbank import (
    BEATS_MEAN,
    BEATS_STD,
    beats_filter_bank,
    kaldi_filter_bank,
)
from tests.paths import GOLDEN

TOLERANCE = 2e-3  # float32 against float32, natural-log units over a span of 40


@pytest.fixture(scope="module")
def golden() -> dict[str, torch.Tensor]:
    return load_file(GOLDEN / "fbank.safetensors")


@pytest.mark.parametrize("bins", [64, 128])
def test_agrees_with_the_reference_filter_bank(golden: dict[str, torch.Tensor], bins: int) -> None:
    ours = kaldi_filter_bank(golden["waveform_int16"].float(), bins)
    torch.testing.assert_close(ours, golden[f"fbank_{bins}"], atol=TOLERANCE, rtol=0)


def test_agrees_with_imagebinds_variant(golden: dict[str, torch.Tensor]) -> None:
    wave = golden["waveform_int16"].float() / 2**15
    ours = kaldi_filter_bank(wave - wave.mean(), 128, window="hanning")
    torch.testing.assert_close(
        ours, golden["imagebind_fbank_128"].reshape(98, 128), atol=TOLERANCE, rtol=0
    )


def test_beats_input_is_the_normalised_bank_of_16_bit_amplitudes(
    golden: dict[str, torch.Tensor],
) -> None:
    ours = beats_filter_bank(golden["waveform_int16"].float() / 2**15, 64)
    expected = (golden["fbank_64"] - BEATS_MEAN) / (2 * BEATS_STD)
    torch.testing.assert_close(ours, expected, atol=TOLERANCE / (2 * BEATS_STD), rtol=0)


def test_rows_of_a_batch_are_independent() -> None:
    waves = torch.randn(2, 3, 1000, generator=torch.Generator().manual_seed(0))
    batched = kaldi_filter_bank(waves, 64)
    assert batched.shape == (2, 3, 4, 64)
    torch.testing.assert_close(batched[1, 2], kaldi_filter_bank(waves[1, 2], 64))


def test_silence_is_the_floor() -> None:
    floor = torch.tensor(torch.finfo(torch.float32).eps).log()
    assert (kaldi_filter_bank(torch.zeros(400), 64) == floor).all()


def test_only_whole_frames_count() -> None:
    lengths = (400, 559, 560, 160_000)
    assert [len(kaldi_filter_bank(torch.zeros(n), 8)) for n in lengths] == [1, 1, 2, 998]


def test_too_short_a_sound_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"shape \(399,\).*at least 400.*pad"):
        kaldi_filter_bank(torch.zeros(399), 64)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_samples_that_are_not_finite_are_an_error(bad: float) -> None:
    wave = torch.zeros(800)
    wave[500] = bad
    with pytest.raises(ValueError, match="NaN or infinity"):
        beats_filter_bank(wave)
