"""Cut streams: whoever leaves ends the vendor's work within a second, and pays what came and nothing more."""

import pytest
from tests.clients.served import Served
from tests.field.chats import CHAT, CONTENT, MESSAGES, SIMULATORS, begun, left, new_key, pause, settled, wait_until_left
from tests.field.tenants import Tenants

PATHS = [CHAT, MESSAGES, CONTENT]
LEFT_S_MAX = 1.0
LONG = "delay=20"
WATCHED_S = 0.4
"""Whether the caller is there is looked at from 0.2 s on."""


@pytest.mark.usefixtures("tenants")
@pytest.mark.parametrize("path", PATHS)
def test_leaving_a_stream_ends_the_vendors_work_and_charges_what_came(gateway: Served, path: str):
    key, key_id = new_key(gateway, "alice")
    before = left(gateway, SIMULATORS[path])
    with begun(gateway, path, key=key, test=LONG, stream=True):
        pass
    wait_until_left(gateway, SIMULATORS[path], before, within_s=LEFT_S_MAX)
    found = settled(gateway, key_id, 1)
    assert found.outcomes == ("cut",)
    assert found.charged > 0
    assert found.open_holds == 0
    gateway.assert_books_are_sound()


@pytest.mark.usefixtures("tenants")
@pytest.mark.parametrize("after_s", [WATCHED_S / 4, WATCHED_S], ids=["soon", "later"])
@pytest.mark.parametrize("path", PATHS)
def test_leaving_before_an_answer_ends_the_vendors_work_and_costs_nothing(gateway: Served, path: str, after_s: float):
    key, key_id = new_key(gateway, "alice")
    before = left(gateway, SIMULATORS[path])
    with begun(gateway, path, key=key, test=LONG, stream=False):
        pause(after_s)
    wait_until_left(gateway, SIMULATORS[path], before, within_s=LEFT_S_MAX)
    found = settled(gateway, key_id, 1)
    assert (found.outcomes, found.charged, found.open_holds) == (("cancelled",), 0, 0)
    gateway.assert_books_are_sound()


@pytest.mark.parametrize("path", PATHS)
def test_a_stream_ends_when_its_key_is_revoked(gateway: Served, tenants: Tenants, path: str):
    del tenants
    key, key_id = new_key(gateway, "alice")
    before = left(gateway, SIMULATORS[path])
    with begun(gateway, path, key=key, test="delay=15", stream=True) as response:
        gateway.revoke(key)
        assert response is not None
        rest = response.read()
    assert b"revoked" in rest
    wait_until_left(gateway, SIMULATORS[path], before, within_s=LEFT_S_MAX)
    assert settled(gateway, key_id, 1).outcomes == ("cut",)
