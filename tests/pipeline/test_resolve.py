"""What an operator does with a task whose outcome nobody knows."""

from collections.abc import Sequence

import msgspec
import pytest
from structlog.testing import capture_logs
from tests.app.rigs import Rig

from halley.assets import ObjectStore, ObjectsUnavailable
from halley.assets.objects import read_bytes
from halley.db import Tx
from halley.kernel.faults import Conflict, Draining, NotFound, OutcomeUnknown, VendorUnreachable
from halley.kernel.money import Nanos
from halley.kernel.order import Report
from halley.pipeline.task import resolve
from halley.tasks import Task
from halley.tasks import store as tasks
from halley.testing.wire import Break
from halley.vendors.contract import tasks_of


async def _unknown(rig: Rig) -> Task:
    await rig.serve_only("bfl")
    await rig.client.flux("flux-pro-1.1", "reset_after_send")
    task = await rig.last_task()
    assert task.state == "unknown"
    return task


async def _ordered(rig: Rig, vendor: str, prompt: str) -> str:
    if vendor == "bfl":
        return (await rig.client.flux(prompt=prompt)).json["id"]
    made = await rig.client.replicate("black-forest-labs/flux-dev", "success", num_outputs=2, prompt=prompt)
    return made.json["id"]


async def _half_stored(rig: Rig, vendor: str) -> Task:
    """A task whose job has ended, but not all of whose outputs could be fetched in time."""
    cannot = ["out-1" if vendor == "replicate" else "/results/"]
    rig.wire.fail(Break.BROKEN, lambda _, path: any(part in path for part in cannot), times=10_000)
    await rig.serve_only(vendor)
    task = await rig.reach(await _ordered(rig, vendor, "a red teapot"), "unknown", within_s=2_000)
    cannot.clear()
    return task


async def _job_of_nobody(rig: Rig, task: Task) -> str:
    """Give the job of a task, as if it were not known whose it is."""
    job = task.vendor_task_id
    assert job is not None
    forget = "UPDATE tasks SET vendor_task_id = 'forgotten' WHERE id = :id"
    await rig.world.db.write("test", lambda tx: tx.run(forget, {"id": task.id}))
    return job


class AwayObjects:
    """A store of files from which nothing can be deleted just now."""

    def __init__(self, inner: ObjectStore) -> None:
        self.get, self.put, self.remove_unfinished = inner.get, inner.put, inner.remove_unfinished

    async def delete(self, keys: Sequence[str]) -> None:
        raise ObjectsUnavailable(f"cannot be reached: {keys}")


async def test_void_gives_the_money_back(rig: Rig) -> None:
    task = await _unknown(rig)
    await rig.turn(1)
    closed = await resolve(rig.world, task.id, void=True)
    assert (closed.state, closed.cost) == ("failed", 0)
    assert await rig.open_holds() == 0
    assert (await rig.client.get_result(task.id))["status"] == "Error"


async def test_post_charges_what_the_operator_says(rig: Rig) -> None:
    task = await _unknown(rig)
    closed = await resolve(rig.world, f"task_{task.id}", post=Nanos(30_000_000))
    assert closed.cost == await rig.posted(closed) == 30_000_000
    assert await rig.open_holds() == 0


async def test_attach_lets_the_task_run_on(rig: Rig) -> None:
    task = await _unknown(rig)
    [job] = await rig.jobs("bfl")
    assert (await resolve(rig.world, task.id, attach=job.id)).state == "running"
    ended = await rig.ended(task.id)
    assert (ended.state, await rig.posted(ended)) == ("succeeded", 40_000_000)


async def test_a_job_that_another_task_follows_or_followed_is_not_attached(rig: Rig) -> None:
    task = await _unknown(rig)
    other = await rig.ended(await _ordered(rig, "bfl", "a blue whale"))
    with pytest.raises(Conflict, match=f"task_{other.id}"):
        await resolve(rig.world, task.id, attach=other.vendor_task_id)
    assert (await rig.task(task.id)).state == "unknown"


@pytest.mark.parametrize("vendor", ["replicate", "bfl"])
async def test_a_job_that_the_vendor_does_not_know_is_not_attached(rig: Rig, vendor: str) -> None:
    task = await _half_stored(rig, vendor)
    with pytest.raises(Conflict, match="`mistyped`"):
        await resolve(rig.world, task.id, attach="mistyped")
    after = await rig.task(task.id)
    assert (after.state, after.vendor_task_id) == ("unknown", task.vendor_task_id)


async def test_nothing_is_attached_while_the_vendor_cannot_be_asked(rig: Rig) -> None:
    task = await _unknown(rig)
    [job] = await rig.jobs("bfl")
    for how, fault in ((Break.REFUSED, VendorUnreachable), (Break.GARBAGE, OutcomeUnknown)):
        rig.wire.fail(how, lambda method, _: method == "GET")
        with pytest.raises(fault):
            await resolve(rig.world, task.id, attach=job.id)
    assert (await rig.task(task.id)).state == "unknown"


