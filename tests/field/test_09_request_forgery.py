"""Class 9: URLs chosen by others that lead into private networks: inputs, webhooks, and links of outputs."""

from time import monotonic

import pytest
from tests.clients.receiver import Receiver
from tests.clients.served import FLUX, Served
from tests.field.tenants import SCHNELL, Tenants
from tests.field.vendor import RecordingVendor

SPELLINGS = [
    "http://127.0.0.1:{port}/x",
    "http://localhost:{port}/x",
    "http://LOCALHOST.:{port}/x",
    "http://127.1:{port}/x",
    "http://0:{port}/x",
    "http://0.0.0.0:{port}/x",
    "http://2130706433:{port}/x",
    "http://0x7f000001:{port}/x",
    "http://0177.0.0.1:{port}/x",
    "http://[::1]:{port}/x",
    "http://[::ffff:127.0.0.1]:{port}/x",
    "http://[::ffff:7f00:1]:{port}/x",
    "http://[64:ff9b::7f00:1]:{port}/x",
    "http://user@127.0.0.1:{port}/x",
    "http://example.com@127.0.0.1:{port}/x",
    "http://127.0.0.1:{port}#@example.com/x",
    "http://127.0.0.1:{port}\\@example.com/x",
    "http://①②⑦.⓪.⓪.①:{port}/x",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fe80::1]:{port}/x",
    "http://10.0.0.1:{port}/x",
    "http://100.64.0.1:{port}/x",
]
SCHEMES = [
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/x",
    "ftp://127.0.0.1:{port}/x",
    "unix:///tmp/x",
    "//127.0.0.1/x",
]
SETTLED_S_MAX = 20


def at(receiver: Receiver, url: str) -> str:
    return url.format(port=receiver.url.rpartition(":")[2])


@pytest.mark.parametrize("url", [*SPELLINGS, *SCHEMES])
def test_an_input_image_is_not_fetched_from_a_private_place(
    gateway: Served, tenants: Tenants, receiver: Receiver, url: str
):
    order = {"prompt": "a", "input_image": at(receiver, url)}
    reply = gateway.ask("POST", "/flux/v1/flux-kontext-pro", order, key=tenants.alice_test)
    assert reply.status in (400, 422), reply.text
    assert receiver.waiting == 0


@pytest.mark.parametrize("path", ["/metrics", "/openapi.json", "/health/readiness", "/v1/tasks"])
def test_the_gateway_itself_is_no_source_of_images(gateway: Served, tenants: Tenants, path: str):
    order = {"prompt": "a", "input_image": gateway.url + path}
    reply = gateway.ask("POST", "/flux/v1/flux-kontext-pro", order, key=tenants.alice_test)
    assert reply.status in (400, 422), reply.text
    assert "halley_" not in reply.text


@pytest.mark.parametrize("url", [*SPELLINGS, *SCHEMES])
def test_a_webhook_is_not_sent_to_a_private_place(gateway: Served, tenants: Tenants, receiver: Receiver, url: str):
    key, target = tenants.alice_test, at(receiver, url)
    flux = gateway.ask("POST", FLUX, {"prompt": "a", "webhook_url": target}, key=key)
    replicate = gateway.ask("POST", SCHNELL, {"input": {"prompt": "a"}, "webhook": target}, key=key)
    for reply in (flux, replicate):
        if reply.status in (200, 201):
            gateway.ended(reply.json["id"], key=key)
            assert logged(gateway, "webhook_failed", identity(gateway, key, reply.json["id"]))
        else:
            assert reply.status in (400, 422), reply.text
    assert receiver.waiting == 0


@pytest.mark.parametrize("url", SPELLINGS)
def test_an_output_is_not_mirrored_from_a_private_place(
    gateway: Served, tenants: Tenants, vendor: RecordingVendor, receiver: Receiver, unique: str, url: str
):
    vendor.links[unique] = at(receiver, url)
    task = gateway.order({"prompt": unique}, key=tenants.alice)
    assert logged(gateway, "output_unreachable", identity(gateway, tenants.alice, task))
    assert gateway.ask("GET", f"/v1/tasks/{task}", key=tenants.alice).json["state"] != "succeeded"
    assert receiver.waiting == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_of_an_output_into_a_private_place_is_not_followed(
    gateway: Served, tenants: Tenants, vendor: RecordingVendor, receiver: Receiver, unique: str, status: int
):
    vendor.files[f"/{unique}"] = (status, {"location": f"{receiver.url}/x"}, b"")
    vendor.links[unique] = f"{vendor.url}/{unique}"
    task = gateway.order({"prompt": unique}, key=tenants.alice)
    assert logged(gateway, "output_unreachable", identity(gateway, tenants.alice, task))
    assert gateway.ask("GET", f"/v1/tasks/{task}", key=tenants.alice).json["state"] != "succeeded"
    assert receiver.waiting == 0


def test_the_operators_credential_does_not_follow_an_output(
    gateway: Served, tenants: Tenants, vendor: RecordingVendor, unique: str
):
    vendor.files[f"/{unique}.png"] = vendor.files["/image.png"]
    vendor.links[unique] = f"{vendor.url}/{unique}.png"
    gateway.draw(unique, key=tenants.alice)
    fetched = next(each for each in vendor.seen if each.path == f"/{unique}.png")
    assert not {"x-key", "authorization"} & fetched.headers.keys()


def identity(gateway: Served, key: str, task: str) -> str:
    """Give a task's id as logs spell it."""
    return gateway.ask("GET", f"/v1/tasks/{task}", key=key).json["id"].removeprefix("task_")


def logged(gateway: Served, *words: str) -> bool:
    """Whether a line of the log holds all the words, soon."""
    until = monotonic() + SETTLED_S_MAX
    while monotonic() < until:
        if any(all(word in line for word in words) for line in gateway.log.splitlines()):
            return True
    return False
