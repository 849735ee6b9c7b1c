"""A hold for an answer that no call works on is given back, and listed as lost; one in use is left alone."""

from tests.app.rigs import Rig, folder, journal_may_block, rig

from halley.db import Tx
from halley.kernel.money import Nanos
from halley.ledger import store as ledger
from halley.ledger.model import HoldRequest
from halley.pipeline.admit import admit
from halley.worker.sweep import sweep

__all__ = ["folder", "journal_may_block", "rig"]


async def _hold(rig: Rig, order_id: str) -> None:
    caller = await admit(rig.world, rig.key)

    def unit(tx: Tx) -> None:
        ledger.hold(
            tx,
            HoldRequest(
                id=f"hold_{order_id}",
                ledger_account_id=caller.ledger_account_id,
                account_id=caller.account_id,
                livemode=caller.livemode,
                amount=Nanos(0),
                order_id=order_id,
                order_kind="answer",
                key_id=caller.key_id,
                boot_id=rig.world.boot_id,
                now=rig.clock.now(),
                note="gpt-5.4-mini",
            ),
        )

    await rig.world.db.write("test", unit)


async def test_a_hold_that_no_call_works_on_is_given_back_and_listed(rig: Rig) -> None:
    await _hold(rig, "ans_abandoned")
    await _hold(rig, "ans_in_use")
    rig.world.answering.add("ans_in_use")
    await rig.pass_time(10)
    await sweep(rig.world)
    left = await rig.world.db.read(lambda tx: tx.all("SELECT order_id FROM open_holds"))
    assert [row["order_id"] for row in left] == ["ans_in_use"]
    rows = await rig.world.db.read(lambda tx: tx.all("SELECT outcome, order_id, model FROM usage"))
    assert [(row["outcome"], row["order_id"], row["model"]) for row in rows] == [
        ("lost", "ans_abandoned", "gpt-5.4-mini")
    ]
    rig.world.answering.discard("ans_in_use")
