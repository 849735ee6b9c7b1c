"""Class 3: a task, an asset or a file of somebody else, named by its id, on every verb and in every format."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from tests.clients.served import FLUX, Served
from tests.field.tenants import SCHNELL, Tenants

STRANGERS = ("bob", "bob_test", "alice_test", "alice_elsewhere")
FORM = (
    b'--x\r\ncontent-disposition: form-data; name="content"; filename="a.png"\r\n'
    b"content-type: image/png\r\n\r\nalices bytes\r\n--x--\r\n"
)


@pytest.fixture(scope="module")
def task(gateway: Served, tenants: Tenants) -> str:
    return gateway.draw("of alice", key=tenants.alice)[0]


@pytest.fixture(scope="module")
def file(gateway: Served, tenants: Tenants) -> str:
    headers = {"content-type": "multipart/form-data; boundary=x"}
    made = gateway.ask("POST", "/replicate/v1/files", FORM, key=tenants.alice, headers=headers)
    assert made.status == 201, made.text
    return made.json["id"]


def spellings(gateway: Served, tenants: Tenants, task: str) -> Iterator[str]:
    own = gateway.ended(task, key=tenants.alice)["id"]
    yield from (own, own.removeprefix("task_"), str(UUID(task)))


@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_foreign_task_is_not_found_in_any_format_spelling_or_verb(
    gateway: Served, tenants: Tenants, task: str, stranger: str
):
    key = getattr(tenants, stranger)
    for name in spellings(gateway, tenants, task):
        asked = [
            ("GET", f"/v1/tasks/{name}"),
            ("GET", f"/v1/tasks/{name}?wait=1"),
            ("POST", f"/v1/tasks/{name}/cancel"),
            ("GET", f"/v1/tasks/{name}/outputs/0"),
            ("HEAD", f"/v1/tasks/{name}/outputs/0"),
            ("GET", f"/replicate/v1/predictions/{name}"),
            ("POST", f"/replicate/v1/predictions/{name}/cancel"),
        ]
        assert [gateway.ask(*each, key=key).status for each in asked] == [404] * len(asked)
        for path in ("/flux/v1/get_result", "/v1/get_result"):
            reply = gateway.ask("GET", f"{path}?id={name}", key=key)
            assert (reply.status, reply.json["status"], reply.json["result"]) == (200, "Task not found", None)


@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_foreign_task_looks_like_one_that_never_was(gateway: Served, tenants: Tenants, task: str, stranger: str):
    key = getattr(tenants, stranger)
    nobodys = "0" * 26
    for path in ("/v1/tasks/{}", "/replicate/v1/predictions/{}", "/flux/v1/get_result?id={}"):
        foreign, none = (
            gateway.ask("GET", path.format(task), key=key),
            gateway.ask("GET", path.format(nobodys), key=key),
        )
        assert foreign.status == none.status
        assert _shape(foreign.text, task, foreign.headers) == _shape(none.text, nobodys, none.headers)


@pytest.mark.parametrize("stranger", STRANGERS)
def test_lists_show_nothing_foreign(gateway: Served, tenants: Tenants, task: str, file: str, stranger: str):
    key = getattr(tenants, stranger)
    for path in ("/v1/tasks?limit=100", "/replicate/v1/predictions", "/replicate/v1/files"):
        text = gateway.ask("GET", path, key=key).text
        assert task not in text
        assert task.replace("-", "") not in text
        assert file not in text


@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_foreign_cursor_shows_nothing_foreign(gateway: Served, tenants: Tenants, task: str, stranger: str):
    identity = gateway.ended(task, key=tenants.alice)["id"].removeprefix("task_")
    key = getattr(tenants, stranger)
    for direction in ("before", "after"):
        text = gateway.ask("GET", f"/v1/tasks?cursor={direction}.{identity}", key=key).text
        assert identity not in text


@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_foreign_file_is_not_found_on_any_verb(gateway: Served, tenants: Tenants, file: str, stranger: str):
    key = getattr(tenants, stranger)
    for method, path in (("GET", ""), ("GET", "/download"), ("HEAD", "/download"), ("DELETE", "")):
        assert gateway.ask(method, f"/replicate/v1/files/{file}{path}", key=key).status == 404
    assert gateway.ask("GET", f"/replicate/v1/files/{file}/download", key=tenants.alice).body == b"alices bytes"


@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_foreign_file_is_no_input(gateway: Served, tenants: Tenants, file: str, stranger: str):
    source = f"{gateway.url}/replicate/v1/files/{file}"
    key = getattr(tenants, stranger)
    flux = gateway.ask("POST", "/flux/v1/flux-kontext-pro", {"prompt": "a", "input_image": source}, key=key)
    body = {"input": {"prompt": "a", "input_image": source}}
    route = "/replicate/v1/models/black-forest-labs/flux-kontext-pro/predictions"
    replicate = gateway.ask("POST", route, body, key=key)
    assert (flux.status, replicate.status) == (422, 422)
    assert flux.problem["param"] == "input_image"


def test_a_signed_link_opens_only_what_it_was_made_for(gateway: Served, tenants: Tenants, task: str):
    link = gateway.result(task, key=tenants.alice)["result"]["sample"]
    other = gateway.draw("of bob", key=tenants.bob)[1]
    assert gateway.ask("GET", link, key=None).status == 200
    path, _, query = link.partition("?")
    forged = [
        path,
        f"{path[:-1]}1?{query}",
        f"{other.partition('?')[0]}?{query}",
        f"{path}?{query}0",
        f"{path}?{query[:-1]}",
        f"{path}?expires=99999999999&{query.partition('&')[2]}",
        f"{path}?{query}&expires=99999999999",
        f"{path}/../{other.rpartition('/')[2]}?{query}",
    ]
    assert {gateway.ask("GET", each, key=tenants.bob).status for each in forged} <= {403, 404}


def test_the_answer_to_anothers_idempotency_key_is_not_given(gateway: Served, tenants: Tenants, unique: str):
    headers = {"idempotency-key": unique}
    first = gateway.ask("POST", FLUX, {"prompt": "x"}, key=tenants.alice, headers=headers)
    for stranger in STRANGERS:
        reply = gateway.ask("POST", FLUX, {"prompt": "x"}, key=getattr(tenants, stranger), headers=headers)
        assert reply.status == 200
        assert reply.json["id"] != first.json["id"]


def test_a_webhook_secret_is_of_one_project_and_one_mode(gateway: Served, tenants: Tenants):
    secrets = [
        gateway.ask("GET", "/replicate/v1/webhooks/default/secret", key=key).json["key"]
        for key in (tenants.alice, tenants.alice_test, tenants.alice_elsewhere, tenants.bob)
    ]
    assert len(set(secrets)) == 4


def test_a_replicate_prediction_of_another_cannot_be_cancelled(gateway: Served, tenants: Tenants, unique: str):
    body = {"input": {"prompt": f"{unique} [[halley outcome=never_finishes]]"}}
    made = gateway.ask("POST", SCHNELL, body, key=tenants.alice_test).json["id"]
    assert gateway.ask("POST", f"/replicate/v1/predictions/{made}/cancel", key=tenants.bob_test).status == 404
    assert not gateway.ask("GET", f"/v1/tasks/{made}", key=tenants.alice_test).json["ended_at"]
    assert gateway.ask("POST", f"/replicate/v1/predictions/{made}/cancel", key=tenants.alice_test).status == 200


def _shape(text: str, asked: str, headers: dict[str, str]) -> str:
    """Give an answer without what must differ: the id that was asked for, and the request's own."""
    return text.replace(asked, "ID").replace(headers["halley-request-id"], "REQUEST")
