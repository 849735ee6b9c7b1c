"""Class 5: one key has the same rights and limits, whichever way it is sent."""

import pytest
from tests.clients.served import FLUX, Reply, Served
from tests.field.chats import CHAT, CONTENT, MESSAGES, body_of
from tests.field.tenants import SCHNELL, Tenants

# By name: the headers that carry a key, where `KEY` stands for it, and the query.
FORMS: dict[str, tuple[dict[str, str], str]] = {
    "bearer": ({"authorization": "Bearer KEY"}, ""),
    "bearer in small letters": ({"authorization": "bearer KEY"}, ""),
    "token": ({"authorization": "Token KEY"}, ""),
    "bare": ({"authorization": "KEY"}, ""),
    "x-key": ({"x-key": "KEY"}, ""),
    "X-Key": ({"X-Key": "KEY"}, ""),
    "x-api-key": ({"x-api-key": "KEY"}, ""),
    "x-goog-api-key": ({"x-goog-api-key": "KEY"}, ""),
    "api-key": ({"api-key": "KEY"}, ""),
    "mj-api-secret": ({"mj-api-secret": "KEY"}, ""),
    "mj-api-secret behind a placeholder": ({"mj-api-secret": "KEY", "authorization": "Bearer midjourney-proxy"}, ""),
    "query": ({}, "?key=KEY"),
}
ORDERS = {
    FLUX: {"prompt": "a"},
    "/v1/flux-pro-1.1": {"prompt": "a"},
    SCHNELL: {"input": {"prompt": "a"}},
    **{path: body_of(path) for path in (CHAT, MESSAGES, CONTENT)},
}
OUT_OF_FUNDS = {CHAT: 429, CONTENT: 429}
"""The vocabularies of OpenAI and Google have no 402."""


def send(gateway: Served, form: str, key: str, method: str, path: str, body: object = None) -> Reply:
    headers, query = FORMS[form]
    filled = {name: value.replace("KEY", key) for name, value in headers.items()}
    return gateway.ask(method, path + query.replace("KEY", key), body, key=None, headers=filled)


@pytest.mark.parametrize("form", FORMS)
def test_each_form_reads_and_orders_in_every_format(gateway: Served, tenants: Tenants, form: str):
    key = tenants.alice_test
    for path in ("/v1/tasks", "/v1/models", "/user/quota", "/replicate/v1/predictions", "/replicate/v1/account"):
        assert send(gateway, form, key, "GET", path).status == 200, path
    for path, body in ORDERS.items():
        assert send(gateway, form, key, "POST", path, body).status in (200, 201), path


@pytest.mark.usefixtures("tenants")
@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_limited_to_the_keys_models(gateway: Served, form: str):
    key = gateway.new_key("alice", models=["flux-dev"])
    for path, body in ORDERS.items():
        assert send(gateway, form, key, "POST", path, body).status == 403, path
    assert send(gateway, form, key, "POST", "/flux/v1/flux-dev", {"prompt": "a"}).status == 200


@pytest.mark.usefixtures("tenants")
@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_limited_to_the_keys_budget(gateway: Served, form: str):
    key = gateway.new_key("alice", budget_nanos=1)
    for path, body in ORDERS.items():
        assert send(gateway, form, key, "POST", path, body).status == OUT_OF_FUNDS.get(path, 402), path
    assert send(gateway, form, key, "GET", "/user/quota").status == 200


@pytest.mark.usefixtures("tenants")
@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_a_revoked_key_is_refused(gateway: Served, form: str):
    key = gateway.new_key("alice")
    assert send(gateway, form, key, "GET", "/v1/tasks").status == 200
    gateway.revoke(key)
    for path, body in ORDERS.items():
        assert send(gateway, form, key, "POST", path, body).status == 401, path
    assert send(gateway, form, key, "GET", "/v1/tasks").status == 401
