"""What an operator does with a task whose outcome nobody knows."""

import pytest
from tests.app.rigs import Rig

from halley.kernel.faults import Conflict, NotFound
from halley.kernel.money import Nanos
from halley.pipeline.task import resolve
from halley.tasks import Task


async def _unknown(rig: Rig) -> Task:
    await rig.serve_only("bfl")
    await rig.client.flux("flux-pro-1.1", "reset_after_send")
    task = await rig.last_task()
    assert task.state == "unknown"
    return task


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
