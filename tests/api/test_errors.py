import logging

import pytest
from tests.api.client import Client, Owner

from halley.api import errors
from halley.db.writer import WriterClosed, WriterOverloaded
from halley.kernel import faults
from halley.kernel.faults import Fault
from halley.world import World

FLUX, OTHER, OURS = f"/flux/v1/get_result?id={'0' * 26}", "/replicate/v1/predictions", "/v1/tasks"


def test_an_empty_account_is_a_429_that_openai_clients_do_not_repeat():
    reply = errors.reply_to_fault(faults.OutOfFunds("needs $1"), "req_1", errors.render_openai)

    assert reply.status == 429
    assert dict(reply.headers)["x-should-retry"] == "false"
    assert b'"type":"insufficient_quota"' in reply.body
    assert b'"code":"insufficient_quota"' in reply.body


@pytest.mark.parametrize("dialect", ["flux", "replicate"])
def test_an_empty_account_is_a_402_in_the_formats_that_have_one(world: World, dialect: str):
    reply = errors.reply_to_fault(faults.OutOfFunds("needs $1"), "req_1", world.dialects[dialect].render_fault)

    assert reply.status == 402
    assert dict(reply.headers)["x-should-retry"] == "false"


@pytest.mark.parametrize(
    ("fault", "name", "value"),
    [
        (faults.TooManyRequests("slow down", retry_after_s=7), "retry-after", "7"),
        (faults.Unauthenticated("no key"), "www-authenticate", 'Bearer realm="halley"'),
        (faults.NotAllowed("no", allow=("GET", "HEAD")), "allow", "GET, HEAD"),
        (faults.Draining("stopping"), "connection", "close"),
        (faults.BadRequest("no"), "x-should-retry", "false"),
        (faults.NoChannel("no"), "x-should-retry", "false"),
        (faults.VendorBroken("no"), "x-should-retry", None),
        (faults.StillRunning("no"), "x-should-retry", None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Fault) else str(value),
)
@pytest.mark.parametrize("dialect", ["openai", "flux", "replicate"])
def test_headers_of_an_error_are_the_same_in_every_format(
    world: World, fault: Fault, name: str, value: str | None, dialect: str
):
    render = errors.render_openai if dialect == "openai" else world.dialects[dialect].render_fault
    reply = errors.reply_to_fault(fault, "req_1", render)

    assert dict(reply.headers).get(name) == value


@pytest.mark.parametrize("error", [WriterOverloaded("x"), WriterClosed("x")])
def test_a_writer_that_takes_no_more_is_a_503_to_come_back_to(error: Exception):
    fault = errors.known_fault(error)

    assert fault is not None
    assert (fault.status, fault.may_retry) == (503, True)
    assert fault.retry_after_s


def test_what_nobody_foresaw_is_no_known_fault():
    assert errors.known_fault(KeyError("secret")) is None


@pytest.mark.parametrize("path", [FLUX, OTHER, OURS])
async def test_our_own_mistake_is_a_500_in_the_format_and_tells_nothing(
    client: Client, owner: Owner, world: World, path: str, caplog: pytest.LogCaptureFixture
):
    await client.get(OURS, owner.bearer)

    async def broken(*_: object) -> None:
        raise KeyError("the secret detail")

    world.db.read = broken  # pyright: ignore[reportAttributeAccessIssue]  (a database that breaks)
    with caplog.at_level(logging.ERROR):
        response = await client.get(path, owner.bearer)

    assert response.status == 500
    assert response.headers["content-type"] == "application/json"
    assert response.json["error"]["code"] == "internal_error"
    assert response.json["error"]["request_id"] == response.headers["halley-request-id"]
    assert b"secret detail" not in response.body
    assert any(getattr(record, "request_id", "") == response.headers["halley-request-id"] for record in caplog.records)


@pytest.mark.parametrize(
    ("path", "field"),
    [("/flux/v2/x", "detail"), ("/replicate/nothing", "title"), ("/v1/nothing", "error"), ("/wp-login.php", "error")],
)
async def test_an_unknown_path_is_a_json_404_in_the_nearest_format(client: Client, path: str, field: str):
    response = await client.get(path)

    assert response.status == 404
    assert response.json["error"]["code"] == "unknown_path"
    assert field in response.json


@pytest.mark.parametrize(
    "path", ["/v1//tasks", "/v1/x/../tasks", "/v1/%2e%2e/v1/tasks", "/v1%2ftasks", "/assets/..%2f..%2fsecret"]
)
async def test_a_path_that_hides_another_is_404_even_with_a_key(client: Client, owner: Owner, path: str):
    assert (await client.get(path, owner.bearer)).status == 404


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/v1/tasks", "GET, HEAD, OPTIONS"),
        ("GET", "/flux/v1/flux-dev", "POST, OPTIONS"),
        ("GET", "/v1/flux-dev", "POST, OPTIONS"),
        ("BREW", "/healthz", "GET, HEAD, OPTIONS"),
    ],
)
async def test_a_wrong_method_is_405_and_names_the_right_ones(client: Client, method: str, path: str, allow: str):
    response = await client.send(method, path)

    assert response.status == 405
    assert response.headers["allow"] == allow
    assert response.json["error"]["code"] == "method_not_allowed"
