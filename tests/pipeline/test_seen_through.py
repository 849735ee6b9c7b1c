"""An order whose hold is on disk is seen through, whoever still waits for it."""

import asyncio
import threading

import pytest
from tests.answers.house import soon
from tests.app.rigs import Rig

from halley.db import Tx
from halley.kernel.faults import VendorUnreachable
from halley.pipeline import call
from halley.pipeline.admit import admit
from halley.pipeline.request import RequestContext
from halley.pipeline.task import CANCEL_WAIT_S
from halley.tasks import TaskState
from halley.upstream.client import UpstreamClient, UpstreamReply, UpstreamRequest, UpstreamStream
from halley.upstream.errors import NotSent
from halley.upstream.messages import Prepared, WholeReply
from halley.vendors.contract import Answer, Incoming


class SlowVendor:
    """Answers an order when it is told to, or is not there."""

    def __init__(self, behind: UpstreamClient) -> None:
        self._behind = behind
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.away = False

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        if request.method == "POST":
            self.asked.set()
            await self.may_answer.wait()
            if self.away:
                raise NotSent("away")
        return await self._behind.send(request)

    async def open(self, request: UpstreamRequest) -> UpstreamStream:
        return await self._behind.open(request)

    def prepare(self, request: UpstreamRequest) -> Prepared:
        return self._behind.prepare(request)

    def begin(self, prepared: Prepared, body: bytes) -> asyncio.Future[WholeReply] | None:
        """There is never an idle connection."""

    async def aclose(self) -> None:
        await self._behind.aclose()


@pytest.fixture
def vendor(rig: Rig) -> SlowVendor:
    vendor = SlowVendor(rig.world.upstream)
    rig.world.upstream = vendor
    return vendor


async def _ordered(rig: Rig) -> Answer:
    world = rig.world
    caller = await admit(world, rig.key)
    incoming = Incoming(
        method="POST",
        path="/flux/v1/flux-pro-1.1",
        path_params={"model": "flux-pro-1.1"},
        body={"prompt": "a red teapot", "width": 256, "height": 256},
    )
    context = RequestContext(id="req_1", method="POST", path="/", base_url="http://a", received_at=world.clock.now())
    return await call.submit(world, caller, world.dialects["flux"], incoming, context)


async def test_an_order_that_is_cut_off_while_its_vendor_is_asked_runs_on(rig: Rig, vendor: SlowVendor) -> None:
    await rig.serve_only("bfl")
    async with asyncio.TaskGroup() as group:
        ordering = group.create_task(_ordered(rig))
        await vendor.asked.wait()
        ordering.cancel()
    assert ordering.cancelled()
    assert (await rig.last_task()).state is TaskState.SUBMITTING
    vendor.may_answer.set()
    async with asyncio.timeout(10):
        while (task := await rig.last_task()).state is TaskState.SUBMITTING:
            await rig.turn(0.05)
    assert task.vendor_task_id is not None
    assert task.state in (TaskState.RUNNING, TaskState.SUCCEEDED)


async def test_a_picture_whose_caller_leaves_while_its_vendor_is_asked_is_cancelled_once_it_is_taken(
    rig: Rig, vendor: SlowVendor
) -> None:
    body, headers = {"model": "flux-schnell", "prompt": "a"}, {"halley-test": "delay=60"}
    async with asyncio.TaskGroup() as group:
        ordering = group.create_task(rig.client.call("POST", "/v1/images/generations", body, headers=headers))
        await vendor.asked.wait()
        ordering.cancel()
    assert (await rig.last_task()).state is TaskState.SUBMITTING
    vendor.may_answer.set()
    task = await rig.ended((await rig.last_task()).id)
    assert (task.vendor, task.state) == ("replicate", TaskState.CANCELLED)
    assert await rig.open_holds() == 0


@pytest.mark.parametrize("path", ["/v1/tasks/{}/cancel", "/replicate/v1/predictions/{}/cancel"], ids=["own", "theirs"])
async def test_a_cancel_while_the_vendor_is_asked_reaches_the_job_once_it_is_taken(
    rig: Rig, vendor: SlowVendor, path: str
) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(rig.client.replicate("black-forest-labs/flux-dev", "success; delay=60"))
        await vendor.asked.wait()
        task = await rig.last_task()
        cancelling = group.create_task(rig.client.call("POST", path.format(task.id)))
        await rig.pass_time(1, step_s=0.25)
        vendor.may_answer.set()
        cancelled = await rig.while_ticking(cancelling)
    assert cancelled.status == 200
    assert (await rig.task(task.id)).state is TaskState.CANCELLED
    assert await rig.open_holds() == 0


@pytest.mark.parametrize("path", ["/v1/tasks/{}/cancel", "/replicate/v1/predictions/{}/cancel"], ids=["own", "theirs"])
async def test_a_cancel_of_what_its_vendor_does_not_confirm_in_time_is_refused(
    rig: Rig, vendor: SlowVendor, path: str
) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(rig.client.replicate("black-forest-labs/flux-dev"))
        await vendor.asked.wait()
        task = await rig.last_task()
        began = rig.clock.monotonic()
        refused = await rig.while_ticking(rig.client.call("POST", path.format(task.id)))
        assert rig.clock.monotonic() - began >= CANCEL_WAIT_S
        vendor.may_answer.set()
    assert (refused.status, refused.json["error"]["code"]) == (409, "not_cancelled")
    assert "cancel it again" in refused.json["error"]["message"]
    assert (await rig.ended(task.id)).state is TaskState.SUCCEEDED


async def test_what_a_vendor_says_is_told_to_whoever_waits(rig: Rig, vendor: SlowVendor) -> None:
    await rig.serve_only("bfl")
    vendor.may_answer.set()
    assert (await _ordered(rig)).status == 200
    vendor.away = True
    with pytest.raises(VendorUnreachable):
        await _ordered(rig)
    assert (await rig.last_task()).state is TaskState.FAILED
    assert await rig.open_holds() == 1


async def test_money_of_an_order_that_nobody_waits_for_and_no_vendor_took_is_given_back(
    rig: Rig, vendor: SlowVendor
) -> None:
    await rig.serve_only("bfl")
    vendor.away = True
    async with asyncio.TaskGroup() as group:
        ordering = group.create_task(_ordered(rig))
        await vendor.asked.wait()
        ordering.cancel()
    vendor.may_answer.set()
    async with asyncio.timeout(10):
        while await rig.open_holds():
            await rig.turn(0.05)
    assert (await rig.last_task()).state is TaskState.FAILED


async def test_an_order_whose_caller_leaves_while_its_hold_is_written_is_sent(rig: Rig, vendor: SlowVendor) -> None:
    await rig.serve_only("bfl")
    vendor.may_answer.set()
    begun, gate = threading.Event(), threading.Event()

    def slow(_tx: Tx) -> None:
        begun.set()
        gate.wait(10)

    async def queued() -> bool:
        return rig.world.db.waiting > 0

    async with asyncio.TaskGroup() as group:
        writing = group.create_task(rig.world.db.write("slow", slow))
        assert await asyncio.to_thread(begun.wait, 10)
        ordering = group.create_task(_ordered(rig))
        await soon(queued)
        ordering.cancel()
        await asyncio.wait((ordering,))
        gate.set()
        await writing
    async with asyncio.timeout(10):
        while not vendor.asked.is_set():
            await rig.turn(0.05)
        while (task := await rig.last_task()).state is TaskState.SUBMITTING:
            await rig.turn(0.05)
    assert task.vendor_task_id is not None