async def test_nothing_is_attached_where_the_vendors_answer_about_it_cannot_be_read(rig: Rig) -> None:
    def unreadable(*_: object) -> Report:
        raise ValueError

    task = await _unknown(rig)
    vendor = rig.world.vendors["bfl"]
    odd = msgspec.structs.replace(vendor, tasks=msgspec.structs.replace(tasks_of(vendor), read_report=unreadable))
    rig.world.vendors = {**rig.world.vendors, "bfl": odd}
    with pytest.raises(Conflict, match="cannot be read"):
        await resolve(rig.world, task.id, attach=(await rig.jobs("bfl"))[0].id)


async def test_nothing_is_attached_to_a_task_whose_channel_is_gone(rig: Rig) -> None:
    task = await _unknown(rig)
    rig.world.config = msgspec.structs.replace(rig.world.config, by_id={})
    with pytest.raises(Conflict, match="channel"):
        await resolve(rig.world, task.id, attach="any")


@pytest.mark.parametrize("vendor", ["replicate", "bfl"])
async def test_a_task_that_goes_on_with_another_job_has_all_outputs_of_that_job(rig: Rig, vendor: str) -> None:
    task = await _half_stored(rig, vendor)
    other = await rig.ended(await _ordered(rig, vendor, "a blue whale"))
    await resolve(rig.world, task.id, attach=await _job_of_nobody(rig, other))
    assert (await rig.ended(task.id)).state == "succeeded"
    files = await rig.stored_objects()
    made = {key: await read_bytes(rig.world.objects, key, bytes_max=2**22) for key in files}
    assert len(made) == (4 if vendor == "replicate" else 2)
    for n in range(len(made) // 2):
        assert made[f"{task.id}/{n}"] == made[f"{other.id}/{n}"]


async def test_a_task_that_a_worker_looks_at_keeps_its_job_and_its_outputs(rig: Rig) -> None:
    task = await _half_stored(rig, "replicate")
    now = rig.world.clock.now()

    def leased(tx: Tx) -> list[Task]:
        tasks.make_due(tx, task.id, now)
        return tasks.lease(tx, [task.id], now=now, lease_us=10**9)

    another = await _job_of_nobody(rig, await rig.ended(await _ordered(rig, "replicate", "a blue whale")))
    [looked_at] = await rig.world.db.write("test", leased)
    with pytest.raises(Conflict, match="try again in"):
        await resolve(rig.world, task.id, attach=another)
    assert f"{task.id}/0" in await rig.stored_objects()
    assert await rig.world.db.write("test", lambda tx: tasks.release_lease(tx, looked_at))
    assert (await resolve(rig.world, task.id, attach=another)).state == "running"


async def test_a_task_keeps_its_job_while_the_outputs_of_it_cannot_be_deleted(rig: Rig) -> None:
    task = await _half_stored(rig, "replicate")
    another = await _job_of_nobody(rig, await rig.ended(await _ordered(rig, "replicate", "a blue whale")))
    rig.world.objects = AwayObjects(rig.world.objects)
    with pytest.raises(Draining, match="store of files"):
        await resolve(rig.world, task.id, attach=another)
    after = await rig.task(task.id)
    assert (after.state, after.vendor_task_id) == ("unknown", task.vendor_task_id)


async def test_a_task_is_closed_also_while_its_outputs_cannot_be_deleted(
    rig: Rig,
) -> None:
    task = await _half_stored(rig, "replicate")
    rig.world.objects = AwayObjects(rig.world.objects)
    with capture_logs() as lines:
        closed = await resolve(rig.world, task.id, void=True)
    assert (closed.state, await rig.open_holds()) == ("failed", 0)
    assert [(line["event"], line["task"]) for line in lines if line["event"] == "outputs_left"] == [
        ("outputs_left", task.id)
    ]


async def test_what_is_known_is_not_resolved(rig: Rig) -> None:
    accepted = await rig.client.flux()
    task = await rig.ended(accepted.json["id"])
    with pytest.raises(Conflict, match="succeeded"):
        await resolve(rig.world, task.id, void=True)
    assert await rig.posted(task) == 40_000_000


async def test_a_task_that_is_not_there_is_named(rig: Rig) -> None:
    for asked in ("nonsense", "01m82dcpkqfaqtr7ejkpvxhv7a"):
        with pytest.raises(NotFound, match=asked):
            await resolve(rig.world, asked, void=True)


async def test_of_two_who_resolve_one_wins(rig: Rig) -> None:
    task = await _unknown(rig)
    await resolve(rig.world, task.id, void=True)
    with pytest.raises(Conflict):
        await resolve(rig.world, task.id, post=Nanos(1))
    assert await rig.posted(task) == 0
