"""What dead processes left, and what is kept no longer."""

from pathlib import Path

import aiohttp
import pytest
from tests.app.rigs import Rig, opened_gateway
from tests.tasks.rows import Rows

from halley.accounts import store as accounts
from halley.db import Tx
from halley.kernel.money import Nanos
from halley.ledger import store as ledger
from halley.ledger.model import HoldRequest
from halley.tasks import TaskState
from halley.tasks.store import insert_task
from halley.testing.gateway import settings_for
from halley.worker.sweep import EVERY_S, sweep
from halley.world.boots import DEAD_AFTER_S, LOOKS_STILL, Still, begin_boot, last_seen, living_boots, see_boot

STRANDED_S = 6


async def _hold(rig: Rig, name: str, *, boot_id: str, kind: str, order_id: str = "order_one") -> None:
    """A hold of a dead or living process, on the first account."""
    row = await rig.world.db.read(lambda tx: tx.one("SELECT * FROM keys"))
    assert row is not None
    request = HoldRequest(
        id=name,
        ledger_account_id=f"{row['account_id']}.test",
        account_id=row["account_id"],
        livemode=False,
        amount=Nanos(1_000),
        order_id=order_id,
        order_kind=kind,
        key_id=row["id"],
        boot_id=boot_id,
        now=rig.clock.now(),
    )

    def unit(tx: Tx) -> None:
        accounts.reserve_budget(tx, key_id=request.key_id, amount=request.amount, now=request.now)
        ledger.hold(tx, request)

    await rig.world.db.write("hold", unit)


async def test_what_nobody_carries_on_submitting_is_unknown_and_looked_for(rig: Rig) -> None:
    rows = Rows(rig.world.db, rig.world.ids, rig.clock)
    await _hold(rig, "hold_lost", boot_id="boot_dead", kind="task")
    lost = await rows.submitting(boot_id="boot_dead", hold_id="hold_lost", channel_id="sandbox-bfl")
    mine = rows.new(boot_id=rig.world.boot_id, hold_id="hold_mine", channel_id="sandbox-bfl")
    with rig.world.at_work(mine.id):
        await rig.world.db.write("insert", lambda tx: insert_task(tx, mine))
        rig.clock.advance(6)
        await sweep(rig.world)
        assert (await rows.now(lost)).state is TaskState.UNKNOWN
        assert (await rig.task(mine.id)).state is TaskState.SUBMITTING
        assert await rig.open_holds() == 1


async def test_what_was_left_long_ago_is_looked_for_before_it_is_given_up(rig: Rig) -> None:
    rows = Rows(rig.world.db, rig.world.ids, rig.clock)
    long_ago = rig.clock.now() - 86_400 * 1_000_000
    channel = next(one for one in rig.world.sandbox if one.vendor == "replicate")
    await _hold(rig, "hold_lost", boot_id="boot_dead", kind="task")
    lost = await rows.submitting(
        boot_id="boot_dead",
        hold_id="hold_lost",
        channel_id=channel.id,
        vendor="replicate",
        deadline_at=long_ago,
    )

    async def searched() -> bool:
        return "GET /v1/predictions" in await rig.requests("replicate")

    await rig.settle(searched)
    await rig.pass_time(600)
    assert (await rows.now(lost)).state is TaskState.UNKNOWN


async def test_holds_of_answers_of_a_dead_process_are_voided_and_those_of_tasks_stay(rig: Rig) -> None:
    await _hold(rig, "hold_answer", boot_id="boot_dead", kind="answer")
    await _hold(rig, "hold_task", boot_id="boot_dead", kind="task")
    await _hold(rig, "hold_own", boot_id=rig.world.boot_id, kind="answer")
    await sweep(rig.world)
    await sweep(rig.world)
    left = await rig.world.db.read(ledger.open_holds)
    assert {hold.hold_id for hold in left} == {"hold_task", "hold_own"}


async def _living(rig: Rig, later_s: float, still: Still | None) -> set[str]:
    later = rig.clock.now() + round(later_s * 1_000_000)
    return await rig.world.db.read(lambda tx: living_boots(tx, "boot_one", later, still=still))


async def _look(rig: Rig, still: Still, times: int, *, from_s: float = 0.0) -> None:
    for n in range(times):
        still.look(await rig.world.db.read(last_seen), from_s + n * EVERY_S)


@pytest.mark.parametrize(("silent_s", "lives"), [(DEAD_AFTER_S - 1, True), (DEAD_AFTER_S, False)])
async def test_a_replica_is_dead_when_it_was_silent_for_a_minute(rig: Rig, silent_s: int, lives: bool) -> None:
    await rig.world.db.write("begin", lambda tx: begin_boot(tx, "boot_other", rig.clock.now()))
    still = Still()
    await _look(rig, still, LOOKS_STILL)
    living = await _living(rig, silent_s, still)
    assert ("boot_other" in living) is lives
    assert "boot_one" in living


async def test_a_replica_whose_row_moves_lives_however_wrong_our_clock_is(rig: Rig) -> None:
    await rig.world.db.write("begin", lambda tx: begin_boot(tx, "boot_other", rig.clock.now()))
    still = Still()
    for n in range(3):
        await _look(rig, still, LOOKS_STILL - 1, from_s=60.0 * n)
        assert "boot_other" in await _living(rig, 9_000, still)
        seen = rig.clock.now() + n + 1
        await rig.world.db.write("see", lambda tx, seen=seen: see_boot(tx, "boot_other", seen))
    await _look(rig, still, LOOKS_STILL, from_s=300.0)
    assert "boot_other" not in await _living(rig, 9_000, still)


async def test_who_was_silent_while_the_database_was_away_lives(rig: Rig) -> None:
    await rig.world.db.write("begin", lambda tx: begin_boot(tx, "boot_other", rig.clock.now()))
    still = Still()
    await _look(rig, still, LOOKS_STILL - 1)
    # Nobody could look for ten minutes, nor could the other say that it lives.
    await _look(rig, still, LOOKS_STILL - 1, from_s=600.0)
    assert "boot_other" in await _living(rig, 600, still)


async def test_where_there_is_one_process_every_other_is_dead(rig: Rig) -> None:
    await rig.world.db.write("begin", lambda tx: begin_boot(tx, "boot_other", rig.clock.now()))
    assert await _living(rig, 0, None) == {"boot_one"}


async def test_uploaded_files_are_kept_for_a_month(rig: Rig) -> None:
    form = aiohttp.FormData()
    form.add_field("content", b"hello", filename="a.txt", content_type="text/plain")
    made = (await rig.client.call("POST", "/replicate/v1/files", data=form)).json
    await rig.pass_time(29 * 86_400, step_s=86_400)
    assert (await rig.client.call("GET", f"/replicate/v1/files/{made['id']}")).status == 200

    async def gone() -> bool:
        return await rig.stored_objects() == []

    await rig.pass_time(86_400, step_s=21_600)
    await rig.settle(gone)
    assert (await rig.client.call("GET", f"/replicate/v1/files/{made['id']}")).status == 404


async def test_a_restart_hands_leases_of_the_dead_process_on_at_once(folder: Path) -> None:
    settings = settings_for(folder)
    async with opened_gateway(settings) as rig:
        name = (await rig.client.flux("flux-pro-1.1", "success; delay=5")).json["id"]
        key, clock = rig.key, rig.clock
        until = clock.now() + 10**9
        await rig.world.db.write("lease", lambda tx: tx.run("UPDATE tasks SET lease_until = :until", {"until": until}))
    async with opened_gateway(settings, key=key, clock=clock) as rig:
        assert (await rig.ended(name, within_s=60)).state == "succeeded"
