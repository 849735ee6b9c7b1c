"""Class 6: a vendor's callback with an empty, missing, wrong or replayed signature, or for another task."""

import base64
import hashlib
import hmac
import json
import time
from urllib.parse import urlsplit

import msgspec
import pytest
from tests.clients.served import Reply, Served
from tests.field.tenants import SCHNELL, Tenants
from tests.field.vendor import HOLD, SIGNING_KEY, RecordingVendor

OTHER_KEY = "whsec_" + base64.b64encode(b"somebody else's signing secret").decode()


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A live order that runs at the vendor."""

    task: str
    prompt: str
    callback: str
    """The path that the vendor was told to call."""


@pytest.fixture
def job(gateway: Served, tenants: Tenants, vendor: RecordingVendor, unique: str) -> Job:
    return ordered(gateway, tenants, vendor, unique)


def ordered(gateway: Served, tenants: Tenants, vendor: RecordingVendor, word: str) -> Job:
    prompt = HOLD + word
    made = gateway.ask("POST", SCHNELL, {"input": {"prompt": prompt}}, key=tenants.alice)
    assert made.status == 201, made.text
    callback = urlsplit(str(vendor.order_of(prompt).json["webhook"])).path
    return Job(task=made.json["id"], prompt=prompt, callback=callback)


def signed(body: bytes, *, key: str = SIGNING_KEY, at: int | None = None, name: str = "msg_1") -> dict[str, str]:
    when = str(int(time.time()) if at is None else at)  # noqa: TID251 - a signature's time is the machine's
    content = f"{name}.{when}.".encode() + body
    digest = hmac.digest(base64.b64decode(key.removeprefix("whsec_")), content, hashlib.sha256)
    signature = base64.b64encode(digest).decode()
    return {"webhook-id": name, "webhook-timestamp": when, "webhook-signature": f"v1,{signature}"}


def claim(status: str = "succeeded") -> bytes:
    body = {"id": "vendorjob", "status": status, "output": ["http://elsewhere.example/x.png"]}
    return json.dumps(body).encode()


def call(gateway: Served, job: Job, headers: dict[str, str], body: bytes | None = None) -> Reply:
    return gateway.ask("POST", job.callback, claim() if body is None else body, key=None, headers=headers)


def now(offset_s: int = 0) -> int:
    return int(time.time()) + offset_s  # noqa: TID251 - a signature's time is the machine's


def test_a_callback_without_a_valid_signature_is_refused_and_moves_nothing(gateway: Served, tenants: Tenants, job: Job):
    right = signed(claim())
    forgeries = [
        {},
        {name: value for name, value in right.items() if name != "webhook-signature"},
        {name: value for name, value in right.items() if name != "webhook-timestamp"},
        {name: value for name, value in right.items() if name != "webhook-id"},
        {**right, "webhook-signature": ""},
        {**right, "webhook-signature": "v1,"},
        {**right, "webhook-signature": "v1"},
        {**right, "webhook-signature": right["webhook-signature"].replace("v1,", "v2,")},
        {**right, "webhook-signature": right["webhook-signature"][:-4] + "AAA="},
        {**right, "webhook-id": "msg_2"},
        signed(claim(), key="whsec_"),
        signed(claim(), key=OTHER_KEY),
        signed(claim("failed")),
        signed(claim(), at=now(-600)),
        signed(claim(), at=now(+600)),
        {**right, "webhook-timestamp": "9" * 30},
        {**right, "webhook-timestamp": "-1"},
    ]
    assert [call(gateway, job, headers).status for headers in forgeries] == [401] * len(forgeries)
    assert gateway.ask("GET", f"/v1/tasks/{job.task}", key=tenants.alice).json["ended_at"] is None


def test_a_callback_is_believed_in_nothing_but_that_it_is_time_to_look(
    gateway: Served, tenants: Tenants, vendor: RecordingVendor, job: Job
):
    polls = len(vendor.seen)
    assert call(gateway, job, signed(claim())).status == 200
    assert vendor.wait_for_more_than(polls)
    shown = gateway.ask("GET", f"/v1/tasks/{job.task}", key=tenants.alice).json
    assert shown["ended_at"] is None
    assert "elsewhere" not in json.dumps(shown)


def test_a_replayed_callback_charges_nothing_twice(
    gateway: Served, tenants: Tenants, vendor: RecordingVendor, job: Job
):
    vendor.release(job.prompt)
    headers = signed(claim())
    for _ in range(5):
        assert call(gateway, job, headers).status == 200
    gateway.ended(job.task, key=tenants.alice)
    for _ in range(5):
        assert call(gateway, job, headers).status == 200
    posted = [row for row in transfers(gateway) if row["kind"] == "post" and job.task in str(row["order_id"])]
    assert len(posted) == 1
    gateway.assert_books_are_sound()


def test_a_callback_address_stands_for_its_own_task_only(
    gateway: Served, tenants: Tenants, vendor: RecordingVendor, job: Job, unique: str
):
    other = ordered(gateway, tenants, vendor, f"other {unique}")
    token, _, mac = job.callback.rpartition("/")[2].partition(".")
    theirs = other.callback.rpartition("/")[2].partition(".")[0]
    paths = [
        f"/callbacks/replicate/{theirs}.{mac}",
        f"/callbacks/replicate/{token}.{mac[:-1]}",
        f"/callbacks/replicate/{token}.",
        f"/callbacks/replicate/{token}",
        f"/callbacks/replicate/.{mac}",
        f"/callbacks/bfl/{token}.{mac}",
        f"/callbacks/nobody/{token}.{mac}",
    ]
    sent = [gateway.ask("POST", path, claim(), key=None, headers=signed(claim())) for path in paths]
    assert [reply.status for reply in sent] == [404] * len(paths)


@pytest.mark.usefixtures("tenants")
def test_an_address_that_we_made_tells_nothing_without_a_signature(gateway: Served, job: Job):
    reply = call(gateway, job, {})
    assert job.task not in reply.text
    assert reply.problem["code"] == "invalid_api_key" or reply.problem["type"] == "authentication_error"


def test_a_body_without_end_is_refused(gateway: Served, job: Job):
    body = b" " * (2 * 1024 * 1024)
    assert call(gateway, job, signed(body), body).status == 413


def transfers(gateway: Served):
    return gateway.console("ledger.show", account="alice", livemode=True, limit=1_000)["transfers"]
