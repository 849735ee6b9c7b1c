import pytest
from tests.api.client import Client, Owner, make_owner

from halley.accounts import store as accounts
from halley.accounts.model import BudgetPeriod, NewKey
from halley.api.endpoints.account import number
from halley.db import Tx
from halley.kernel.money import Nanos
from halley.ledger import store as ledger
from halley.ledger.model import AccountKind, HoldRequest
from halley.usage import store as usage
from halley.usage.model import Outcome, Usage
from halley.world import World


async def spend(world: World, owner: Owner, amount: int, order: str) -> None:
    """Hold and post an amount, as a task does."""

    def unit(tx: Tx) -> None:
        now, nanos = world.clock.now(), Nanos(amount)
        accounts.reserve_budget(tx, key_id=owner.key_id, amount=nanos, now=now)
        ledger.hold(tx, _hold(owner, nanos, order, now))
        ledger.post(tx, hold_id=f"hold_{order}", amount=nanos, ids=world.ids, now=now)
        accounts.settle_budget(tx, key_id=owner.key_id, held=nanos, spent=nanos, now=now)
        usage.insert(tx, _usage(owner, nanos, order, now))

    await world.db.write("spend", unit)


@pytest.mark.parametrize("path", ["/user/quota", "/user/quota/"])
async def test_the_balance_is_told_to_the_key_in_the_query(client: Client, owner: Owner, world: World, path: str):
    await spend(world, owner, 1_234_567_891, "order")
    response = await client.get(f"{path}?key={owner.key}")

    assert response.status == 200
    assert b'"total_quota":3.765432109,' in response.body
    assert b'"total_used_quota":1.234567891,' in response.body
    assert response.json == {
        "username": "alice",
        "total_quota": 3.765432109,
        "total_used_quota": 1.234567891,
        "request_count": 1,
        "keys": [{"name": "alice", "remain_quota": -1, "used_quota": 1.234567891}],
    }


async def test_the_balance_is_told_to_a_key_in_a_header_and_to_one_that_has_none_left(
    client: Client, owner: Owner, world: World
):
    await spend(world, owner, 5_000_000_000, "all")
    response = await client.get("/user/quota", owner.bearer)

    assert (response.status, response.json["total_quota"]) == (200, 0)


async def test_days_are_listed_when_both_dates_are_given(client: Client, owner: Owner, world: World):
    await spend(world, owner, 120_000_000, "order")
    dated = await client.get(f"/user/quota?key={owner.key}&start_date=2026-10-30&end_date=2026-11-01")
    before = await client.get(f"/user/quota?key={owner.key}&start_date=2026-10-30&end_date=2026-10-31")
    half = await client.get(f"/user/quota?key={owner.key}&start_date=2026-10-30")

    day = {"token_name": "alice", "quota_used": 0.12, "request_count": 1}
    assert dated.json["daily_quota"] == {"2026-11-01": [day]}
    assert before.json["daily_quota"] == {}
    assert "daily_quota" not in half.json


@pytest.mark.parametrize(
    "dates",
    [
        "start_date=x&end_date=2026-11-01",
        "start_date=2026-11-02&end_date=2026-11-01",
        "start_date=1990-01-01&end_date=2026-11-01",
    ],
)
async def test_wrong_dates_are_a_400_whose_error_is_text(client: Client, owner: Owner, dates: str):
    response = await client.get(f"/user/quota?key={owner.key}&{dates}")

    assert response.status == 400
    assert isinstance(response.json["error"], str)


async def test_a_test_key_sees_the_test_account_and_its_keys_only(client: Client, world: World):
    live = await make_owner(world, "bob", livemode=True, credit=7_000_000_000)
    test = NewKey(
        id="key_test",
        account_id=live.account_id,
        project_id=live.project_id,
        livemode=False,
        name="try-out",
        text="sk-test-try-out-0123456789",
        now=world.clock.now(),
        budget_nanos=Nanos(2_000_000_000),
        budget_period=BudgetPeriod.TOTAL,
    )

    def unit(tx: Tx) -> None:
        now = world.clock.now()
        kind = AccountKind.PREPAID
        ledger.open_account(tx, account_id=live.account_id, livemode=False, kind=kind, limit_nanos=None, now=now)
        accounts.create_key(tx, test)

    await world.db.write("test_key", unit)
    shown = (await client.get(f"/user/quota?key={test.text}")).json

    assert shown["total_quota"] == 0
    assert shown["keys"] == [{"name": "try-out", "remain_quota": 2, "used_quota": 0}]
    assert (await client.get("/user/quota", live.bearer)).json["total_quota"] == 7


def test_money_becomes_a_number_without_a_float():
    assert bytes(number(9_007_199_254_740_993)) == b"9007199.254740993"
    assert bytes(number(-1)) == b"-0.000000001"


def _hold(owner: Owner, amount: Nanos, order: str, now: int) -> HoldRequest:
    return HoldRequest(
        id=f"hold_{order}",
        ledger_account_id=f"{owner.account_id}.{'live' if owner.livemode else 'test'}",
        account_id=owner.account_id,
        livemode=owner.livemode,
        amount=amount,
        order_id=order,
        order_kind="task",
        key_id=owner.key_id,
        boot_id="boot",
        now=now,
    )


def _usage(owner: Owner, amount: Nanos, order: str, now: int) -> Usage:
    return Usage(
        id=f"use_{order}",
        account_id=owner.account_id,
        project_id=owner.project_id,
        key_id=owner.key_id,
        livemode=owner.livemode,
        order_kind="task",
        order_id=order,
        model="flux-dev",
        channel_id=None,
        outcome=Outcome.SUCCEEDED,
        meters={},
        price_nanos=amount,
        vendor_cost_nanos=None,
        attempts=1,
        total_us=1,
        created_at=now,
    )
