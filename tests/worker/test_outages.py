"""What becomes of orders while the gateway is away for longer than a task of unknown outcome is waited for."""

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.app.rigs import Rig, opened_gateway

from halley.db import DatabaseUnavailable, Group
from halley.kernel.order import FailureCode
from halley.tasks import Task, TaskState
from halley.testing.gateway import settings_for
from halley.testing.wire import Break
from halley.worker.poll import SETTLE_S, UNKNOWN_GRACE_S

DEV = "black-forest-labs/flux-dev"
AWAY_S = 2 * UNKNOWN_GRACE_S


async def _put_off(rig: Rig, task: Task) -> None:
    """Let the first look come after the next start, and not already during it: then the wire can be broken before."""
    due = rig.clock.now() + (AWAY_S + 60) * 1_000_000
    await rig.world.db.write(
        "test", lambda tx: tx.run("UPDATE tasks SET due_at = :due WHERE id = :id", {"due": due, "id": task.id})
    )


@pytest.mark.parametrize(
    ("ending", "stands", "code"),
    [
        pytest.param("vendor_error", TaskState.RUNNING, FailureCode.VENDOR_FAILED, id="it failed"),
        # Its outputs are gone after an hour, as the vendor's documents say.
        pytest.param("reset_after_send", TaskState.UNKNOWN, FailureCode.OUTPUT_LOST, id="its reply was lost"),
    ],
)
@pytest.mark.parametrize("deaf_s", [0, SETTLE_S // 2], ids=["the network is up", "the network comes up later"])
async def test_the_end_of_what_ran_while_the_gateway_was_off_is_the_vendors_word(
    folder: Path, ending: str, stands: TaskState, code: FailureCode, deaf_s: int
) -> None:
    settings = settings_for(folder)
    async with opened_gateway(settings) as rig:
        rig.wire.fail(Break.BROKEN, lambda method, _: method == "GET", times=10_000)
        await rig.client.replicate(DEV, ending)
        task, key, clock = await rig.last_task(), rig.key, rig.clock
        assert task.state is stands
        await _put_off(rig, task)
    clock.advance(AWAY_S)
    async with opened_gateway(settings, clock=clock, key=key) as rig:
        deaf_until = clock.now() + deaf_s * 1_000_000
        rig.wire.fail(Break.REFUSED, lambda method, _: method == "GET" and clock.now() < deaf_until, times=10_000)
        task = await rig.ended(task.id, within_s=SETTLE_S)
        assert task.failure is not None
        assert task.failure.code is code


async def test_the_end_of_what_ran_while_the_machine_slept_is_the_vendors_word(rig: Rig) -> None:
    await rig.client.replicate(DEV, "vendor_error")
    rig.wire.fail(Break.REFUSED, lambda _, path: "/predictions/" in path)
    rig.clock.advance(AWAY_S)
    task = await rig.ended((await rig.last_task()).id)
    assert task.failure is not None
    assert task.failure.code is FailureCode.VENDOR_FAILED


async def test_a_task_that_was_being_looked_at_when_the_database_went_away_is_looked_at_once_it_is_back(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = (await rig.client.replicate(DEV, "success; delay=10")).json["id"]
    failed: list[str] = []

    async def away(group: Group[Any, Any], _item: object) -> None:
        failed.append(group.name)
        raise DatabaseUnavailable

    with monkeypatch.context() as patched, capture_logs() as lines:
        patched.setattr(rig.world.db, "write_together", away)
        while "look_again" not in failed:
            await rig.turn(0.1)
    assert [line["event"] for line in lines if line["log_level"] != "info"] == ["database_away"]
    assert (await rig.ended(identity, within_s=30)).state is TaskState.SUCCEEDED


async def test_what_nobody_can_find_is_given_up_soon_after_a_start(folder: Path) -> None:
    settings = settings_for(folder)
    async with opened_gateway(settings) as rig:
        await rig.client.flux("flux-pro-1.1", "reset_after_send")
        task, key, clock = await rig.last_task(), rig.key, rig.clock
    clock.advance(AWAY_S)
    async with opened_gateway(settings, clock=clock, key=key) as rig:
        await rig.pass_time(SETTLE_S - 60)
        assert (await rig.task(task.id)).state is TaskState.UNKNOWN
        task = await rig.ended(task.id, within_s=120)
        assert task.failure is not None
        assert task.failure.code is FailureCode.OUTCOME_UNKNOWN
        assert await rig.open_holds() == 0


async def test_an_order_whose_reply_was_lost_is_found_after_the_secret_was_rotated(folder: Path) -> None:
    settings = settings_for(folder)
    async with opened_gateway(settings) as rig:
        rig.wire.fail(Break.BROKEN, lambda method, _: method == "GET", times=10_000)
        await rig.client.replicate(DEV, "reset_after_send")
        task, key, clock = await rig.last_task(), rig.key, rig.clock
    old = (folder / "secret").read_text().strip()
    (folder / "secret").write_text(f"{'new' * 12},{old}")
    async with opened_gateway(settings, clock=clock, key=key) as rig:
        task = await rig.ended(task.id)
        assert task.state is TaskState.SUCCEEDED, task.failure
