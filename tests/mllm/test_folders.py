"""A model that is not here is said to be missing, and nobody is asked for it."""

import socket

import pytest

from nuthatch.mllm.core import Core
from nuthatch.mllm.folders import local_only
from nuthatch.mllm.processing import CoreProcessor


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    hosts: list[str] = []

    def look_up(host, *_, **__):
        hosts.append(host)
        raise socket.gaierror(-2, "no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return hosts


@pytest.mark.parametrize("load", [Core.from_pretrained, CoreProcessor.from_pretrained])
@pytest.mark.parametrize("name", ["chatbridge-13b", "owner/repository", "x" * 500])
def test_a_missing_folder_is_said_to_be_missing(load, name, asked):
    with pytest.raises(FileNotFoundError, match="there is no folder") as caught:
        load(name)
    assert "hub=True" in str(caught.value)
    assert len(str(caught.value)) < 250
    assert asked == []


def test_a_folder_without_a_model_asks_nobody(tmp_path, asked):
    with pytest.raises(OSError, match="no file named"):
        Core.from_pretrained(tmp_path)
    assert asked == []


def test_the_hub_is_asked_when_told_to(tmp_path):
    assert local_only("owner/repository", hub=True) is False
    assert local_only(tmp_path, hub=True) is True
