"""Class 2: a wildcard in a filter or a key that matches, or scans, everything."""

from urllib.parse import quote

import pytest
from tests.clients.served import Served
from tests.field.tenants import Tenants

from halley.console.protocol import CommandFailed

WILDCARDS = ["%", "_", "flux-%", "flux-pro-1._", "*", "flux-*", "flux-pro-1.?", "%25", "[a-z]%"]


@pytest.mark.parametrize("text", WILDCARDS)
@pytest.mark.parametrize("field", ["model", "dialect"])
def test_a_wildcard_in_a_filter_is_a_letter_like_any_other(gateway: Served, tenants: Tenants, field: str, text: str):
    gateway.draw(key=tenants.alice_test)
    assert gateway.ask("GET", f"/v1/tasks?{field}={quote(text)}", key=tenants.alice_test).json["data"] == []


@pytest.mark.parametrize("text", ["sk-%", "sk-test-%", "sk-test-____", "%", "*"])
def test_a_wildcard_in_a_key_is_a_letter_like_any_other(gateway: Served, text: str):
    assert gateway.ask("GET", "/v1/tasks", key=text).status == 401


@pytest.mark.parametrize("text", ["%", "a%", "ali_e", "*"])
def test_a_wildcard_names_no_account_and_no_key(gateway: Served, tenants: Tenants, text: str):
    for command, field in (("keys.list", "account"), ("accounts.credit", "account"), ("keys.revoke", "key")):
        extra = {"amount_nanos": 1} if command == "accounts.credit" else {}
        with pytest.raises(CommandFailed, match=r"There is no"):
            gateway.console(command, **{field: text}, **extra)
    assert gateway.ask("GET", "/v1/tasks", key=tenants.alice).status == 200
