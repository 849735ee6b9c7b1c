import pytest
from tests.routing.test_rules import channel

from halley.kernel.vault import Vault
from halley.routing import open_headers, seal_headers

HEADERS = (("x-team", "blue"), ("x-key", "a secret"))


@pytest.fixture
def vault() -> Vault:
    return Vault(b"s" * 32)


def test_headers_are_sealed_and_opened_again(vault: Vault):
    sealed = seal_headers(vault, "ch_1", HEADERS)
    assert sealed is not None
    assert b"secret" not in sealed
    assert open_headers(vault, channel("ch_1", headers=sealed)) == HEADERS


def test_no_headers_are_nothing(vault: Vault):
    assert seal_headers(vault, "ch_1", ()) is None
    assert open_headers(vault, channel("ch_1")) == ()


def test_headers_of_one_channel_open_for_no_other(vault: Vault):
    sealed = seal_headers(vault, "ch_1", HEADERS)
    with pytest.raises(ValueError):
        open_headers(vault, channel("ch_2", headers=sealed))
