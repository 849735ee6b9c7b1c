"""`/v1/models` and what is below `/v1` without a route of ours: SDKs of three formats ask there, each in its own."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.api.client import Client, Owner

VERSION = {"anthropic-version": "2023-06-01"}
GEMINI_PAGE = 50


def is_openai(body: dict[str, Any]) -> bool:
    return {"message", "type", "param", "code"} <= body["error"].keys()


def is_anthropic(body: dict[str, Any]) -> bool:
    return body["type"] == "error" and body["request_id"].startswith("req_")


def is_google(body: dict[str, Any]) -> bool:
    return {"code", "message", "status", "details"} <= body["error"].keys()


def headers_of(sdk: str, key: str) -> dict[str, str]:
    """How this SDK sends a key."""
    return {
        "openai": {"authorization": f"Bearer {key}"},
        "anthropic": {"x-api-key": key, **VERSION},
        "google": {"x-goog-api-key": key},
    }[sdk]


SHAPES: dict[str, Callable[[dict[str, Any]], bool]] = {
    "openai": is_openai,
    "anthropic": is_anthropic,
    "google": is_google,
}


@pytest.mark.parametrize("sdk", SHAPES)
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/models/nothing", 404),
        ("GET", "/v1/files", 404),
        ("POST", "/v1/messages/batches", 404),
        ("DELETE", "/v1/models/ft:x", 405),
    ],
)
async def test_an_error_below_v1_is_in_the_format_of_who_asks(
    client: Client, owner: Owner, sdk: str, method: str, path: str, status: int
):
    reply = await client.send(method, path, headers_of(sdk, owner.key))
    assert reply.status == status
    assert SHAPES[sdk](reply.json), reply.json


@pytest.mark.parametrize("sdk", SHAPES)
async def test_a_wrong_key_is_told_in_the_format_of_who_lists_models(client: Client, sdk: str):
    reply = await client.send("GET", "/v1/models", headers_of(sdk, "sk-test-wrong"))
    assert reply.status == 401
    assert SHAPES[sdk](reply.json), reply.json


@pytest.mark.parametrize(
    ("sdk", "query"), [("anthropic", "limit=-1"), ("anthropic", "limit=0"), ("google", "pageToken=abc")]
)
async def test_a_page_that_cannot_be_is_refused(client: Client, owner: Owner, sdk: str, query: str):
    reply = await client.send("GET", f"/v1/models?{query}", headers_of(sdk, owner.key))
    assert reply.status == 400
    assert SHAPES[sdk](reply.json), reply.json


async def test_a_page_of_no_size_is_one_of_the_usual_size(client: Client, owner: Owner):
    first = await client.get("/v1beta/models?pageSize=0", headers_of("google", owner.key))
    usual = await client.get("/v1beta/models", headers_of("google", owner.key))
    assert first.json == usual.json
    assert len(first.json["models"]) == GEMINI_PAGE
    assert first.json["nextPageToken"] == str(GEMINI_PAGE)
