"""Class 9: URLs chosen by others that lead into private networks: inputs, webhooks, and links of outputs."""

import re
import time

import pytest
from tests.clients.receiver import Receiver
from tests.clients.served import Served
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
SCHEMES = ["file:///etc/passwd", "gopher://127.0.0.1:{port}/x", "ftp://127.0.0.1:{port}/x", "unix:///tmp/x", "//127.0.0.1/x"]
SETTLED_S_MAX = 20


def at(receiver: Receiver, url: str) -> str:
    return url.format(port=receiver.url.rpartition(":")[2])


@pytest.mark.parametrize("url", [*SPELLINGS, *SCHEMES])
def test_an_input_image_is_not_fetched_from_a_private_place(gateway: Served, tenants: Tenants, receiver, url):
    order = {"prompt": "a", "input_image": at(receiver, url)}
    reply = gateway.ask("POST", "/flux/v1/flux-kontext-pro", order, key=tenants.alice_test)
    assert reply.status in (400, 422), reply.text
    assert receiver.waiting == 0


@pytest.mark.parametrize("path", ["/metrics", "/openapi.json", "/health/readiness", "/v1/tasks"])
def test_the_gateway_itself_is_no_source_of_images(gateway: Served, tenants: Tenants, path):
    order = {"prompt": "a", "input_image": gateway.url + path}
    reply = gateway.ask("POST", "/flux/v1/flux-kontext-pro", order, key=tenants.alice_test)
    assert reply.status in (400, 422), reply.text
    assert "halley_" not in reply.text


@pytest.mark.parametrize("url", [*SPELLINGS, *SCHEMES])
def test_a_webhook_is_not_sent_to_a_private_place(gateway: Served, tenants: Tenants, receiver, url):
    order = {"prompt": "a", "webhook_url": at(receiver, url)}
    reply = gateway.ask("POST", "/flux/v1/flux-pro-1.1", order, key=tenants.alice_test)
    if reply.status == 200:
        task = gateway.ended(reply.json["id"], key=tenants.alice_test)["id"]
        assert logged(gateway, f"webhook_failed.*{task.removeprefix('task_')}|{task.removeprefix('task_')}.*webhook_failed")
    else:
        assert reply.status in (400, 422), reply.text
    assert receiver.waiting == 0


def test_a_replicate_webhook_is_not_sent_to_a_private_place(gateway: Served, tenants: Tenants, receiver):
    body = {"input": {"prompt": "a"}, "webhook": f"{receiver.url}/x"}
    made = gateway.ask("POST", SCHNELL, body, key=tenants.alice_test).json["id"]
    gateway.ended(made, key=tenants.alice_test)
    assert logged(gateway, f"webhook_failed.*{made}|{made}.*webhook_failed")
    assert receiver.waiting == 0


@pytest.mark.parametrize("url", SPELLINGS)
def test_an_output_is_not_mirrored_from_a_private_place(
    gateway: Served, tenants: Tenants, vendor: RecordingVendor, receiver, unique, url
):
    vendor.links[unique] = at(receiver, url)
    task = gateway.order({"prompt": unique}, key=tenants.alice)
    assert logged(gateway, f"output_unreachable.*{identity(gateway, tenants, task)}|{identity(gateway, tenants, task)}.*output_unreachable")
    assert gateway.ask("GET", f"/v1/tasks/{task}", key=tenants.alice).json["state"] != "succeeded"
    assert receiver.waiting == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_of_an_output_into_a_private_place_is_not_followed(
    gateway: Served, tenants: Tenants, vendor: RecordingVendor, receiver, unique, status
):
    vendor.files[f"/{unique}"] = (status, {"location": f"{receiver.url}/x"}, b"")
    vendor.links[unique] = f"{vendor.url}/{unique}"
    task = gateway.order({"prompt": unique}, key=tenants.alice)
    assert logged(gateway, f"output_unreachable.*{identity(gateway, tenants, task)}|{identity(gateway, tenants, task)}.*output_unreachable")
    assert gateway.ask("GET", f"/v1/tasks/{task}", key=tenants.alice).json["state"] != "succeeded"
    assert receiver.waiting == 0


def test_the_operators_credential_does_not_follow_an_output(
    gateway: Served, tenants: Tenants, vendor: RecordingVendor, unique
):
    vendor.files[f"/{unique}.png"] = vendor.files["/image.png"]
    vendor.links[unique] = f"{vendor.url}/{unique}.png"
    gateway.draw(unique, key=tenants.alice)
    fetched = next(each for each in vendor.seen if each.path == f"/{unique}.png")
    assert not {"x-key", "authorization"} & fetched.headers.keys()


def identity(gateway: Served, tenants: Tenants, task: str) -> str:
    """Give a task's id as logs spell it."""
    return gateway.ask("GET", f"/v1/tasks/{task}", key=tenants.alice).json["id"].removeprefix("task_")


def logged(gateway: Served, pattern: str) -> bool:
    """Whether a line of the log matches, soon."""
    wanted, until = re.compile(pattern), time.monotonic() + SETTLED_S_MAX
    while time.monotonic() < until:
        if any(wanted.search(line) for line in gateway.log.splitlines()):
            return True
    return False
