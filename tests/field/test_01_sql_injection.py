"""Class 1: SQL injection through the key, a header, an id, or a parameter that filters or sorts."""

from urllib.parse import quote

import pytest
from tests.clients.served import FLUX, Served
from tests.field.tenants import Tenants

TEXTS = [
    "' OR '1'='1",
    "x'; DROP TABLE tasks; --",
    "' UNION SELECT id, key_hash FROM keys --",
    '" OR ""="',
    "1); DELETE FROM transfers; --",
    ":id",
    "\\' OR 1=1 #",
]
FILTERS = ("model", "dialect", "state", "cursor", "created_after", "created_before", "limit", "order_by", "sort")


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("header", ["x-key", "authorization", "x-api-key", "mj-api-secret"])
def test_a_key_that_is_sql_is_an_unknown_key(gateway: Served, header: str, text: str):
    assert gateway.ask("GET", "/v1/tasks", key=None, headers={header: text}).status == 401


@pytest.mark.parametrize("text", TEXTS)
def test_a_key_in_the_query_that_is_sql_is_an_unknown_key(gateway: Served, text: str):
    assert gateway.ask("GET", f"/user/quota?key={quote(text)}", key=None).status == 401


@pytest.fixture(scope="module")
def _tasks_of_others(gateway: Served, tenants: Tenants) -> None:
    for key in (tenants.bob, tenants.alice, tenants.alice_elsewhere):
        gateway.draw(key=key)


@pytest.mark.usefixtures("_tasks_of_others")
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("field", FILTERS)
def test_a_filter_that_is_sql_finds_nothing_of_others(gateway: Served, tenants: Tenants, field: str, text: str):
    reply = gateway.ask("GET", f"/v1/tasks?{field}={quote(text)}", key=tenants.alice_idle)
    assert reply.status in (200, 400)
    if reply.status == 200:
        assert reply.json["data"] == []


@pytest.mark.parametrize("text", TEXTS)
def test_an_id_that_is_sql_is_no_id(gateway: Served, tenants: Tenants, text: str):
    assert gateway.ask("GET", f"/v1/tasks/{quote(text, safe='')}", key=tenants.alice).status == 404
    assert gateway.ask("GET", f"/replicate/v1/predictions/{quote(text, safe='')}", key=tenants.alice).status == 404
    assert gateway.ask("GET", f"/replicate/v1/files/{quote(text, safe='')}", key=tenants.alice).status == 404
    assert gateway.ask("DELETE", f"/replicate/v1/files/{quote(text, safe='')}", key=tenants.alice).status == 404


@pytest.mark.parametrize("text", TEXTS)
def test_a_prompt_and_an_idempotency_key_that_are_sql_are_text(
    gateway: Served, tenants: Tenants, text: str, unique: str
):
    headers = {"idempotency-key": f"{unique} {text}"}
    reply = gateway.ask("POST", FLUX, {"prompt": text}, key=tenants.alice, headers=headers)
    assert gateway.result(reply.json["id"], key=tenants.alice)["result"]["prompt"] == text
    gateway.assert_books_are_sound()
