"""Class 10: a caller who tries to choose the upstream host, its path, or its credentials."""

import pytest
from tests.clients.receiver import Receiver
from tests.clients.served import FLUX, Served
from tests.field.chats import CHAT, CONTENT, MESSAGES, body_of
from tests.field.tenants import SCHNELL, Tenants
from tests.field.vendor import CREDENTIAL, RecordingVendor

CHOICES = ("polling_url", "base_url", "api_base", "url", "host", "endpoint", "upstream", "proxy", "channel", "vendor")
HEADERS = ("x-base-url", "x-upstream", "x-forwarded-host", "host", "x-channel-id", "x-proxy", "x-vendor-key")


def test_fields_of_an_order_choose_no_host(
    gateway: Served, tenants: Tenants, vendor: RecordingVendor, receiver: Receiver, unique: str
):
    order = {"prompt": unique, **dict.fromkeys(CHOICES, receiver.url), "api_key": "mine", "x-key": "mine"}
    gateway.draw(**order, key=tenants.alice)
    assert vendor.order_of(unique).headers["x-key"] == CREDENTIAL
    assert receiver.waiting == 0


def test_headers_of_an_order_choose_no_host_and_do_not_reach_the_vendor(
    gateway: Served, tenants: Tenants, vendor: RecordingVendor, receiver: Receiver, unique: str
):
    headers = {name: receiver.url.removeprefix("http://") for name in HEADERS} | {"cookie": "a=b", "x-mine": unique}
    reply = gateway.ask("POST", FLUX, {"prompt": unique}, key=tenants.alice, headers=headers)
    gateway.ended(reply.json["id"], key=tenants.alice)
    sent = vendor.order_of(unique).headers
    assert sent["host"] == vendor.url.removeprefix("http://")
    assert sent["x-key"] == CREDENTIAL
    assert not {"cookie", "x-mine", "authorization", "x-base-url", "x-forwarded-host"} & sent.keys()
    assert receiver.waiting == 0


def test_a_query_of_an_order_does_not_reach_the_vendor(
    gateway: Served, tenants: Tenants, vendor: RecordingVendor, unique: str
):
    reply = gateway.ask("POST", f"{FLUX}?base_url=http://x&key={tenants.alice}", {"prompt": unique}, key=None)
    gateway.ended(reply.json["id"], key=tenants.alice)
    assert vendor.order_of(unique).path == "/bfl/v1/flux-pro-1.1"


def test_the_callers_key_never_reaches_the_vendor(
    gateway: Served, tenants: Tenants, vendor: RecordingVendor, unique: str
):
    gateway.draw(unique, key=tenants.alice)
    for key in (tenants.alice, tenants.bob):
        assert not any(key in f"{each.path} {each.headers} {each.body!r}" for each in vendor.seen)


def test_a_callers_webhook_and_its_secret_stay_with_us(
    gateway: Served, tenants: Tenants, vendor: RecordingVendor, unique: str
):
    order = {"prompt": unique, "webhook_url": "https://caller.example/hook", "webhook_secret": "the-callers-secret"}
    gateway.order(order, key=tenants.alice)
    assert b"caller" not in vendor.order_of(unique).body


@pytest.mark.parametrize(
    "model",
    [
        "flux-pro-1.1%3Fx=y",
        "flux-pro-1.1%23",
        "flux-..",
        "flux-pro-1.1@elsewhere.example",
        "flux-%252e%252e%252fadmin",
        "http:%2f%2felsewhere.example",
        "flux-pro-1.1%20HTTP",
    ],
)
def test_a_model_name_is_no_way_to_another_path(
    gateway: Served, tenants: Tenants, vendor: RecordingVendor, unique: str, model: str
):
    before = len(vendor.seen)
    reply = gateway.ask("POST", f"/flux/v1/{model}", {"prompt": unique}, key=tenants.alice)
    assert reply.status in (400, 403, 404, 422, 503), reply.text
    assert not any(unique.encode() in each.body for each in vendor.seen[before:])


