"""Class 18: whoever comes first to a new gateway takes it over."""

import re
from collections.abc import Iterator

import pytest
from tests.clients.served import Served, served

_TEST_KEY = re.compile(r"sk-test-\w+")
_SETUP = re.compile(r"setup-\w+")
DEFAULTS = [
    *("admin", "root", "password", "123456", "halley", "default", "sk-test", "sk-admin", "sk-halley", "sk-1234"),
    *("sk-test-development-only", "sk-test-bootstrap-of-the-tests", "changeme", "null", "undefined", "None", "-"),
]


@pytest.fixture(scope="module")
def fresh() -> Iterator[Served]:
    """A gateway that nobody has configured."""
    with served({"HALLEY_BOOTSTRAP_KEY": ""}) as running:
        yield running


def test_a_first_start_shows_a_key_and_a_set_up_secret_that_no_other_start_shows(fresh: Served):
    printed = fresh.first_words
    key, secret = _TEST_KEY.search(printed), _SETUP.search(printed)
    assert key
    assert secret
    assert fresh.ask("GET", "/v1/tasks", key=key[0]).status == 200
    with served({"HALLEY_BOOTSTRAP_KEY": ""}) as other:
        theirs = _TEST_KEY.findall(other.first_words) + _SETUP.findall(other.first_words)
        assert len(theirs) >= 2
        assert {key[0], secret[0]}.isdisjoint(theirs)


def test_the_second_start_shows_neither_and_the_key_still_works(fresh: Served):
    found = _TEST_KEY.search(fresh.first_words)
    assert found
    assert fresh.stop() == 0
    seen = len(fresh.log)
    fresh.start()
    printed = fresh.log[seen:]
    assert not _TEST_KEY.search(printed)
    assert not _SETUP.search(printed)
    assert fresh.ask("GET", "/v1/tasks", key=found[0]).status == 200


def test_neither_is_on_the_disk_as_it_was_shown(fresh: Served):
    shown = [found[0].encode() for each in (_TEST_KEY, _SETUP) if (found := each.search(fresh.first_words))]
    assert len(shown) == 2
    for path in fresh.data.rglob("*"):
        if path.is_file():
            assert not any(text in path.read_bytes() for text in shown), path.name


def test_the_set_up_secret_is_long_enough_and_no_key(fresh: Served):
    found = _SETUP.search(fresh.first_words)
    assert found
    assert len(found[0]) >= 40
    assert fresh.ask("GET", "/v1/tasks", key=found[0]).status == 401


@pytest.mark.parametrize("key", DEFAULTS)
def test_no_default_opens_a_gateway(fresh: Served, key: str):
    assert fresh.ask("GET", "/v1/tasks", key=key).status == 401


def test_the_first_account_has_no_money_of_its_own_to_spend(fresh: Served):
    found = _TEST_KEY.search(fresh.first_words)
    assert found
    rows = fresh.console("keys.list")
    assert [row["livemode"] for row in rows] == [False]


@pytest.mark.parametrize("key", ["sk-1", "admin", "sk-", "password-password-password", "sk-" + "k" * 300])
def test_a_weak_bootstrap_key_is_refused_at_the_start(key: str):
    with pytest.raises(AssertionError, match="HALLEY_BOOTSTRAP_KEY"), served({"HALLEY_BOOTSTRAP_KEY": key}):
        pass


def test_the_data_and_the_socket_are_the_operators_alone(fresh: Served):
    assert fresh.data.stat().st_mode & 0o077 == 0
    for name in ("secret", "halley.sock"):
        assert (fresh.data / name).stat().st_mode & 0o077 == 0
