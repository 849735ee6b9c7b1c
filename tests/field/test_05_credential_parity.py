"""Class 5: one key has the same rights and limits, whichever way it is sent."""

from urllib.parse import quote

import pytest
from tests.clients.served import FLUX, Reply, Served
from tests.field.tenants import SCHNELL, Tenants

FORMS = {
    "bearer": lambda key: ({"authorization": f"Bearer {key}"}, ""),
    "bearer in small letters": lambda key: ({"authorization": f"bearer {key}"}, ""),
    "token": lambda key: ({"authorization": f"Token {key}"}, ""),
    "bare": lambda key: ({"authorization": key}, ""),
    "x-key": lambda key: ({"x-key": key}, ""),
    "X-Key": lambda key: ({"X-Key": key}, ""),
    "x-api-key": lambda key: ({"x-api-key": key}, ""),
    "x-goog-api-key": lambda key: ({"x-goog-api-key": key}, ""),
    "api-key": lambda key: ({"api-key": key}, ""),
    "mj-api-secret": lambda key: ({"mj-api-secret": key}, ""),
    "mj-api-secret behind a placeholder": lambda key: (
        {"mj-api-secret": key, "authorization": "Bearer midjourney-proxy"},
        "",
    ),
    "query": lambda key: ({}, f"?key={quote(key)}"),
}
ORDERS = {FLUX: {"prompt": "a"}, "/v1/flux-pro-1.1": {"prompt": "a"}, SCHNELL: {"input": {"prompt": "a"}}}


def send(gateway: Served, form: str, key: str, method: str, path: str, body: object = None) -> Reply:
    headers, query = FORMS[form](key)
    return gateway.ask(method, path + query, body, key=None, headers=headers)


@pytest.mark.parametrize("form", FORMS)
def test_each_form_reads_and_orders_in_every_format(gateway: Served, tenants: Tenants, form):
    key = tenants.alice_test
    for path in ("/v1/tasks", "/v1/models", "/user/quota", "/replicate/v1/predictions", "/replicate/v1/account"):
        assert send(gateway, form, key, "GET", path).status == 200, path
    for path, body in ORDERS.items():
        assert send(gateway, form, key, "POST", path, body).status in (200, 201), path


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_limited_to_the_keys_models(gateway: Served, tenants: Tenants, form):
    key = gateway.new_key("alice", models=["flux-dev"])
    for path, body in ORDERS.items():
        assert send(gateway, form, key, "POST", path, body).status == 403, path
    assert send(gateway, form, key, "POST", "/flux/v1/flux-dev", {"prompt": "a"}).status == 200


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_limited_to_the_keys_budget(gateway: Served, tenants: Tenants, form):
    key = gateway.new_key("alice", budget_nanos=1)
    for path, body in ORDERS.items():
        assert send(gateway, form, key, "POST", path, body).status == 402, path
    assert send(gateway, form, key, "GET", "/user/quota").status == 200


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_a_revoked_key_is_refused(gateway: Served, tenants: Tenants, form):
    key = gateway.new_key("alice")
    assert send(gateway, form, key, "GET", "/v1/tasks").status == 200
    gateway.revoke(key)
    for path, body in ORDERS.items():
        assert send(gateway, form, key, "POST", path, body).status == 401, path
    assert send(gateway, form, key, "GET", "/v1/tasks").status == 401
