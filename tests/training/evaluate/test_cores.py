import pytest
import torch

from nuthatch.mllm.config import CoreConfig
from nuthatch.tools.faults import ToolUnavailable
from nuthatch.training.evaluate import cores
from nuthatch.training.evaluate.first_turns import conversation, dead_handles, drawn, is_valid
from tests.training.evaluate.trials import save, tiny_trial


@pytest.fixture(autouse=True)
def _none_ships(monkeypatch, tmp_path):
    monkeypatch.setattr(cores, "EMBEDDED", tmp_path / "none")
    cores.load.cache_clear()


def test_a_core_that_is_missing_is_an_error_that_says_what_to_do(tmp_path):
    for weights in ("", str(tmp_path)):
        with pytest.raises(ToolUnavailable, match=r"no core in .*nuthatch train embedded.*random"):
            cores.load(weights)


def test_a_core_comes_from_its_folder(tmp_path):
    folder = save(tiny_trial(), tmp_path / "core")
    assert cores.is_core(folder)
    loaded = cores.load(str(folder))
    whole = tiny_trial().core.state_dict()
    assert all(torch.equal(value, whole[name]) for name, value in loaded.core.state_dict().items())
    assert folder / "model.safetensors" in cores.files(str(folder))


def test_random_weights_call_what_tools_take_and_no_dead_handle(monkeypatch, tmp_path):
    monkeypatch.setattr(cores, "SAMPLES_READ", 30)
    trial = cores._random(CoreConfig.tiny(text_config=SMALL))
    planner = cores.planner(trial, always_call=True)
    calls = 0
    for index, kind in enumerate(["seen", "branches", "unseen_tools"]):
        case = drawn(kind, 0, index)
        talk = conversation(case, tmp_path)
        turn = planner.plan(talk)
        assert isinstance(turn, list)
        for call in turn:
            calls += 1
            assert is_valid(call, case.tools), call
            assert not dead_handles(call, case.tools, talk.media)
    assert calls >= 3


SMALL = {
    "vocab_size": 600,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 2048,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 7,
}