@pytest.mark.parametrize(
    "name",
    ["../../admin", "a/b/../../../admin", "black-forest-labs/..", "a b/c", "owner/name?x=y", "http://x/y", "a/b:c"],
)
def test_a_version_is_no_way_to_another_path(
    gateway: Served, tenants: Tenants, vendor: RecordingVendor, unique: str, name: str
):
    for field in ("version", "model"):
        body = {field: name, "input": {"prompt": unique}}
        reply = gateway.ask("POST", "/replicate/v1/predictions", body, key=tenants.alice)
        assert reply.status in (400, 404, 422, 503), reply.text
    assert not any(unique.encode() in each.body for each in vendor.seen)


def test_an_order_goes_to_the_operators_vendor_in_both_formats(
    gateway: Served, tenants: Tenants, vendor: RecordingVendor, unique: str
):
    gateway.ask("POST", SCHNELL, {"input": {"prompt": unique}}, key=tenants.alice)
    sent = vendor.order_of(unique)
    assert sent.path == "/replicate/v1/models/black-forest-labs/flux-schnell/predictions"
    assert sent.headers["authorization"] == f"Bearer {CREDENTIAL}"


CHAT_HEADERS = {
    "host": "evil.example",
    "x-forwarded-host": "evil.example",
    "x-base-url": "http://evil.example",
    "cookie": "a=b",
    "openai-organization": "org-mine",
    "openai-project": "proj-mine",
    "x-stainless-lang": "python",
    "anthropic-dangerous-direct-browser-access": "true",
    "anthropic-organization": "org-mine",
    "x-goog-user-project": "mine",
}
CREDENTIALS = {CHAT: ("authorization", f"Bearer {CREDENTIAL}"), MESSAGES: ("x-api-key", CREDENTIAL)} | {
    CONTENT: ("x-goog-api-key", CREDENTIAL)
}


@pytest.mark.parametrize("path", [CHAT, MESSAGES, CONTENT])
def test_headers_of_a_chat_choose_nothing_and_stay_here(
    gateway: Served, tenants: Tenants, vendor: RecordingVendor, unique: str, path: str
):
    reply = gateway.ask("POST", path, body_of(path, unique), key=tenants.alice, headers=CHAT_HEADERS)
    assert reply.status == 200, reply.text
    sent = vendor.order_of(unique)
    assert sent.headers["host"] == vendor.url.removeprefix("http://")
    assert not (CHAT_HEADERS.keys() - {"host"}) & sent.headers.keys()
    name, value = CREDENTIALS[path]
    carried = {"authorization", "x-api-key", "x-goog-api-key", "api-key", "x-key"} & sent.headers.keys()
    assert {each: sent.headers[each] for each in carried} == {name: value}
    assert tenants.alice not in f"{sent.path} {sent.headers} {sent.body!r}"


@pytest.mark.parametrize("path", [CHAT, MESSAGES, CONTENT])
def test_fields_of_a_chat_choose_no_host(
    gateway: Served, tenants: Tenants, vendor: RecordingVendor, receiver: Receiver, unique: str, path: str
):
    body = {**body_of(path, unique), **dict.fromkeys(CHOICES, receiver.url), "api_key": "mine"}
    gateway.ask("POST", path, body, key=tenants.alice)
    assert vendor.order_of(unique).headers["host"] == vendor.url.removeprefix("http://")
    assert receiver.waiting == 0


@pytest.mark.parametrize("model", ["../../admin", "gemini-2.5-flash/../../x", "http://evil.example/", "a%2fb", "x?y=1"])
def test_a_model_in_a_path_chooses_no_path_at_the_vendor(
    gateway: Served, tenants: Tenants, vendor: RecordingVendor, model: str
):
    seen = len(vendor.seen)
    reply = gateway.ask("POST", f"/v1beta/models/{model}:generateContent", body_of(CONTENT), key=tenants.alice)
    assert 400 <= reply.status < 504, reply.text
    assert reply.status != 500
    assert len(vendor.seen) == seen
