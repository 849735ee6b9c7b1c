"""What holds on each route that is answered at once: allowed models, revoked keys, and errors in the route's format."""

import pytest
from tests.api.test_openapi import DOCUMENT
from tests.clients.samples import Sample, samples
from tests.clients.served import Reply, Served

CALLS = samples(DOCUMENT)
EACH = pytest.mark.parametrize("call", CALLS, ids=lambda call: call.path)


def test_every_route_is_tried():
    assert len(CALLS) >= 15


@pytest.mark.usefixtures("tenants")
@EACH
def test_a_key_is_limited_to_its_models(gateway: Served, limited: str, call: Sample):
    reply = call.send(gateway, key=limited)
    assert reply.status == 403, reply.text
    assert_told_in_its_format(call.path, reply)


@EACH
def test_a_revoked_key_is_refused(gateway: Served, revoked: str, call: Sample):
    reply = call.send(gateway, key=revoked)
    assert reply.status == 401, reply.text
    assert_told_in_its_format(call.path, reply)


@EACH
def test_an_empty_body_is_refused_by_name(gateway: Served, tenants: object, call: Sample):
    del tenants
    reply = gateway.ask("POST", call.path, b"{}")
    assert reply.status == 400, reply.text
    assert_told_in_its_format(call.path, reply)


@pytest.fixture(scope="module")
def limited(gateway: Served, tenants: object) -> str:
    del tenants
    return gateway.new_key("alice", models=["flux-dev"])


@pytest.fixture(scope="module")
def revoked(gateway: Served, tenants: object) -> str:
    del tenants
    key = gateway.new_key("alice")
    gateway.revoke(key)
    return key


def assert_told_in_its_format(path: str, reply: Reply) -> None:
    error = reply.json["error"]
    assert error["message"]
    if path.startswith("/v1beta/"):
        assert error["code"] == reply.status
        assert error["status"]
    elif path.startswith("/v1/messages"):
        assert reply.json["type"] == "error"
        assert reply.json["request_id"] == reply.headers["request-id"]
    else:
        assert error["request_id"] == reply.headers["x-request-id"]
