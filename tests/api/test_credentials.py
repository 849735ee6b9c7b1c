import pytest
from tests.api.client import Client, Owner

from halley.api.credentials import find_key, key_of_subprotocols, without_key
from halley.kernel.faults import Unauthenticated

KEY = "sk-test-0123456789"
FORMS = {
    "bearer": [("authorization", f"Bearer {KEY}")],
    "lower-case bearer": [("authorization", f"bearer {KEY}")],
    "bare": [("authorization", KEY)],
    "token": [("authorization", f"Token {KEY}")],
    "x-key": [("x-key", KEY)],
    "x-api-key": [("x-api-key", KEY)],
    "x-goog-api-key": [("x-goog-api-key", KEY)],
    "api-key": [("api-key", KEY)],
    "mj-api-secret": [("mj-api-secret", KEY)],
    "mj-api-secret beside its placeholder": [("authorization", "midjourney-proxy"), ("mj-api-secret", KEY)],
    "mj-api-secret beside a bearer placeholder": [("authorization", "Bearer midjourney-proxy"), ("mj-api-secret", KEY)],
    "websocket subprotocol": [("sec-websocket-protocol", f"realtime, openai-insecure-api-key.{KEY}, openai-beta.v1")],
    "the same twice": [("authorization", f"Bearer {KEY}"), ("x-key", KEY)],
}


@pytest.mark.parametrize("headers", FORMS.values(), ids=FORMS.keys())
def test_each_form_gives_the_same_key(headers: list[tuple[str, str]]):
    assert find_key(headers, []) == KEY


def test_the_query_gives_the_key():
    assert find_key([], [("id", "1"), ("key", KEY)]) == KEY


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ([], []),
        ([("authorization", "Bearer ")], []),
        ([("authorization", "midjourney-proxy")], []),
        ([("authorization", "Basic YTpi")], []),
        ([("authorization", f"Bearer {KEY}"), ("x-key", "sk-other")], []),
        ([("x-key", KEY), ("x-key", "sk-other")], []),
        ([("x-key", KEY)], [("key", "sk-other")]),
        ([], [("key", KEY), ("key", "sk-other")]),
    ],
    ids=[
        "none",
        "empty",
        "placeholder alone",
        "basic",
        "two headers",
        "one header twice",
        "query differs",
        "two queries",
    ],
)
def test_no_key_and_keys_that_differ_are_refused(headers: list[tuple[str, str]], query: list[tuple[str, str]]):
    with pytest.raises(Unauthenticated):
        find_key(headers, query)


def test_a_key_with_a_missing_prefix_is_another_key():
    assert find_key([("authorization", "Bearer test-0123456789")], []) != KEY


def test_subprotocols_without_a_key_give_none():
    assert key_of_subprotocols("realtime, openai-beta.realtime-v1") is None


def test_the_key_is_taken_out_of_the_query():
    assert without_key([("id", "1"), ("key", KEY)]) == [("id", "1")]


@pytest.mark.parametrize("form", FORMS.keys())
async def test_every_form_has_the_same_rights_over_http(client: Client, owner: Owner, form: str):
    headers = [(name, value.replace(KEY, owner.key)) for name, value in FORMS[form]]

    assert (await client.get("/v1/tasks", headers)).status == 200


async def test_a_key_in_the_query_has_the_same_rights(client: Client, owner: Owner):
    assert (await client.get(f"/v1/tasks?key={owner.key}")).status == 200


@pytest.mark.parametrize(
    "key", ["sk-unknown", "' OR 1=1 --", "%", "x" * 5_000, "\xff\xfe"], ids=["unknown", "sql", "like", "long", "binary"]
)
@pytest.mark.parametrize("header", ["x-key", "authorization"])
async def test_an_unknown_key_is_401_in_every_format(client: Client, key: str, header: str):
    for path in ("/v1/tasks", "/flux/v1/get_result?id=1", "/replicate/v1/predictions", "/user/quota"):
        response = await client.get(path, {header: key})
        assert response.status == 401, path
        assert response.headers["www-authenticate"].startswith("Bearer")
        assert response.headers["x-should-retry"] == "false"


async def test_two_keys_that_differ_are_401(client: Client, owner: Owner, stranger: Owner):
    response = await client.get("/v1/tasks", [*owner.bearer.items(), ("x-key", stranger.key)])

    assert response.status == 401
    assert "differ" in response.json["error"]["message"]
